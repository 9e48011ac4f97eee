package nemesis

import (
	"fmt"
	"slices"
	"strconv"
)

// Budget says how many nodes may be unable to answer at once. The zero Budget
// is a minority, so that a quorum is left.
type Budget struct{ text string }

// ParseBudget reads "none", "minority", "all", or a number of nodes. Empty is
// "minority".
func ParseBudget(s string) (Budget, error) {
	switch s {
	case "", "minority":
		return Budget{}, nil
	case "all", "none":
		return Budget{s}, nil
	}
	if n, err := strconv.Atoi(s); err != nil || n < 0 {
		return Budget{}, fmt.Errorf("budget %q: want none, minority, all, or how many nodes may be unable to answer at once", s)
	}
	return Budget{s}, nil
}

// String is what ParseBudget reads.
func (b Budget) String() string {
	if b.text == "" {
		return "minority"
	}
	return b.text
}

// Of is the number of nodes that b allows of n.
func (b Budget) Of(n int) int {
	switch b.String() {
	case "minority":
		return minority(n)
	case "all":
		return n
	case "none":
		return 0
	}
	limit, _ := strconv.Atoi(b.text)
	return min(limit, n)
}

// Disabling tells whether faults of kind k keep nodes from answering, and so
// count against a budget.
func (k Kind) Disabling() bool { return k.halting() || k == Partition }

// halting tells whether faults of kind k take the victims themselves out of
// service, so that little could be seen of a second such fault.
func (k Kind) halting() bool {
	switch k {
	case Kill, Stop, Power, Pause, Membership:
		return true
	}
	return false
}

// Unable is the number of nodes that cannot serve while all the faults are in
// force: those that are down, paused or no members, and those that the
// best-placed other node cannot talk with, both ways. With a majority able,
// there is a node that can lead one. In a majorities ring, then, a majority is
// able, although no three nodes all hear one another; in a bridge everybody
// is, unless the bridge is down.
func Unable(nodes []string, faults ...Fault) int {
	index := make(map[string]int, len(nodes))
	for i, n := range nodes {
		index[n] = i
	}
	down := make([]bool, len(nodes))
	cut := make([][]bool, len(nodes)) // either way
	for i := range cut {
		cut[i] = make([]bool, len(nodes))
	}
	for _, f := range faults {
		switch {
		case f.Kind.halting():
			for _, n := range f.Targets {
				if i, ok := index[n]; ok {
					down[i] = true
				}
			}
		case f.Kind == Partition:
			for n, from := range f.Params.Drop {
				for _, m := range from {
					if i, ok := index[n]; ok {
						if j, ok := index[m]; ok {
							cut[i][j], cut[j][i] = true, true
						}
					}
				}
			}
		}
	}
	best := 0
	for i := range nodes {
		able := 0
		for j := range nodes {
			if !down[i] && !down[j] && !cut[i][j] {
				able++
			}
		}
		best = max(best, able)
	}
	return len(nodes) - best
}

// halted lists the nodes that halting faults hold.
func halted(faults []Fault) []string {
	var all []string
	for _, f := range faults {
		if f.Kind.halting() {
			all = append(all, f.Targets...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
