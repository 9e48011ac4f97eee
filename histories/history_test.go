package histories

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func ops(h History) []Op {
	var all []Op
	for _, op := range h.All() {
		all = append(all, op)
	}
	return all
}

func wantEqual(t testing.TB, got, want History) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("got %d ops, want %d", got.Len(), want.Len())
	}
	for i := range want.Len() {
		if g, w := got.At(i), want.At(i); !reflect.DeepEqual(g, w) {
			t.Fatalf("op %d\n got %s\nwant %s", i, AppendJSON(nil, g), AppendJSON(nil, w))
		}
		if g, w := got.Pair(i), want.Pair(i); g != w {
			t.Fatalf("op %d: got pair %d, want %d", i, g, w)
		}
	}
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

// full is an op that has every field.
var full = Op{
	Time: 1500, Process: 3, Type: Invoke, F: "cas", Value: raw(`[1,9007199254740993]`), Key: raw(`"k1"`), Node: "n2",
	Final: true, Error: "a \"quoted\"\n\\reason\x01 ü", Lamport: 1<<63 + 1,
	Ext: map[string]json.RawMessage{"vv": raw(`{"n1":2}`), "dot": raw(`["n1",2]`), "ü\"": raw(`null`)},
}

// someOps are n ops of a few clients, a nemesis and nodes, with every field in
// use now and then.
func someOps(r *rand.Rand, n int) []Op {
	var all []Op
	busy := map[Process]Op{}
	for len(all) < n {
		p := Process(r.IntN(10))
		switch {
		case p == 8:
			p = Named(fmt.Sprintf("n%d", r.IntN(3)))
		case p == 9:
			p = Named("nemesis/kill")
		case r.IntN(20) == 0:
			p += 1 << 20
		}
		op := Op{Time: Time(len(all) * 1000), Process: p, Type: Invoke, F: []string{"read", "write", "cas"}[r.IntN(3)], Node: "n1"}
		if !p.Client() && !p.Nemesis() {
			op = Op{Time: op.Time, Process: p, Type: Info, F: "deliver", Lamport: uint64(len(all))}
		} else if was, ok := busy[p]; ok {
			op = was
			op.Type = OK + Type(r.IntN(3))
			delete(busy, p)
		}
		op.Index = len(all)
		if r.IntN(3) > 0 {
			op.Value = Encode(strings.Repeat("v", r.IntN(40)))
		}
		if op.Key == nil && r.IntN(4) == 0 && op.Type != OK {
			op.Key = Encode(r.IntN(5))
		}
		if r.IntN(700) == 0 {
			op.Ext = map[string]json.RawMessage{"dot": Encode(r.IntN(5)), "a": raw("{}")}
			op.Error = "mismatch"
			op.Final = true
		}
		if op.Type == Invoke {
			busy[p] = op
		}
		all = append(all, op)
	}
	return all
}

func TestHistoryKeepsOps(t *testing.T) {
	want := someOps(rand.New(rand.NewPCG(1, 2)), 5000)
	h, err := Of(want...)
	if err != nil {
		t.Fatal(err)
	}
	if got := ops(h); !reflect.DeepEqual(got, want) {
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Fatalf("op %d\n got %+v\nwant %+v", i, got[i], want[i])
			}
		}
	}
	for i, op := range want {
		if h.Type(i) != op.Type || h.Process(i) != op.Process || h.F(i) != op.F || h.Time(i) != op.Time || h.Node(i) != op.Node ||
			h.Final(i) != op.Final || h.Error(i) != op.Error || h.Lamport(i) != op.Lamport ||
			string(h.Value(i)) != string(op.Value) || string(h.Key(i)) != string(op.Key) || string(h.Ext(i, "dot")) != string(op.Ext["dot"]) {
			t.Fatalf("op %d: the columns differ from %+v", i, op)
		}
		if id := h.KeyID(i); op.Key == nil && id != -1 || op.Key != nil && string(h.Keys()[id]) != string(op.Key) {
			t.Fatalf("op %d: key %d of %s, want %s", i, id, h.Keys(), op.Key)
		}
	}
}

func TestHistoryOfEveryField(t *testing.T) {
	h, err := Of(full)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.At(0); !reflect.DeepEqual(got, full) {
		t.Errorf("got %+v, want %+v", got, full)
	}
}

func TestNullIsNil(t *testing.T) {
	h, err := Of(Op{Type: Invoke, Value: raw("null"), Key: raw("null")})
	if err != nil {
		t.Fatal(err)
	}
	if op := h.At(0); op.Value != nil || op.Key != nil {
		t.Errorf("got value %s and key %s, want nil", op.Value, op.Key)
	}
}

func TestHistoryDoesNotAliasItsSource(t *testing.T) {
	value, key, ext := raw(`"value"`), raw(`"key"`), raw(`"ext"`)
	h, err := Of(Op{Type: Invoke, Value: value, Key: key, Ext: map[string]json.RawMessage{"e": ext}})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{value, key, ext} {
		copy(b, "xxxxx")
	}
	if got := h.At(0); string(got.Value) != `"value"` || string(got.Key) != `"key"` || string(got.Ext["e"]) != `"ext"` {
		t.Errorf("got %s: it changed with what it was made of", AppendJSON(nil, got))
	}
}

// A History taken from a Builder is what it was, whatever the Builder and its
// other Histories do, also while they do it (go test -race).
func TestHistoryStaysWhenItsBuilderGoesOn(t *testing.T) {
	all := someOps(rand.New(rand.NewPCG(3, 4)), 3000)
	var b Builder
	var readers sync.WaitGroup
	for i, op := range all {
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
		if i%97 != 0 {
			continue
		}
		h := b.History()
		readers.Go(func() {
			want, err := Of(all[:i+1]...)
			if err != nil {
				t.Error(err)
				return
			}
			for k := range want.Len() {
				if g, w := h.At(k), want.At(k); !reflect.DeepEqual(g, w) || h.Pair(k) != want.Pair(k) {
					t.Errorf("after %d ops, op %d: got %+v, pair %d; want %+v, pair %d", i+1, k, g, h.Pair(k), w, want.Pair(k))
					return
				}
			}
		})
	}
	readers.Wait()
}

func TestPair(t *testing.T) {
	nemesis, node := Named("nemesis/kill"), Named("n1")
	h, err := Of(
		Op{Process: 0, Type: Invoke},
		Op{Process: node, Type: Info},
		Op{Process: nemesis, Type: Invoke},
		Op{Process: 1 << 20, Type: Invoke},
		Op{Process: 0, Type: OK},
		Op{Process: 1 << 20, Type: Info},
		Op{Process: nemesis, Type: OK},
		Op{Process: 0, Type: Invoke},
	)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{4, -1, 6, 5, 0, 3, 2, -1} {
		if got := h.Pair(i); got != want {
			t.Errorf("op %d: got pair %d, want %d", i, got, want)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []Op
		want string
	}{
		{"two invocations", []Op{{Process: 1, Type: Invoke, F: "read"}, {Process: 1, Type: Invoke, F: "write"}},
			"op 1 (process 1, invoke write): the process has invoked op 0 (read) and not completed it"},
		{"completion alone", []Op{{Process: 1, Type: OK, F: "read"}},
			"op 0 (process 1, ok read): the process completes what it never invoked"},
		{"two completions", []Op{{Process: 1, Type: Invoke}, {Process: 1, Type: OK}, {Process: 1, Type: Info, F: "x"}},
			"op 2 (process 1, info x): the process completes what it never invoked"},
		{"no type", []Op{{}}, "op 0 (process 0, none ): none is not a type of a history"},
		{"not of a history", []Op{{Type: 101}}, "op 0 (process 0, type(101) ): type(101) is not a type of a history"},
		{"field twice", []Op{{Type: OK, Ext: map[string]json.RawMessage{"time": raw("1")}}},
			`op 0 (process 0, ok ): the further field "time" has the name of one that every op has`},
	} {
		var b Builder
		var err error
		for _, op := range c.ops {
			err = errors.Join(err, b.Add(op))
		}
		var m *Malformed
		if !errors.As(err, &m) || m.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			continue
		}
		if got := b.History().Len(); got != len(c.ops)-1 {
			t.Errorf("%s: got %d ops after the error, want %d", c.name, got, len(c.ops)-1)
		}
		if m.Other.Type == Invoke && !reflect.DeepEqual(m.Other, b.History().At(0)) {
			t.Errorf("%s: got %+v for the open invocation", c.name, m.Other)
		}
	}
}

func TestCalls(t *testing.T) {
	h, err := Of(
		Op{Process: 0, Type: Invoke, F: "read"},
		Op{Process: 1, Type: Invoke, F: "write", Value: raw("1")},
		Op{Process: Named("nemesis/kill"), Type: Invoke, F: "inject"},
		Op{Process: 0, Type: OK, F: "read", Value: raw("2"), Time: 5},
	)
	if err != nil {
		t.Fatal(err)
	}
	calls := h.Calls()
	if len(calls) != 2 || calls[0].Invoke.Index != 0 || calls[0].Complete.Index != 3 {
		t.Fatalf("got %+v", calls)
	}
	if c := calls[1].Complete; c.Type != Info || c.Index != 4 || c.Time != 5 || c.Value != nil || c.F != "write" || c.Process != 1 {
		t.Errorf("got %+v for an operation still open at the end", c)
	}
	if n := h.NemesisCalls(); len(n) != 1 || n[0].Invoke.Index != 2 {
		t.Errorf("got nemesis calls %+v", n)
	}
}

func TestCompact(t *testing.T) {
	b := Builder{Compact: true}
	for _, op := range []Op{{Process: 0, Type: OK, F: "read"}, {Process: 0, Type: Invoke}, {Process: 0, Type: Fail}, {Process: 0, Type: Info}} {
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	var got [][2]int
	for _, c := range b.History().Calls() {
		got = append(got, [2]int{c.Invoke.Index, c.Complete.Index})
	}
	if want := [][2]int{{0, 0}, {1, 2}, {3, 3}}; !slices.Equal(got, want) {
		t.Errorf("got calls %v, want %v", got, want)
	}
}

func TestZeroHistory(t *testing.T) {
	var h History
	if h.Len() != 0 || len(h.Calls()) != 0 || len(h.Keys()) != 0 || len(h.Intervals()) != 0 {
		t.Error("the zero History is not empty")
	}
	for range h.All() {
		t.Error("the zero History has an op")
	}
}

func BenchmarkBuilder(b *testing.B) {
	all := someOps(rand.New(rand.NewPCG(1, 2)), 10000)
	b.ReportAllocs()
	for b.Loop() {
		var bu Builder
		for _, op := range all {
			if err := bu.Add(op); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*len(all))/b.Elapsed().Seconds(), "ops/s")
}
