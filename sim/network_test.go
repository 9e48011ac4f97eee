package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

func TestPartition(t *testing.T) {
	for _, held := range []bool{false, true} {
		b := cluster(t, 1, 3, nil)
		cut := fault(nemesis.Partition)
		cut.Params = nemesis.Params{Drop: map[string][]string{"n2": {"n1", "n2"}}, Held: held} // and itself, which nothing can cut
		if e := b.inject(cut); !e.Verified {
			t.Fatalf("not verified: %+v", e)
		}
		b.ask("n1", "tell", 7)
		b.ask("n2", "tell", 8)
		b.run(time.Second)
		if got := b.records("n2", "heard"); len(got) != 0 {
			t.Errorf("n2 hears %v through a cut", got)
		}
		if got := b.records("n1", "heard"); !slices.Equal(got, []string{`"8 from n2"`}) {
			t.Errorf("n1 hears %v; the cut is one-way", got)
		}
		if b.link(1, 1).fault.cut {
			t.Error("n2 is cut off from itself")
		}
		b.cureFault(cut)
		b.run(time.Second)
		if got := len(b.records("n2", "heard")); (got == 1) != held {
			t.Errorf("held %v: n2 has heard %d messages after the cure", held, got)
		}
		if got := b.records("world", "heal"); len(got) != 1 {
			t.Errorf("%d heal records, want 1", len(got))
		}
	}
}

// What a partition holds, and what was on its way when it began, arrives in the
// order in which it was sent, as on one TCP connection.
func TestHeldMessagesKeepTheirOrder(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	cut := fault(nemesis.Partition)
	cut.Params = nemesis.Params{Drop: map[string][]string{"n2": {"n1"}}, Held: true}
	var want []string
	for i := range 20 {
		switch i {
		case 10:
			b.Invoke(nemesis.InjectOp(cut))
		case 15:
			b.run(10 * time.Millisecond) // all has come as far as it can
			b.Invoke(nemesis.CureOp(cut))
		}
		b.Invoke(histories.Op{Process: histories.Process(i), Type: histories.Invoke, F: "tell", Node: "n1", Value: histories.Encode(i)})
		b.run(50 * time.Microsecond)
		want = append(want, fmt.Sprintf(`"%d from n1"`, i))
	}
	b.run(time.Second)
	if got := b.records("n2", "heard"); !slices.Equal(got, want) {
		t.Errorf("n2 hears %v", got)
	}
}

func TestLinks(t *testing.T) {
	for _, f := range []nemesis.Fault{
		{Kind: nemesis.Loss, Params: nemesis.Params{Probability: 0.5}},
		{Kind: nemesis.Duplicate, Params: nemesis.Params{Probability: 0.5}},
		{Kind: nemesis.Reorder, Params: nemesis.Params{Probability: 0.3, Delay: nemesis.Duration(50 * time.Millisecond)}},
		{Kind: nemesis.Delay, Params: nemesis.Params{Delay: nemesis.Duration(300 * time.Millisecond), Jitter: nemesis.Duration(100 * time.Millisecond)}},
		{Kind: nemesis.Bandwidth, Params: nemesis.Params{Rate: 1000}},
	} {
		b := cluster(t, 1, 2, nil)
		f.ID, f.Targets = "x", []string{"n1"}
		if e := b.inject(f); !e.Verified {
			t.Fatalf("%s is not verified: %+v", f.Kind, e)
		}
		from := "n2"
		if f.Kind == nemesis.Bandwidth {
			from = "n1"
		}
		began := b.Now()
		for i := range 200 {
			b.ask(from, "tell", i)
		}
		b.run(5 * time.Second)
		heard := b.records(map[string]string{"n1": "n2", "n2": "n1"}[from], "heard")
		first, last := histories.Time(-1), histories.Time(0)
		for _, op := range b.log {
			if op.F == "heard" {
				if first < 0 {
					first = op.Time
				}
				last = op.Time
			}
		}
		switch f.Kind {
		case nemesis.Loss:
			if len(heard) < 60 || len(heard) > 140 {
				t.Errorf("%d of 200 messages survived a loss of 50%%", len(heard))
			}
		case nemesis.Duplicate:
			if len(heard) < 260 || len(heard) > 340 {
				t.Errorf("200 messages became %d at 50%% duplication", len(heard))
			}
		case nemesis.Delay:
			if first-began < histories.Time(200*time.Millisecond) {
				t.Errorf("the first message took %v, want at least 200ms", first-began)
			}
		case nemesis.Bandwidth:
			if last-began < histories.Time(time.Second) {
				t.Errorf("200 messages passed in %v at 1 kB/s", last-began)
			}
		}
		if e := b.cureFault(f); !e.Verified {
			t.Errorf("%s is not gone: %+v", f.Kind, e)
		}
	}
}

// A fault that is aimed at one link leaves all others alone.
func TestOneLink(t *testing.T) {
	b := cluster(t, 1, 3, nil)
	f := fault(nemesis.Delay)
	f.Params = nemesis.Params{From: "n1", To: "n2", Delay: nemesis.Duration(300 * time.Millisecond)}
	if got, want := short(b.inject(f)), "n2<n1 delay: 300ms longer; n1<n2 not delay: 0s longer"; got != want {
		t.Fatalf("evidence %s, want %s", got, want)
	}
	for _, n := range b.Nodes() {
		b.ask(n, "tell", 1)
	}
	b.run(100 * time.Millisecond)
	for _, n := range b.Nodes() {
		want := map[string]int{"n1": 2, "n2": 1, "n3": 2}[n]
		if got := b.records(n, "heard"); len(got) != want {
			t.Errorf("%s has heard %v, want %d messages", n, got, want)
		}
	}
	b.run(300 * time.Millisecond)
	if got := b.records("n2", "heard"); !slices.Contains(got, `"1 from n1"`) {
		t.Errorf("n2 has heard %v: want the delayed one too", got)
	}
	// It is over, though another delays the link as well.
	wide, other := fault(nemesis.Delay, "n2"), f
	wide.ID, wide.Params = "wide", nemesis.Params{Delay: f.Params.Delay}
	other.ID, other.Params.From = "other", "n3"
	b.inject(wide)
	b.inject(other)
	if got, want := short(b.cureFault(f)), "n2<n1 not delay: 0s longer"; got != want {
		t.Errorf("evidence %s, want %s", got, want)
	}
}

// A fault that is in force is seen, whatever the dice.
func TestLinkFaultsAreSeen(t *testing.T) {
	for seed := range uint64(200) {
		b := cluster(t, seed, 5, func(c *Config) { c.Conditions = far(seed) })
		for _, k := range []nemesis.Kind{nemesis.Loss, nemesis.Duplicate, nemesis.Reorder} {
			f := fault(k, b.Nodes()...)
			f.Params.Probability = 0.2
			if k == nemesis.Reorder {
				f.Params.Delay = nemesis.Duration(10 * time.Millisecond)
			}
			b.inject(f)
		}
	}
}
