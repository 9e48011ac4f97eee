package checker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

const (
	minimiseBudget = 1 << 14 // configurations of one attempt
	minimiseTotal  = 1 << 20 // calls looked at and configurations visited by all
)

// minimise finds few calls that already cannot be put in order, by delta
// debugging (Zeller and Hildebrandt, IEEE TSE 28(2), 2002). Leaving out an
// update would make up violations that were not there: a read of it would be
// one. So updates are not left out but freed: they may take effect at any
// time, or never. What cannot be ordered then cannot be ordered for the sake
// of the calls that were not freed, whatever the freed ones did. Only reads are
// left out.
func minimise[S comparable, C any](ctx context.Context, m Model[S, C], part []span[C], out outcome[S]) *witness {
	stuck := part[out.stuck]
	var all []int // what could matter: the calls that began before the stuck one ended
	for i, s := range part {
		if s.begin <= stuck.end {
			all = append(all, i)
		}
	}
	kept := slices.Clone(all)
	spent := 0
	// attempt tells whether the calls in keep, the others freed, are at fault.
	attempt := func(keep []int) bool {
		trial := make([]span[C], 0, len(all))
		k := 0
		for _, i := range all {
			s := part[i]
			switch held := k < len(keep) && keep[k] == i; {
			case held:
				k++
				if s.end > stuck.end {
					s.end = never
				}
			case m.Reads != nil && m.Reads(s.call):
				continue
			default:
				s.begin, s.end = -1, never
			}
			trial = append(trial, s)
		}
		s := newSearch(m, m.useful(trial), minimiseBudget)
		result := s.run(ctx)
		spent += len(trial) + s.visited
		if result.decided && result.stuck >= 0 {
			out.states = result.states
			return true
		}
		return false
	}
	for size := (len(kept) + 1) / 2; size >= 1; size /= 2 {
		for from := 0; from < len(kept) && spent < minimiseTotal; {
			rest := slices.Concat(kept[:from], kept[min(from+size, len(kept)):])
			if attempt(rest) {
				kept = rest
			} else {
				from += size
			}
		}
	}
	return m.tell(part, kept, out)
}

const (
	witnessMax = 24 // calls of a witness that could not be made smaller
	toldMax    = 8  // of those, how many its sentence tells of
)

// tell makes a witness of the calls kept: the last to end, and what it comes
// after, in the order of their begins.
func (m Model[S, C]) tell(part []span[C], kept []int, out outcome[S]) *witness {
	last := slices.MaxFunc(kept, func(a, b int) int { return cmp.Compare(part[a].op(), part[b].op()) })
	before := slices.DeleteFunc(kept, func(i int) bool { return i == last })
	n := len(before)
	before = before[max(0, n-witnessMax+1):]
	var given []string
	if told := before[max(0, len(before)-toldMax):]; len(told) > 0 {
		if n > len(told) {
			given = append(given, fmt.Sprintf("%d calls before", n-len(told)))
		}
		for _, i := range told {
			given = append(given, m.told(part[i]))
		}
	}
	var held []string
	for _, s := range out.states {
		held = append(held, m.describeState(s))
	}
	slices.Sort(held)
	why := m.told(part[last]) + ", which no order of the calls explains"
	if len(given) > 0 {
		why += ", given " + strings.Join(given, ", ")
	}
	return &witness{spans: append([]int{last}, before...), why: why + "; the state before it ended could be " + strings.Join(held, " or ")}
}

func (m Model[S, C]) told(s span[C]) string {
	return fmt.Sprintf("op %d (process %s) %s", s.op(), s.process, m.describe(s.call))
}
