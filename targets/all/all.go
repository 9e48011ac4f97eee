// Package all lists the targets. The list is explicit: what there is does not
// depend on what happens to be imported.
package all

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/targets"
	"github.com/torture-harness/torture/targets/primary"
	"github.com/torture-harness/torture/targets/raft"
	"github.com/torture-harness/torture/targets/total"
)

// Catalogue is a list of targets, to choose from by name.
type Catalogue []targets.Target

// Targets are all targets that torture brings along.
func Targets() Catalogue {
	return Catalogue{
		primary.Target,
		raft.Target,
		total.Target,
	}
}

// Names are the targets' names, in the same order.
func (c Catalogue) Names() (names []string) {
	for _, t := range c {
		names = append(names, t.Name)
	}
	return names
}

// Named returns the target of that name. The error says what there is, and
// what may have been meant.
func (c Catalogue) Named(name string) (targets.Target, error) {
	names := c.Names()
	if i := slices.Index(names, name); i >= 0 {
		return c[i], nil
	}
	meant := ""
	if best := Closest(name, names); best != "" {
		meant = fmt.Sprintf(": did you mean %s?", best)
	}
	return targets.Target{}, fmt.Errorf("there is no target %q%s (there are %s)", name, meant, strings.Join(names, ", "))
}

// Closest is the name that fewest edits make of s, if they are few enough to
// be a slip: a third of its letters, and one at least.
func Closest(s string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	best := slices.MinFunc(names, func(a, b string) int { return cmp.Compare(edits(s, a), edits(s, b)) })
	if edits(s, best) > max(1, len(best)/3) && !strings.HasPrefix(best, s) || s == "" {
		return ""
	}
	return best
}

// edits is the distance of Levenshtein: how many letters must be inserted,
// deleted or changed to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
