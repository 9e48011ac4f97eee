package checker

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/torture-harness/torture/histories"
)

// LinearizableOptions bound the work on one object. The bounds are numbers of
// steps, not times: the same history has the same verdict on every machine.
type LinearizableOptions struct {
	// Budget is the number of configurations that the search of one object
	// may visit before it gives up; 0 is a million.
	Budget int `json:"budget,omitempty"`

	advise bool // say which options of the command line may help
	noInit bool // the initial value is nobody's choice
}

const (
	budgetDefault = 1 << 20
	drawingMax    = 400     // calls in a drawing
	drawingSteps  = 1 << 18 // steps that porcupine may take for a drawing
	cacheMax      = 1 << 28 // bytes that porcupine may remember
)

// Linearizable checks that the calls of each object can be put in an order
// that m allows and in which each comes between its begin and its end, as
// Herlihy and Wing define it (ACM TOPLAS 12(3), 1990). The order of begins and
// ends is that of op indices; times are not consulted.
//
// An object whose calls can be put in order once its reads may be of any value
// that was current earlier is told of as a stale-read; any other as
// nonlinearizable. Reads of the final phase must not be stale, for what nobody
// is ever shown again was lost.
//
// A failed call had no effect and is left out. A call of unknown outcome may
// take effect at any time after its begin, or never. Objects are judged apart,
// which is exact since linearizability is local: by a polynomial algorithm if
// the model knows one for such calls, else by a search, and if that exceeds
// its budget by porcupine.
func Linearizable[S comparable, C any](m Model[S, C], o LinearizableOptions) Checker {
	if o.Budget <= 0 {
		o.Budget = budgetDefault
	}
	return Func(func(ctx context.Context, h histories.History) Result {
		keys, parts, err := m.split(h)
		if err != nil {
			return unknown("linearizable", err)
		}
		f := find("linearizable")
		judgements := judgeAll(ctx, m, parts, o.Budget)
		var undecided []string
		calls, succeeded, shaped, visited := 0, 0, 0, 0
		for i, j := range judgements {
			calls += len(parts[i])
			for _, s := range parts[i] {
				if !s.open() {
					succeeded++
				}
			}
			visited += j.visited
			if j.shaped {
				shaped++
			}
			switch {
			case !j.decided:
				undecided = append(undecided, fmt.Sprintf("%sits %d calls were not decided within %d configurations%s", object(keys[i]), len(parts[i]), o.Budget, o.advice(keys)))
			case j.found != nil:
				if o.noInit {
					j.found.why += initially(ctx, m, parts[i], o.Budget)
				}
				a := Anomaly{Kind: j.found.kind(), Key: keyName(keys[i]), Why: object(keys[i]) + j.found.why}
				for _, s := range j.found.spans {
					a.Ops = append(a.Ops, j.part[s].op())
				}
				f.add(a)
			}
		}
		f.looked(m.Name + ": each object's calls can be put in an order that it allows and that time does")
		f.stats["model"], f.stats["objects"], f.stats["calls"] = m.Name, len(parts), calls
		f.stats["objects-by-shape"], f.stats["configurations"] = shaped, visited
		if err := ctx.Err(); err != nil {
			undecided = []string{err.Error()}
		}
		if len(undecided) > CasesMax {
			undecided = append(undecided[:CasesMax], fmt.Sprintf("and %d more", len(undecided)-CasesMax))
		}
		r := f.result(strings.Join(undecided, "; "))
		if succeeded == 0 {
			r.vacuous("no call succeeded")
		}
		for i, a := range r.Anomalies {
			k := 0 // not by the key's name: that of 1 is also that of "1"
			for judgements[k].found == nil || object(keys[k])+judgements[k].found.why != a.Why {
				k++
			}
			name := "linearizability.html"
			if a.Key != "" {
				name = "linearizability-" + fileName(a.Key) + ".html"
			}
			if page := draw(ctx, m, judgements[k].picture(), drawingSteps); page != nil && r.Files[name] == nil {
				if r.Files == nil {
					r.Files = map[string][]byte{}
				}
				r.Files[name], r.Anomalies[i].File = page, name
			}
		}
		return r
	})
}

// advice says how a search that was given up can be helped.
func (o LinearizableOptions) advice(keys []string) string {
	if !o.advise {
		return ""
	}
	s := fmt.Sprintf(" (to search longer, --option budget=%d", 16*o.Budget)
	if len(keys) == 1 && keys[0] == "" {
		s += "; values that are [key value] of many objects are judged apart, and sooner, with --independent"
	}
	return s + ")"
}

// initially says with which initial value a part that is not linearizable would
// be, or nothing.
func initially[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], budget int) string {
	if m.at == nil || m.guess == nil {
		return ""
	}
	init := m.guess(part)
	if init == nil {
		return ""
	}
	other, err := m.at(init)
	if err != nil {
		return ""
	}
	if j := judge(ctx, other, part, min(budget, minimiseBudget)); !j.decided || j.found != nil {
		return ""
	}
	return fmt.Sprintf("; all is well if it was %s at first: if so, --option init='%s'", init, init)
}

// keyName is a key as people know it: "k3" without its quotes.
func keyName(key string) string { return strings.Trim(key, `"`) }

func object(key string) string {
	if key == "" {
		return ""
	}
	return keyName(key) + ": "
}

// fileName is s with all that a file's name should not have replaced.
func fileName(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	return clean[:min(len(clean), 64)]
}

// judgement of one object.
type judgement[C any] struct {
	part    []span[C] // the calls judged: those that could matter
	found   *witness
	decided bool
	shaped  bool // by a polynomial algorithm
	visited int
}

// judgeAll judges parts on all processors, the largest first.
func judgeAll[S comparable, C any](ctx context.Context, m Model[S, C], parts [][]span[C], budget int) []judgement[C] {
	order := make([]int, len(parts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(parts[b]) - len(parts[a]) })
	all := make([]judgement[C], len(parts))
	var next atomic.Int64
	var wg sync.WaitGroup
	var crash atomic.Value
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					crash.CompareAndSwap(nil, fmt.Sprintf("%v, at %s", p, Where()))
				}
			}()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(order) {
					return
				}
				all[order[i]] = judge(ctx, m, parts[order[i]], budget)
			}
		})
	}
	wg.Wait()
	if p := crash.Load(); p != nil {
		panic(p)
	}
	return all
}

func judge[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], budget int) judgement[C] {
	j := order(ctx, m, part, budget)
	if late := belated(part); j.found != nil && late != nil {
		again := order(ctx, m, late, budget)
		j.found.stale = again.decided && again.found == nil
		j.visited += again.visited
	}
	return j
}

// belated is part with reads that may have happened at any time before they
// ended; nil if there is none.
func belated[C any](part []span[C]) []span[C] {
	late := slices.Clone(part)
	any := false
	for i := range late {
		if late[i].stale {
			late[i].begin, any = -1, true
		}
	}
	if !any {
		return nil
	}
	return late
}

// order decides whether the calls of part can be put in order.
func order[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], budget int) judgement[C] {
	if m.shape != nil {
		if w, fits := m.shape(part); fits {
			return judgement[C]{part: part, found: w, decided: true, shaped: true}
		}
	}
	part = m.useful(part)
	s := newSearch(m, part, budget)
	out := s.run(ctx)
	j := judgement[C]{part: part, decided: out.decided, visited: s.visited}
	switch {
	case !out.decided:
		steps := min(2*budget, cacheMax/(len(part)/8+64))
		var ok bool
		if ok, j.decided = depthFirst(ctx, m, part, steps); j.decided && !ok {
			j.found = &witness{why: fmt.Sprintf("no order of its %d calls explains them", len(part))}
		}
	case out.stuck >= 0:
		j.found = minimise(ctx, m, part, out)
	}
	return j
}

// useful leaves out the calls of unknown outcome that nobody could observe.
func (m Model[S, C]) useful(part []span[C]) []span[C] {
	if m.useless == nil {
		return part
	}
	drop := m.useless(part)
	if !slices.Contains(drop, true) {
		return part
	}
	var kept []span[C]
	for i, s := range part {
		if !drop[i] {
			kept = append(kept, s)
		}
	}
	return kept
}

func (m Model[S, C]) describe(c C) string {
	if m.Describe != nil {
		return m.Describe(c)
	}
	return fmt.Sprint(c)
}

func (m Model[S, C]) describeState(s S) string {
	if m.DescribeState != nil {
		return m.DescribeState(s)
	}
	return fmt.Sprint(s)
}

// picture is what to draw: all calls that began before the last one of the
// witness ended, or if they are too many those of the witness alone.
func (j judgement[C]) picture() []span[C] {
	if j.found == nil || len(j.found.spans) == 0 {
		return j.part[:min(len(j.part), drawingMax)]
	}
	last := 0
	for _, s := range j.found.spans {
		last = max(last, j.part[s].op())
	}
	var all []span[C]
	for _, s := range j.part {
		if s.begin <= last {
			if s.end > last {
				s.end = never
			}
			all = append(all, s)
		}
	}
	if len(all) <= drawingMax {
		return all
	}
	all = nil
	for _, s := range slices.Sorted(slices.Values(j.found.spans)) {
		all = append(all, j.part[s])
	}
	return all
}
