package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// clientsOfBroadcast is a history of clients of two nodes that share one log.
// Reads may be behind, or show what they should not.
func clientsOfBroadcast(r *rand.Rand) []histories.Op {
	n := 0
	var log []string
	ops := clients(r, 2+r.IntN(8), func() (string, json.RawMessage) {
		if r.IntN(2) == 0 {
			n++
			return "broadcast", raw("%d", n)
		}
		return "read", nil
	}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		if f == "broadcast" {
			failed := r.IntN(8) == 0
			if !failed || r.IntN(8) == 0 {
				log = append(log, string(v))
			}
			return v, !failed
		}
		seen := slices.Clone(log)
		switch k := r.IntN(16); {
		case k < 3 && len(seen) > 0:
			seen = seen[:r.IntN(len(seen))]
		case k == 3 && len(seen) > 0:
			seen = slices.Delete(seen, 0, 1)
		case k == 4:
			seen = append(seen, fmt.Sprint(1+r.IntN(n+1)))
		case k == 5:
			slices.Reverse(seen)
		}
		return raw("[%s]", strings.Join(seen, ",")), true
	})
	named, final := r.IntN(2) == 0, r.IntN(2*len(ops))
	finish(ops, final)
	for i := range ops {
		if named {
			ops[i].Node = []string{"n1", "n2"}[ops[i].Process%2]
		}
	}
	return ops
}

// seenBy is a read or a broadcast, with all that the definitions ask for.
type seenBy struct {
	histories.Call
	node string
	list []string
}

func (s seenBy) ok() bool              { return s.Complete.Type == histories.OK }
func (s seenBy) before(o seenBy) bool  { return s.ok() && s.Complete.Index < o.Invoke.Index }
func (s seenBy) differs(o seenBy) bool { return !isPrefix(s.list, o.list) && !isPrefix(o.list, s.list) }
func (s seenBy) sent() string          { return string(s.Invoke.Value) }
func isPrefix(a, b []string) bool      { return len(a) <= len(b) && slices.Equal(a, b[:len(a)]) }
func unordered(a, b []string) (found bool) {
	for i, m := range a {
		for _, n := range a[i+1:] {
			j, k := slices.Index(b, m), slices.Index(b, n)
			found = found || slices.Index(a, m) == i && slices.Index(a, n) > i && k >= 0 && k < j
		}
	}
	return found
}

func TestClientsOfBroadcastAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 4000, func(t *testing.T, r *rand.Rand) {
		h := historyOf(t, clientsOfBroadcast(r))
		var reads, sent []seenBy
		for _, c := range h.Calls() {
			s := seenBy{Call: c, node: c.Invoke.Node}
			if s.node == "" {
				s.node = c.Invoke.Process.String()
			}
			if c.Invoke.F == "broadcast" {
				sent = append(sent, s)
			} else if s.ok() {
				for _, v := range elementsOf(c.Complete) {
					s.list = append(s.list, string(v))
				}
				reads = append(reads, s)
			}
		}
		acks, from := r.IntN(2) == 0, slices.IndexFunc(h.Calls(), func(c histories.Call) bool { return c.Invoke.Final })
		if from >= 0 {
			from = h.Calls()[from].Invoke.Index
		}
		want := map[string]bool{}
		longest := map[string][]string{}
		for _, x := range reads {
			if len(x.list) > len(longest[x.node]) {
				longest[x.node] = x.list
			}
			for i, m := range x.list {
				from := slices.IndexFunc(sent, func(s seenBy) bool { return s.sent() == m })
				if from < 0 || sent[from].Complete.Type == histories.Fail || sent[from].Invoke.Index > x.Complete.Index {
					want["phantom"] = true
				}
				want["duplicate"] = want["duplicate"] || slices.Contains(x.list[:i], m)
				for _, s := range sent {
					if from >= 0 && s.node == sent[from].node && s.before(sent[from]) && !slices.Contains(x.list[:i], s.sent()) {
						want["fifo-order"] = true
					}
				}
			}
			for _, s := range sent {
				due := acks && s.node == x.node || from >= 0 && x.Invoke.Final && s.Complete.Index < from
				if due && s.before(x) && !slices.Contains(x.list, s.sent()) {
					want["lost"] = true
				}
			}
			for _, y := range reads {
				if x.node == y.node && (x.differs(y) || x.before(y) && len(y.list) < len(x.list)) {
					want["non-monotonic-read"] = true
				}
			}
		}
		for _, x := range longest {
			for _, y := range longest {
				want["order-gap"] = want["order-gap"] || !isPrefix(x, y) && !isPrefix(y, x)
				want["total-order"] = want["total-order"] || unordered(x, y)
			}
		}
		for _, order := range []string{"total", "fifo", "causal"} {
			res := Broadcast(BroadcastOptions{Order: order, Acks: acks}).Check(t.Context(), h)
			for _, a := range res.Anomalies {
				checkAnomaly(t, res, a, h)
			}
			got := kindsIn(res)
			for _, kind := range []string{"phantom", "duplicate", "fifo-order", "causal-order", "lost", "non-monotonic-read", "order-gap", "total-order"} {
				is := want[kind]
				switch kind {
				case "fifo-order":
					is = is && order == "fifo"
				case "causal-order":
					is = want["fifo-order"] && order == "causal"
				case "order-gap", "total-order":
					// Of a node whose reads contradict each other there is no one log.
					if want["non-monotonic-read"] {
						continue
					}
					is = is && order == "total"
				}
				seen[fmt.Sprint(kind, is)]++
				if slices.Contains(got, kind) != is {
					t.Errorf("order %s: found %v, but %s is %v by definition%s", order, got, kind, is, show(h))
				}
			}
		}
	})
	t.Log(seen)
	if len(seen) != 16 {
		t.Errorf("%v", seen)
	}
}
