package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/histories"
)

// RecoveryOptions say who must answer in the end, and how.
type RecoveryOptions struct {
	// Nodes are the nodes of the cluster.
	Nodes []string `json:"nodes"`
	// Recovery is how long after the last cure nodes may take to serve again.
	Recovery time.Duration `json:"recovery,omitempty"`
	// Refusals are, for each node, the errors by which it may answer.
	Refusals map[string][]string `json:"refusals,omitempty"`
}

// UnmarshalJSON takes recovery as a number of nanoseconds or as "5s".
func (o *RecoveryOptions) UnmarshalJSON(b []byte) error {
	type plain RecoveryOptions
	v := struct {
		*plain
		Recovery lapse `json:"recovery"`
	}{plain: (*plain)(o)}
	err := json.Unmarshal(b, &v)
	o.Recovery = time.Duration(v.Recovery)
	return err
}

// Recovery checks that every node serves again after the last fault: each
// final operation that a node is asked, by whatever client and however often,
// it answers once, with ok or a refusal that it owes.
//
// A node is judged if it is up and belongs to the group at the end, all faults
// were over before the final phase, and it was asked for as long as it may take
// to recover, after it had as long to do so. It left the group by a fault of
// kind membership, until the cure of that is seen; the others owe it to serve
// without it, so that such a fault need not be over: it may be the group itself
// that does not take it back. A node that ended of itself is for Panics.
func Recovery(o RecoveryOptions) Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		r := recovery{findings: find("recovery"), o: o, h: h, from: map[string]string{}, down: map[string]bool{}}
		r.read()
		r.judge()
		return r.result("")
	})
}

type recovery struct {
	*findings
	o      RecoveryOptions
	h      histories.History
	healed int               // the op by which all faults were over, or -1
	calm   bool              // they were before the final phase, but for some of kind membership
	from   map[string]string // of a node that has left the group, the fault by which
	down   map[string]bool
}

func (r *recovery) read() {
	r.healed = -1
	groups := map[string][]string{} // faults of kind membership: whom they are about
	open := map[string]bool{}       // other faults that are not over
	end := endingOf(r.h)
	r.calm = end.judged
	for i := range r.h.Len() {
		if i == end.from {
			r.calm = r.calm || len(open) == 0 && len(r.from) > 0
		}
		switch p, f := r.h.Process(i), r.h.F(i); {
		case p.Client():
		case p == histories.World && f == "heal" && i < end.from:
			r.healed = i
			clear(open)
		case p.Nemesis():
			v, err := histories.Decode[struct {
				ID      string   `json:"id"`
				Kind    string   `json:"kind"`
				Targets []string `json:"targets"`
			}](r.h.At(i))
			switch began := f == "inject" && r.h.Type(i) == histories.Invoke; {
			case began && i > end.from:
				r.calm = false
			case err != nil:
			case began && v.Kind != "membership":
				open[v.ID] = true
			case began:
				groups[v.ID] = v.Targets
				for _, n := range v.Targets {
					r.from[n] = v.ID
				}
			case r.h.Type(i) != histories.OK:
			case v.Kind == "membership":
				for _, n := range groups[v.ID] {
					if f == "cure" && r.from[n] == v.ID {
						delete(r.from, n)
					}
				}
				fallthrough // the group is another
			case f == "cure" && i < end.from:
				delete(open, v.ID)
				if len(r.from) > 0 && len(open) == 0 && i < end.from {
					r.healed = i
				}
			}
		case f == "crash":
			r.down[p.String()] = true
		case f == "restart":
			delete(r.down, p.String())
		}
	}
}

// question is a final operation that a node is asked.
type question struct {
	node, f, key string
}

// asking is how a question fared.
type asking struct {
	answered    bool
	first, last int // invocations
	n           int
	until       histories.Time // of the last one's end
	why         string         // how that ended
}

func (r *recovery) judge() {
	end := endingOf(r.h)
	const what = "that each node recovers"
	if end.from == r.h.Len() || !r.calm {
		r.skipped(what + ": there is no final phase after the last cure")
		return
	}
	healed := histories.Time(0)
	if r.healed >= 0 {
		healed = r.h.Time(r.healed)
	}
	// A world notes a little later than it cured that all faults are over.
	begin := healed.Add(r.o.Recovery - r.o.Recovery/10)
	asked := map[question]*asking{}
	var order []question
	eachCall(r.h, func(i, done int, outcome histories.Type) {
		q := question{r.h.Node(i), r.h.F(i), string(r.h.Key(i))}
		if !r.h.Final(i) || q.node == "" {
			return
		}
		a := asked[q]
		if a == nil {
			a = &asking{first: -1}
			asked[q], order = a, append(order, q)
		}
		a.answered = a.answered || outcome == histories.OK ||
			outcome == histories.Fail && slices.Contains(r.o.Refusals[q.node], r.h.Error(done))
		if r.h.Time(i) < begin {
			return
		}
		if a.n++; a.first < 0 {
			a.first = i
		}
		a.last, a.until, a.why = i, r.h.Time(r.h.Len()-1), "it is open"
		if done != never {
			a.until, a.why = r.h.Time(done), r.h.Error(done)
		}
	})
	judged := map[string]bool{}
	for _, q := range order {
		a := asked[q]
		switch {
		case a.answered:
			judged[q.node] = true
		case r.down[q.node] || r.from[q.node] != "" || a.n == 0 || a.until-r.h.Time(a.first) < histories.Time(r.o.Recovery):
		default:
			judged[q.node] = true
			r.unrecovered(q, a)
		}
	}
	for _, n := range r.o.Nodes {
		if !judged[n] && !r.down[n] && r.from[n] == "" {
			r.skipped(what + ": " + n + " was not asked for long enough")
		}
	}
	r.stats["judged"] = len(judged)
	if len(judged) > 0 {
		r.looked(what)
	}
}

func (r *recovery) unrecovered(q question, a *asking) {
	what := q.f
	if q.key != "" {
		what += " " + q.key
	}
	ops, asked := []int{a.first}, fmt.Sprintf("did not answer op %d, a final %s", a.first, what)
	if a.n > 1 {
		ops, asked = append(ops, a.last), fmt.Sprintf("answered none of %d final operations %s, from op %d to op %d", a.n, what, a.first, a.last)
	}
	calm := "no fault was ever in force"
	if r.healed >= 0 {
		ops = append(ops, r.healed)
		calm = fmt.Sprintf("all faults were over %v before (op %d)", time.Duration(r.h.Time(a.first)-r.h.Time(r.healed)).Round(time.Millisecond), r.healed)
		if len(r.from) > 0 {
			calm = strings.Replace(calm, "all faults", "all faults but of those that left", 1)
		}
	}
	r.addf("no-recovery", ops, "%s is up, and %s (%s); %s", q.node, asked, a.why, calm)
}
