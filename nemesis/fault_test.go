package nemesis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Whatever is drawn is valid, and reads as it was written.
func TestFaultsRoundTrip(t *testing.T) {
	nodes := names(6)
	for _, k := range Kinds {
		for seed := range uint64(1000) {
			r := rand.New(rand.NewPCG(seed, 1))
			f := Fault{ID: "x", Kind: k, Targets: nodes[:1], Params: drawParams(r, k)}
			if k == Partition {
				f.Params.Drop = MajoritiesRing(r, nodes)
			}
			op := InjectOp(f)
			if got, err := Decode(op); err != nil || !reflect.DeepEqual(got, f) {
				t.Fatalf("%s reads as %+v, %v", op.Value, got, err)
			}
		}
	}
	for _, f := range []Fault{
		{ID: "x", Kind: Clock, Targets: nodes, Params: Params{Shape: "strobe", Offset: -Duration(histories.DurationMax), Period: 1}},
		{ID: "x", Kind: Delay, Params: Params{From: "n1", To: "n2", Delay: Duration(histories.DurationMax), Jitter: Duration(time.Hour + 1)}},
	} {
		if got, err := Decode(InjectOp(f)); err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%+v reads as %+v, %v", f, got, err)
		}
	}
}

// Of a draw over six orders of magnitude, each has a sixth of the numbers.
func TestMagnitudesAreLogUniform(t *testing.T) {
	const n = 60_000
	r := rand.New(rand.NewPCG(1, 1))
	var of [6]float64
	for range n {
		of[min(5, int(math.Log10(logUniform(r, 1, 1e6))))]++
	}
	for i, got := range of {
		if math.Abs(got-n/6) > 5*math.Sqrt(n/6) {
			t.Errorf("10^%d: %v numbers of %d", i, got, n)
		}
	}
}

func TestValidateFault(t *testing.T) {
	to := []string{"n1"}
	for _, c := range []struct{ fault, err string }{
		{`{"id":"a","kind":"kill","targets":["n1"]}`, ""},
		{`{"id":"50%d","kind":"kill"}`, "fault 50%d: kill needs targets"},
		{`{"kind":"kill","targets":["n1"]}`, "it has no id"},
		{`{"id":"a","kind":"flood","targets":["n1"]}`, `fault "flood" is unknown`},
		{`{"id":"a","kind":"kill","targets":["n1"],"params":{"delay":"1s"}}`, "kill has no params.delay: it has at"},
		{`{"id":"a","kind":"kill","target":["n1"]}`, `unknown field "target"`},
		{`{"id":"a","kind":"delay","targets":["n1"],"params":{"dealy":"1s"}}`, "delay has no params.dealy: it has delay, from, jitter, to"},
		{`{"id":"a","kind":"delay","targets":["n1"],"params":{"delay":"1s","drop":{"n1":["n2"]},"rate":0}}`, "delay has no params.drop, params.rate: it has delay, from, jitter, to"},
		{`{"id":"a","kind":"delay","targets":["n1"],"from":"n2","to":"n1","params":{"delay":"1s"}}`, `unknown field "from"`},
		{`{"id":"a","kind":"delay","params":{"delay":"1s"}}`, "delay needs targets, or params.from and params.to"},
		{`{"id":"a","kind":"delay","params":{"delay":"1s","from":"n2","to":"n1"}}`, ""},
		{`{"id":"a","kind":"delay","targets":["n1"],"params":{"delay":"1s","from":"n2","to":"n1"}}`, "delay strikes either targets [n1] or the link from n2 to n1"},
		{`{"id":"a","kind":"loss","params":{"probability":1,"from":"n2"}}`, `both params.from and params.to, of two nodes, not "n2" and ""`},
		{`{"id":"a","kind":"bandwidth","params":{"rate":1,"from":"n2","to":"n2"}}`, `of two nodes, not "n2" and "n2"`},
		{`{"id":"a","kind":"partition","params":{"drop":{"n1":["n2"]},"from":"n1"}}`, "partition has no params.from: it has drop, held, shape"},
		{`{"id":"a","kind":"partition","params":{"drop":{"n1":["n2"]}}}`, ""},
		{`{"id":"a","kind":"partition","targets":["n1"]}`, "needs params.drop"},
		{`{"id":"a","kind":"partition","params":{"drop":{"n1":[],"n2":["n2"]}}}`, "needs params.drop"},
		{`{"id":"a","kind":"loss","targets":["n1"],"params":{"probability":1.5}}`, "probability in (0, 1], not 1.5"},
		{`{"id":"a","kind":"reorder","targets":["n1"],"params":{"probability":1}}`, "how long an overtaken message is held"},
		{`{"id":"a","kind":"delay","targets":["n1"],"params":{"delay":"1s","jitter":"2s"}}`, "not 1s ± 2s"},
		{`{"id":"a","kind":"bandwidth","targets":["n1"]}`, "bytes per second"},
		{`{"id":"a","kind":"clock","targets":["n1"],"params":{"shape":"strobe","offset":"1s"}}`, "strobe with offset and period"},
		{`{"id":"a","kind":"clock","targets":["n1"],"params":{"shape":"jump","offset":"1s","period":"1s"}}`, "and nothing else"},
		{`{"id":"a","kind":"clock","targets":["n1"],"params":{"shape":"drift","drift":-0.9}}`, "drift in (-0.9, 10]"},
	} {
		if _, err := Decode(histories.Op{F: Inject, Value: json.RawMessage(c.fault)}); !says(err, c.err) {
			t.Errorf("%s: got %v, want %q", c.fault, err, c.err)
		}
	}
	// What is not in the cluster is named, and what is wrong in Go as in JSON.
	link := Fault{ID: "a", Kind: Loss, Params: Params{Probability: 1, From: "n1", To: "n2"}}
	if err := link.On(to); !says(err, `no node "n2"`) {
		t.Errorf("a link to nowhere: %v", err)
	}
	link.Kind = Kill
	if err := link.Validate(); !says(err, "fault a: kill has no params.from, params.probability, params.to") {
		t.Errorf("a kill with parameters: %v", err)
	}
	// Errors of a partition come in the same order every time.
	f := Fault{ID: "a", Kind: Partition, Targets: to, Params: Params{Drop: Alone(names(9))}}
	for range 20 {
		if got, want := f.On(to).Error(), f.On(to).Error(); got != want {
			t.Fatalf("got\n%s\nthen\n%s", want, got)
		}
	}
}

func TestRenamed(t *testing.T) {
	f := Fault{ID: "p", Kind: Partition, Targets: []string{"n1", "n2"}, Params: Params{Shape: "ring", Drop: map[string][]string{"n1": {"n3"}, "n3": {"n1", "n2"}}}}
	before := string(histories.Encode(f))
	g := f.Renamed(func(n string) string { return map[string]string{"n1": "n2", "n2": "n1", "n3": "n3"}[n] })
	want := Fault{ID: "p", Kind: Partition, Targets: []string{"n2", "n1"}, Params: Params{Shape: "ring", Drop: map[string][]string{"n2": {"n3"}, "n3": {"n2", "n1"}}}}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("renamed: %+v, want %+v", g, want)
	}
	if after := string(histories.Encode(f)); after != before {
		t.Errorf("%s has become %s", before, after)
	}
	if f.Same(g) {
		t.Error("n1 does not hear n3 in one, and n2 in the other: they are the same")
	}
	if back := g.Renamed(func(n string) string { return map[string]string{"n1": "n2", "n2": "n1", "n3": "n3"}[n] }); !f.Same(back) {
		t.Errorf("%+v, renamed to and fro: %+v", f, back)
	}
	link := Fault{ID: "l", Kind: Loss, Params: Params{Probability: 1, From: "n1", To: "n3"}}
	swap := link.Renamed(func(n string) string { return map[string]string{"n1": "n2", "n2": "n1", "n3": "n3"}[n] })
	if p := swap.Params; p.From != "n2" || p.To != "n3" || link.Same(swap) {
		t.Errorf("%+v, renamed: %+v", link, swap)
	}
	h := f
	h.Targets = []string{"n2", "n1"}
	if !f.Same(h) {
		t.Error("the order of the targets makes a difference")
	}
}

// A fault of links acts on those that its targets receive or, of little
// bandwidth, send on; or on the one at which it is aimed.
func TestActsOn(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		links string
	}{
		{Fault{Kind: Loss, Targets: []string{"n1"}}, "n2>n1 n3>n1"},
		{Fault{Kind: Bandwidth, Targets: []string{"n1"}}, "n1>n2 n1>n3"},
		{Fault{Kind: Delay, Params: Params{From: "n1", To: "n2"}}, "n1>n2"},
		{Fault{Kind: Bandwidth, Params: Params{From: "n1", To: "n2"}}, "n1>n2"},
		{Fault{Kind: Partition, Targets: []string{"n3"}, Params: Params{Drop: Grudge{"n1": {"n1", "n2"}}}}, "n2>n1"},
		{Fault{Kind: Kill, Targets: []string{"n1"}}, ""},
		{Fault{Kind: Client, Targets: []string{"n1"}}, ""},
	} {
		var links []string
		for _, from := range names(3) {
			for _, to := range names(3) {
				if c.fault.ActsOn(from, to) {
					links = append(links, from+">"+to)
				}
			}
		}
		if got := strings.Join(links, " "); got != c.links {
			t.Errorf("%+v acts on %q, want %q", c.fault, got, c.links)
		}
	}
}
