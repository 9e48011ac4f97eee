package checker

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/torture-harness/torture/histories"
)

// StatsOptions say how much must have happened for a verdict to mean anything.
type StatsOptions struct {
	// Faults are the kinds that were asked for.
	Faults []string `json:"faults,omitempty"`
	// MinOps is the number of client operations that must succeed, and must
	// do so while a kind of fault is in force.
	MinOps int `json:"min-ops,omitempty"`
	// Exempt lists operations that need not succeed.
	Exempt []string `json:"exempt,omitempty"`
}

// Stats counts what happened and concludes Vacuous if that was too little:
//
//	no-operations         no client invoked anything
//	never-ok:F            no operation F succeeded
//	final-never-ok:F      none did in the final phase, and some were tried
//	fault-not-verified:K  no fault of a kind asked for, or tried, was seen in force
//	fault-not-cured:K     a fault of a kind was not seen to be over after its cure
//	few-operations:K      fewer than MinOps operations succeeded while one was
//	few-operations        fewer than MinOps did at all
//
// One fault of a kind, seen in force, is enough for the kind: others that
// could not be verified are counted. It never concludes Invalid.
func Stats(o StatsOptions) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		s := tally{findings: find("stats"), o: o, byF: map[string]*count{}, final: map[string]*count{}}
		s.read(h)
		s.operations()
		s.faults(h)
		s.gaps()
		return s.result("")
	})
}

type tally struct {
	*findings
	o          StatsOptions
	byF, final map[string]*count
	total      count
	oks        []int            // indices of ok completions, ascending
	times      []histories.Time // their times
	first      histories.Time   // of the first invocation
	last       histories.Time   // of the last op
	lastCure   int              // index of the end of the last cure, or -1
	cureTime   histories.Time
}

type count struct {
	Ok      int     `json:"ok"`
	Fail    int     `json:"fail"`
	Info    int     `json:"info"`
	latency []int64 // of ok calls, ns
}

func (c *count) all() int { return c.Ok + c.Fail + c.Info }

func (c *count) add(t histories.Type) {
	switch t {
	case histories.OK:
		c.Ok++
	case histories.Fail:
		c.Fail++
	default:
		c.Info++
	}
}

func (s *tally) read(h histories.History) {
	s.lastCure = -1
	for i := range h.Len() {
		s.last = h.Time(i)
		if h.Type(i) != histories.Invoke && h.F(i) == "cure" && h.Process(i).Nemesis() {
			s.lastCure, s.cureTime = i, h.Time(i)
		}
	}
	eachCall(h, func(begin, end int, outcome histories.Type) {
		if s.total.all() == 0 {
			s.first = h.Time(begin)
		}
		f := at(s.byF, h.F(begin))
		f.add(outcome)
		s.total.add(outcome)
		if h.Final(begin) {
			at(s.final, h.F(begin)).add(outcome)
		}
		if outcome == histories.OK {
			s.oks = append(s.oks, end)
			f.latency = append(f.latency, int64(h.Time(end)-h.Time(begin)))
		}
	})
	slices.Sort(s.oks)
	for _, i := range s.oks {
		s.times = append(s.times, h.Time(i))
	}
}

func at(m map[string]*count, f string) *count {
	if m[f] == nil {
		m[f] = &count{}
	}
	return m[f]
}

func (s *tally) operations() {
	if s.total.all() == 0 {
		s.empty("no-operations", "no client invoked anything")
		return
	}
	for _, f := range sortedKeys(s.byF) {
		if c := s.byF[f]; c.Ok == 0 && !slices.Contains(s.o.Exempt, f) {
			s.empty("never-ok:"+f, "none of %d operations %s succeeded", c.all(), f)
		}
	}
	for _, f := range sortedKeys(s.final) {
		if c := s.final[f]; c.Ok == 0 && s.byF[f].Ok > 0 && !slices.Contains(s.o.Exempt, f) {
			s.empty("final-never-ok:"+f, "none of %d final operations %s succeeded", c.all(), f)
		}
	}
	if s.total.Ok < s.o.MinOps {
		s.empty("few-operations", "%d operations succeeded: want %d", s.total.Ok, s.o.MinOps)
	}
	operations := map[string]any{}
	for f, c := range s.byF {
		m := map[string]any{"ok": c.Ok, "fail": c.Fail, "info": c.Info}
		if len(c.latency) > 0 {
			slices.Sort(c.latency)
			m["latency-ns"] = map[string]int64{
				"0.5": Quantile(c.latency, 0.5), "0.95": Quantile(c.latency, 0.95), "0.99": Quantile(c.latency, 0.99), "1": Quantile(c.latency, 1),
			}
		}
		operations[f] = m
	}
	s.stats["operations"] = operations
	s.table = [][]string{{"operation", "ok", "fail", "info", "median", "99 %", "longest"}}
	for _, f := range sortedKeys(s.byF) {
		c := s.byF[f]
		row := []string{f, strconv.Itoa(c.Ok), strconv.Itoa(c.Fail), strconv.Itoa(c.Info)}
		if len(c.latency) > 0 {
			for _, q := range []float64{0.5, 0.99, 1} {
				row = append(row, time.Duration(Quantile(c.latency, q)).String())
			}
		}
		s.table = append(s.table, row)
	}
	s.stats["ok"], s.stats["fail"], s.stats["info"] = s.total.Ok, s.total.Fail, s.total.Info
	s.stats["answered"] = float64(s.total.Ok+s.total.Fail) / float64(s.total.all())
}

// Quantile is the smallest element of sorted that at least the share q of all
// do not exceed: the nearest rank, so that it is one that was measured. sorted
// must not be empty.
func Quantile[T cmp.Ordered](sorted []T, q float64) T {
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9)) // 0.07 × 100 is a little more than 7
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// faults looks at what went on while faults were in force, which is from the
// completion of an injection to the invocation of its cure.
func (s *tally) faults(h histories.History) {
	byKind := map[string][]histories.Interval{}
	for _, v := range h.Intervals() {
		byKind[v.Kind] = append(byKind[v.Kind], v)
	}
	kinds := map[string]bool{}
	for _, kind := range s.o.Faults {
		kinds[kind] = true
	}
	for kind := range byKind {
		kinds[kind] = true
	}
	table := map[string]any{}
	for _, kind := range sortedKeys(kinds) {
		verified, cured, uncured, during := 0, 0, 0, 0
		until := -1 // faults of a kind may overlap
		slices.SortStableFunc(byKind[kind], func(a, b histories.Interval) int { return cmp.Compare(a.InForce, b.InForce) })
		for _, v := range byKind[kind] {
			switch {
			case v.CuredWell:
				cured++
			case v.Over >= 0:
				uncured++
			}
			if !v.Verified {
				continue
			}
			verified++
			end := v.Cure
			if end < 0 {
				end = h.Len()
			}
			during += s.between(max(v.InForce, until), end)
			until = max(until, end)
		}
		injected := len(byKind[kind])
		if uncured > 0 {
			s.empty("fault-not-cured:"+kind, "%d of %d faults of kind %s were not seen to be over when they were cured", uncured, injected, kind)
		}
		table[kind] = map[string]int{"injected": injected, "verified": verified, "cured": cured, "operations": during}
		switch {
		case injected == 0:
			s.empty("fault-not-verified:"+kind, "no fault of kind %s was injected", kind)
		case verified == 0:
			s.empty("fault-not-verified:"+kind, "none of %d faults of kind %s was seen in force", injected, kind)
		case during < s.o.MinOps:
			s.empty("few-operations:"+kind, "%d operations succeeded while a fault of kind %s was in force: want %d", during, kind, s.o.MinOps)
		}
	}
	if len(table) > 0 {
		s.stats["faults"] = table
	}
}

// between is the number of ok completions with an index in (from, to).
func (s *tally) between(from, to int) int {
	a, _ := slices.BinarySearch(s.oks, from+1)
	b, _ := slices.BinarySearch(s.oks, to)
	return max(b-a, 0)
}

// gaps measures how long nothing succeeded: at most, and from the end of the
// last cure on.
func (s *tally) gaps() {
	if s.total.all() == 0 {
		return
	}
	longest, before := histories.Time(0), s.first
	for _, t := range s.times {
		longest, before = max(longest, t-before), t
	}
	s.stats["longest-gap-ns"] = int64(max(longest, s.last-before))
	if s.lastCure >= 0 {
		if i, _ := slices.BinarySearch(s.oks, s.lastCure); i < len(s.times) {
			s.stats["recovery-ns"] = int64(max(s.times[i]-s.cureTime, 0))
		}
	}
}
