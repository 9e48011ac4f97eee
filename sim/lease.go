package sim

import (
	"slices"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// lease is a fault in force.
type lease struct {
	nemesis.Fault
	since histories.Time
	lives map[string]uint32 // of its targets, when it began
	down  map[string]bool   // likewise: those that were down
}

// leases are faults, in the order in which they began.
type leases []lease

// on returns those of some kinds that have m for a target.
func (ls leases) on(m *machine, kinds ...nemesis.Kind) (found leases) {
	for _, l := range ls {
		if slices.Contains(kinds, l.Kind) && slices.Contains(l.Targets, string(m.id)) {
			found = append(found, l)
		}
	}
	return found
}

func (ls leases) find(id string) int {
	return slices.IndexFunc(ls, func(l lease) bool { return l.ID == id })
}

// except returns all but the fault id.
func (ls leases) except(id string) leases {
	return slices.DeleteFunc(slices.Clone(ls), func(l lease) bool { return l.ID == id })
}

func (ls leases) with(l lease) leases { return append(slices.Clip(ls), l) }

// trouble is their union on a link.
func (ls leases) trouble(from, to *machine) (t trouble) {
	for _, l := range ls {
		if l.ActsOn(string(from.id), string(to.id)) {
			t.add(l.Fault)
		}
	}
	return t
}
