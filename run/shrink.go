package run

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Shrunk is a schedule that fails as a longer one did.
type Shrunk struct {
	Manifest histories.Manifest
	Script   []histories.Op // invocations
	Faults   int            // injections among them
	Ops      int            // clients' operations among them
	History  histories.History
	Result   checker.Result
	Tries    int
}

// Shrink looks for a small part of a failing run's schedule that fails in the
// same way: with one of the kinds of anomaly that r has. It drops ever smaller
// runs of operations while the rest still fails (delta debugging: Zeller and
// Hildebrandt, IEEE TSE 28(2), 2002). What a simulated link or node draws hardly
// depends on what was dropped, since draws go by name and time.
//
// It ends when no single operation or fault can be dropped, or with ctx, and
// returns the smallest schedule so far; it fails if the whole schedule does not
// fail when it is played again. progress is called with each new smallest.
func Shrink(ctx context.Context, tr *Trial, h histories.History, r checker.Result, progress func(*Shrunk)) (*Shrunk, error) {
	s := &shrinker{ctx: ctx, target: tr.Target, manifest: tr.Manifest, kinds: Kinds(r), progress: progress}
	script := Schedule(h)
	end := histories.Time(0)
	if h.Len() > 0 {
		end = h.At(h.Len() - 1).Time
	}
	if !s.fails(script, end) {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("there was no time to play the schedule of seed %d once: %w", tr.Manifest.Seed, ctx.Err())
		}
		return nil, fmt.Errorf("the schedule of seed %d does not fail again with %v: %s", tr.Manifest.Seed, s.kinds, s.last)
	}
	s.calm()
	s.minimize()
	for s.best.size() > readable && s.best.Faults > 0 && ctx.Err() == nil {
		script = withoutFaults(script, faultIDs(s.script()))
		if !s.fails(script, end) {
			break
		}
		s.minimize()
	}
	if s.smallest.size() > readable {
		s.best, s.reseed = s.smallest, true
		s.minimize()
	}
	return s.smallest, nil
}

// readable is the size at which a schedule is understood at a glance. Of what is
// larger after all, another cause may be smaller: a long run fails more than
// once, and which of its failures is left is chance. So the faults that are left
// are taken out of the whole schedule, and if that fails too it is shrunk anew.
// At last, parts of the smallest are tried under other seeds.
const readable = 20

// size is how much there is to read.
func (s *Shrunk) size() int { return s.Ops + s.Faults }

// Kinds are the kinds of anomaly that make r invalid, sorted; not those that
// are allowed and only mentioned.
func Kinds(r checker.Result) []string {
	broken := map[string]bool{} // the parts that are invalid, by path
	var walk func(path string, r checker.Result)
	walk = func(path string, r checker.Result) {
		for _, p := range r.Parts {
			walk(strings.TrimPrefix(path+"/"+p.Checker, "/"), p)
		}
		broken[path] = len(r.Parts) == 0 && r.Verdict == checker.Invalid
	}
	walk("", r)
	var kinds []string
	for _, a := range r.Anomalies {
		if broken[a.Part] {
			kinds = append(kinds, a.Kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

type shrinker struct {
	ctx      context.Context
	target   targets.Target
	manifest histories.Manifest // of the tries
	kinds    []string           // one of them must be found
	progress func(*Shrunk)
	best     *Shrunk // since the whole schedule
	smallest *Shrunk
	reseed   bool // other seeds may be tried
	tries    int
	last     string // what the last try came to
}

func (s *shrinker) script() []histories.Op { return s.best.Script }

func (s *shrinker) end() histories.Time { return histories.Time(s.best.Manifest.End) }

// minimize drops from the best what it can.
func (s *shrinker) minimize() {
	for before := (*Shrunk)(nil); s.best != before && s.ctx.Err() == nil; {
		before = s.best
		s.cutEnd()
		s.dropFaults()
		s.dropOps()
		s.shortenFaults()
		s.closeGaps()
	}
}

// fails plays script until end, and takes it for the best if it fails.
func (s *shrinker) fails(script []histories.Op, end histories.Time) bool {
	if s.ctx.Err() != nil {
		return false
	}
	s.tries++
	m := s.manifest
	m.End, m.Schedule, m.Reigns, m.Done = max(time.Duration(end), 1), true, nil, nil
	tr, err := NewTrial(s.target, m, script)
	if err != nil {
		s.last = err.Error()
		return false
	}
	h, r, err := tr.Simulate(s.ctx)
	if err != nil {
		s.last = err.Error()
		return false
	}
	got := Kinds(r)
	s.last = fmt.Sprintf("%s %v", r.Verdict, got)
	if r.Verdict != checker.Invalid || !slices.ContainsFunc(got, func(k string) bool { return slices.Contains(s.kinds, k) }) {
		return false
	}
	best := &Shrunk{Manifest: m, Script: script, History: h, Result: r, Tries: s.tries}
	for _, op := range script {
		switch {
		case op.Process.Client():
			best.Ops++
		case op.F == nemesis.Inject:
			best.Faults++
		}
	}
	s.best = best
	if s.smallest == nil || best.size() <= s.smallest.size() {
		if s.smallest = best; s.progress != nil {
			s.progress(best)
		}
	}
	return true
}

// failsElsewhere plays script, which does not fail, under a few other seeds: what
// nodes and links draw may be all that it lacks.
func (s *shrinker) failsElsewhere(script []histories.Op) bool {
	seed := s.manifest.Seed
	for k := range uint64(4) {
		s.manifest.Seed = seed + 1 + k
		if s.fails(script, s.end()) {
			return true
		}
	}
	s.manifest.Seed = seed
	return false
}

// calm has ordinary links and clocks in place of drawn ones. What fails on these
// too fails for the faults that are left at the end, and has a chance to in
// containers.
func (s *shrinker) calm() {
	drawn, calm := s.manifest, s.manifest
	calm.Conditions = nil
	if s.manifest = calm; drawn.Conditions != nil && !s.fails(s.script(), s.end()) {
		s.manifest = drawn
	}
}

// cutEnd ends the run as early as it fails, give or take a twentieth.
func (s *shrinker) cutEnd() {
	lo, hi := histories.Time(0), s.end()
	for hi-lo > max(s.end()/20, histories.Time(time.Millisecond)) && s.ctx.Err() == nil {
		mid := lo + (hi-lo)/2
		n, _ := slices.BinarySearchFunc(s.script(), mid+1, func(op histories.Op, t histories.Time) int { return cmp.Compare(op.Time, t) })
		if s.fails(slices.Clone(s.script()[:n]), mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
}

// dropFaults drops faults, each with its cure: all of them, then halves, then
// one by one.
func (s *shrinker) dropFaults() {
	ids := faultIDs(s.script())
	s.drop(len(ids), func(dropped func(int) bool) []histories.Op {
		var gone []string
		for i, id := range ids {
			if dropped(i) {
				gone = append(gone, id)
			}
		}
		return withoutFaults(s.script(), gone)
	}, func(left []int) {
		kept := make([]string, 0, len(left))
		for _, i := range left {
			kept = append(kept, ids[i])
		}
		ids = kept
	})
}

// dropOps drops clients' operations likewise.
func (s *shrinker) dropOps() {
	count := func() (n int) {
		for _, op := range s.script() {
			if op.Process.Client() {
				n++
			}
		}
		return n
	}
	s.drop(count(), func(dropped func(int) bool) []histories.Op {
		i := -1
		return slices.DeleteFunc(slices.Clone(s.script()), func(op histories.Op) bool {
			if !op.Process.Client() {
				return false
			}
			i++
			return dropped(i)
		})
	}, func([]int) {})
}

// drop tries to do without runs of n things, of ever smaller length. without
// makes the script in which those that it is told of are missing; kept is told
// which are left once a try has succeeded.
func (s *shrinker) drop(n int, without func(dropped func(int) bool) []histories.Op, kept func([]int)) {
	for chunk := n; chunk > 0 && s.ctx.Err() == nil; chunk /= 2 {
		for from := 0; from < n && s.ctx.Err() == nil; {
			to := min(from+chunk, n)
			script := without(func(i int) bool { return i >= from && i < to })
			if !s.fails(script, s.end()) && (!s.reseed || chunk < n/4 || !s.failsElsewhere(script)) {
				from = to
				continue
			}
			var left []int
			for i := range n {
				if i < from || i >= to {
					left = append(left, i)
				}
			}
			kept(left)
			n -= to - from
		}
	}
}

// shortenFaults has each fault aim at fewer nodes.
func (s *shrinker) shortenFaults() {
	for i := 0; i < len(s.script()) && s.ctx.Err() == nil; i++ {
		op := s.script()[i]
		if op.F != nemesis.Inject || !op.Process.Nemesis() {
			continue
		}
		f, err := nemesis.Decode(op)
		if err != nil || f.Kind == nemesis.Partition {
			continue
		}
		for k := 0; k < len(f.Targets) && len(f.Targets) > 1; {
			less := f
			less.Targets = slices.Delete(slices.Clone(f.Targets), k, k+1)
			less.Params.At = maps.Clone(f.Params.At)
			delete(less.Params.At, f.Targets[k])
			script := slices.Clone(s.script())
			script[i].Value = histories.Encode(less)
			if s.fails(script, s.end()) {
				f = less
			} else {
				k++
			}
		}
	}
}

// closeGaps moves operations closer together where nothing happens for long.
func (s *shrinker) closeGaps() {
	for i := 0; i <= len(s.script()) && len(s.script()) <= 100 && s.ctx.Err() == nil; i++ {
		for s.closeGap(i) {
		}
	}
}

// closeGap shortens the time before op i, or before the end. Since nodes and
// links draw anew at other times, it tries many lengths: a half off, a third, and
// so on.
func (s *shrinker) closeGap(i int) bool {
	prev, next := histories.Time(0), s.end()
	if i > 0 {
		prev = s.script()[i-1].Time
	}
	if i < len(s.script()) {
		next = s.script()[i].Time
	}
	gap := next - prev
	if gap < histories.Time(500*time.Millisecond) {
		return false
	}
	for part := histories.Time(2); part < 20; part++ {
		script := slices.Clone(s.script())
		for k := i; k < len(script); k++ {
			script[k].Time -= gap / part
		}
		if s.fails(script, s.end()-gap/part) {
			return true
		}
	}
	return false
}
