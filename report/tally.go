package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// call is a client's operation: indices of its two halves in the history, the
// second -1 if it never completed.
type call struct {
	begin, end int32
}

// calls lists the clients' calls of h in the order of their invocations. A
// completion without one, as compact histories have them, is both halves.
func calls(h histories.History) []call {
	var cs []call
	for i := range h.Len() {
		if !h.Process(i).Client() {
			continue
		}
		switch pair := h.Pair(i); {
		case h.Type(i) == histories.Invoke:
			cs = append(cs, call{int32(i), int32(pair)})
		case pair < 0:
			cs = append(cs, call{int32(i), int32(i)})
		}
	}
	return cs
}

// outcome is the type of c's completion; Info if it has none.
func (c call) outcome(h histories.History) histories.Type {
	if c.end < 0 {
		return histories.Info
	}
	return h.Type(int(c.end))
}

// took is how long c took, and whether it ended at all.
func (c call) took(h histories.History) (time.Duration, bool) {
	if c.end < 0 {
		return 0, false
	}
	return max(0, time.Duration(h.Time(int(c.end))-h.Time(int(c.begin)))), true
}

// counts are a row of the table of operations.
type counts struct {
	F              string
	OK, Fail, Info int
	Latency        latency // of those that succeeded
}

func (c counts) All() int { return c.OK + c.Fail + c.Info }

func (c *counts) add(t histories.Type) {
	switch t {
	case histories.OK:
		c.OK++
	case histories.Fail:
		c.Fail++
	default:
		c.Info++
	}
}

// latency has quantiles of a set of durations.
type latency struct{ P50, P95, P99, Max string }

func quantiles(ds []time.Duration) latency {
	if len(ds) == 0 {
		return latency{"–", "–", "–", "–"}
	}
	slices.Sort(ds)
	at := func(q float64) string { return brief(checker.Quantile(ds, q)) }
	return latency{at(0.5), at(0.95), at(0.99), at(1)}
}

// tally counts calls by operation, all of them last.
func tally(h histories.History, cs []call) []counts {
	index := map[string]int{}
	var rows []counts
	var took [][]time.Duration
	sum := counts{F: "all"}
	var all []time.Duration
	for _, c := range cs {
		f := h.F(int(c.begin))
		i, ok := index[f]
		if !ok {
			i = len(rows)
			index[f] = i
			rows, took = append(rows, counts{F: plain(clip(f, 60))}), append(took, nil)
		}
		t := c.outcome(h)
		rows[i].add(t)
		sum.add(t)
		if d, ok := c.took(h); ok && t == histories.OK {
			took[i], all = append(took[i], d), append(all, d)
		}
	}
	for i := range rows {
		rows[i].Latency = quantiles(took[i])
	}
	slices.SortFunc(rows, func(a, b counts) int { return cmp.Compare(a.F, b.F) })
	sum.Latency = quantiles(all)
	return append(rows, sum)
}

// reason is why operations did not succeed, and how often.
type reason struct {
	F, Type, Error string
	Count          int
}

// reasons lists the commonest errors, at most n.
func reasons(h histories.History, cs []call, n int) []reason {
	type key struct {
		f, e string
		t    histories.Type
	}
	count := map[key]int{}
	for _, c := range cs {
		if t := c.outcome(h); t != histories.OK {
			k := key{h.F(int(c.begin)), "never completed", t}
			if c.end >= 0 {
				k.e = h.Error(int(c.end))
			}
			count[k]++
		}
	}
	var all []reason
	for k, n := range count {
		all = append(all, reason{plain(clip(k.f, 60)), k.t.String(), plain(clip(k.e, 200)), n})
	}
	slices.SortFunc(all, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.F, b.F), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Error, b.Error))
	})
	return all[:min(n, len(all))]
}

// fault is a fault as the report shows it.
type fault struct {
	ID, Kind, Victims, Params string
	From, To                  histories.Time // in force, for all we know
	Inject, Over              histories.Time // attempted, and certainly over
	Verified, Cured           bool
	Hidden                    bool // others kept it from being seen
	Effective                 bool // it was seen in force, or may have been
	Open                      bool // it was not cured
	Checks                    []nemesis.Check
	Error                     string
	Colour                    int // of its kind, in page.css
}

// evidenceMax bounds the checks shown of one fault.
const evidenceMax = 40

// faults lists the faults of h. A fault is in force from the completion of its
// injection to the invocation of its cure; one whose injection came to nothing
// certain counts from its invocation.
func faults(h histories.History) []fault {
	var all []fault
	kinds := map[string]int{}
	var last histories.Time
	if n := h.Len(); n > 0 {
		last = h.Time(n - 1)
	}
	for _, iv := range h.Intervals() {
		f := fault{ID: plain(clip(iv.ID, 60)), Kind: plain(clip(iv.Kind, 60)), Verified: iv.Verified, Cured: iv.CuredWell, Effective: true}
		var v struct {
			Targets []string        `json:"targets"`
			Params  json.RawMessage `json:"params"`
		}
		_ = json.Unmarshal(iv.Value, &v) // odd faults have no victims
		for i, n := range v.Targets {
			if i > 0 {
				f.Victims += " "
			}
			f.Victims += plain(clip(n, 60))
		}
		var link struct{ From, To string }
		if json.Unmarshal(v.Params, &link) == nil && link.From != "" {
			f.Victims = plain(clip(link.From, 60)) + " → " + plain(clip(link.To, 60))
		}
		f.Params = value(v.Params, 600)
		f.Inject = h.Time(iv.Inject)
		f.From, f.To, f.Over = f.Inject, last, last
		end := h.Pair(iv.Inject)
		switch {
		case iv.InForce >= 0:
			f.From = h.Time(iv.InForce)
		case end >= 0 && h.Type(end) == histories.Fail:
			f.Effective, f.To, f.Over = false, h.Time(end), h.Time(end)
		}
		if end >= 0 {
			var e nemesis.Evidence
			if json.Unmarshal(h.Value(end), &e) == nil {
				f.Checks = e.Checks[:min(len(e.Checks), evidenceMax)]
				f.Hidden = !f.Verified && len(e.Checks) == 0 && len(e.Holders) > 0
			}
			f.Error = plain(clip(h.Error(end), 300))
		}
		if f.Open = iv.Cure < 0 && f.Effective; iv.Cure >= 0 {
			f.To = max(f.From, h.Time(iv.Cure))
			f.Over = f.To
			if iv.Over >= 0 {
				f.Over = max(f.To, h.Time(iv.Over))
			}
		}
		if _, ok := kinds[f.Kind]; !ok {
			kinds[f.Kind] = len(kinds) % paletteSize
		}
		f.Colour = kinds[f.Kind]
		all = append(all, f)
	}
	return all
}

// kindCount says what came of the faults of one kind.
type kindCount struct {
	Kind                    string
	Colour                  int
	Count, Verified, Hidden int
}

// doubt says how many faults were not seen in force, if any.
func (k kindCount) doubt() string {
	var parts []string
	if n := k.Count - k.Verified - k.Hidden; n > 0 {
		parts = append(parts, number(n)+" not verified")
	}
	if k.Hidden > 0 {
		parts = append(parts, number(k.Hidden)+" hidden by others")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// String is for the terminal and the report's heading.
func (k kindCount) String() string { return fmt.Sprintf("%s ×%d%s", k.Kind, k.Count, k.doubt()) }

// faultCounts counts fs by kind, sorted by name.
func faultCounts(fs []fault) (kinds []kindCount) {
	at := map[string]int{}
	for _, f := range fs {
		if _, ok := at[f.Kind]; !ok {
			at[f.Kind] = len(kinds)
			kinds = append(kinds, kindCount{Kind: f.Kind, Colour: f.Colour})
		}
		k := &kinds[at[f.Kind]]
		k.Count++
		switch {
		case f.Verified:
			k.Verified++
		case f.Hidden:
			k.Hidden++
		}
	}
	slices.SortFunc(kinds, func(a, b kindCount) int { return strings.Compare(a.Kind, b.Kind) })
	return kinds
}
