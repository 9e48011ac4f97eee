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
	return &witness{spans: kept, why: m.sentence(part, kept, out)}
}

// sentence tells of the calls kept.
func (m Model[S, C]) sentence(part []span[C], kept []int, out outcome[S]) string {
	last := slices.MaxFunc(kept, func(a, b int) int { return cmp.Compare(part[a].op(), part[b].op()) })
	var given []string
	for _, i := range kept {
		if i != last && len(given) < 8 {
			given = append(given, m.told(part[i]))
		}
	}
	if n := len(kept) - 1 - len(given); n > 0 {
		given = append(given, fmt.Sprintf("and %d more", n))
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
	return why + "; the state before it ended could be " + strings.Join(held, " or ")
}

func (m Model[S, C]) told(s span[C]) string {
	return fmt.Sprintf("op %d (process %s) %s", s.op(), s.process, m.describe(s.call))
}
