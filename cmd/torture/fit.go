package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// fitted makes the budget of m, and the kinds of faults unless they were named,
// fit a cluster of one or two nodes, of which no minority can be harmed; and
// says what to make of that. It fails if nothing can be shown of what was named.
//
// Of two nodes one may be harmed then, and the other is left; of one, nobody
// would be left to answer, and there is no link: its clock is all there is.
func fitted(m histories.Manifest, named bool) (_ histories.Manifest, note string, err error) {
	if m.Nodes < 1 || m.Nodes > 2 || m.Targets != "" {
		return m, "", nil
	}
	harmful := func(kind string) bool {
		k := nemesis.Kind(kind)
		if m.Nodes == 1 {
			return k != nemesis.Clock
		}
		return nemesis.Plan{Kinds: []nemesis.Kind{k}, Interval: 1, Nodes: []string{"n1", "n2"}}.Validate() != nil
	}
	var left []string
	for _, k := range m.Nemesis {
		if harmful(k) {
			left = append(left, k)
		}
	}
	switch {
	case len(left) == 0:
		return m, "", nil
	case m.Nodes == 2:
		m.Budget = "1"
		return m, "a minority of 2 nodes is none: --budget 1 lets faults keep one of them from answering; where a target needs a majority, nothing succeeds meanwhile, and the run may be vacuous", nil
	case named:
		return m, "", fmt.Errorf("--nemesis %s: nothing can be shown in a cluster of 1 node, which has no links, and nobody left to answer while the fault lasts: give more --nodes, other kinds, or --budget all to do it all the same", strings.Join(left, ","))
	}
	m.Nemesis = slices.DeleteFunc(m.Nemesis, harmful)
	return m, "a cluster of 1 node: without " + strings.Join(left, ", ") + ", of which nothing could be shown: there are no links, and nobody would be left to answer", nil
}
