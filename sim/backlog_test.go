package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// scribe is an echo that writes down what comes to it.
type scribe struct{ echo }

func (s *scribe) Request(env *node.Env, r node.Request) {
	env.Record("came", "client "+string(r.Value))
	s.echo.Request(env, r)
}

func (s *scribe) Receive(env *node.Env, from node.ID, m any) {
	env.Record("came", fmt.Sprintf("%s %d", from, m.(told).N))
}

func (s *scribe) Timer(env *node.Env, name string) {
	env.Record("came", "timer "+name)
	env.After(100*time.Millisecond, name)
}

// backlog is what n1 lives through after a pause in which n2 and n3 told it
// three things each, three clients had one request each, and a timer was due.
func backlog(t *testing.T, seed uint64, fifo bool) []string {
	b := cluster(t, seed, 3, func(c *Config) { c.New = func() node.Node { return &scribe{} } })
	for i := range b.links {
		b.links[i].fifo = fifo
	}
	b.inject(fault(nemesis.Pause, "n1"))
	for i := range 3 {
		for _, at := range []string{"n2", "n3"} {
			b.ask(at, "tell", i)
		}
		b.run(50 * time.Millisecond)
	}
	for i := range 3 {
		op := histories.Op{Process: histories.Process(100 + i), Type: histories.Invoke, F: "read", Node: "n1", Value: histories.Encode(i)}
		b.Invoke(op)
	}
	b.run(200 * time.Millisecond)
	before := len(b.records("n1", "came"))
	b.cureFault(fault(nemesis.Pause, "n1"))
	return b.records("n1", "came")[before:]
}

// After a pause each connection keeps its order, and no more than that: whoever
// was last may be heard first.
func TestResumeKeepsTheOrderOfConnectionsOnly(t *testing.T) {
	first, last, orders := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for seed := range uint64(60) {
		got := backlog(t, seed, true)
		if len(got) != 10 {
			t.Fatalf("seed %d: n1 lives through %d events after the pause, want 10: %v", seed, len(got), got)
		}
		for _, peer := range []string{"n2", "n3"} {
			own := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return !strings.HasPrefix(s, `"`+peer) })
			if !slices.IsSorted(own) {
				t.Fatalf("seed %d: %s is not heard in its order: %v", seed, peer, own)
			}
		}
		first[strings.Fields(got[0])[0]], last[strings.Fields(got[9])[0]] = true, true
		orders[fmt.Sprint(got)] = true
	}
	for _, who := range []string{`"n2`, `"n3`, `"client`, `"timer`} {
		if !first[who] || !last[who] {
			t.Errorf("%s was first %v and last %v in 60 seeds: want either", who, first[who], last[who])
		}
	}
	if len(orders) < 50 {
		t.Errorf("%d orders in 60 seeds", len(orders))
	}
}

// A link that is no connection keeps no order either.
func TestResumeOverDatagrams(t *testing.T) {
	for seed := range uint64(60) {
		own := slices.DeleteFunc(backlog(t, seed, false), func(s string) bool { return !strings.HasPrefix(s, `"n2`) })
		if !slices.IsSorted(own) {
			return
		}
	}
	t.Error("what one peer sent was heard in order in all of 60 seeds")
}
