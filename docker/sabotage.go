package docker

import (
	"maps"
	"slices"

	"github.com/torture-harness/torture/nemesis"
)

// Sabotage is a way in which a world deceives its users.
type Sabotage string

const (
	// Liar has agents that acknowledge everything and do nothing.
	Liar Sabotage = "liar"
	// Powerless has agents without the capability to do anything.
	Powerless Sabotage = "powerless"
	// Idle acknowledges faults, and does none of any kind.
	Idle Sabotage = "idle"
	// Elsewhere does to the next node what is meant for one.
	Elsewhere Sabotage = "elsewhere"
	// Uncured never ends a fault.
	Uncured Sabotage = "uncured"
)

// deeds are the faults that the world does: the leases, unless it is sabotaged.
// w.mu is held.
func (w *World) deeds() leases {
	switch w.cfg.Sabotage {
	case Idle:
		return nil
	case Elsewhere:
		others := make(leases, len(w.leases))
		for i, l := range w.leases {
			others[i] = l.Renamed(w.mistaken)
		}
		return others
	case Uncured:
		all := slices.Clone(w.leases)
		for _, id := range slices.Sorted(maps.Keys(w.past)) {
			if all.find(id) < 0 {
				all = append(all, w.past[id])
			}
		}
		return all
	}
	return w.leases
}

// struck are the nodes that f is done to.
func (w *World) struck(f nemesis.Fault) []string {
	switch w.cfg.Sabotage {
	case Idle:
		return nil
	case Elsewhere:
		return f.Renamed(w.mistaken).Targets
	}
	return f.Targets
}

// mistaken is the node that is taken for another.
func (w *World) mistaken(name string) string {
	i := slices.Index(w.cfg.Nodes, name)
	return w.cfg.Nodes[(i+1)%len(w.cfg.Nodes)]
}

// asks is the node that the group is asked about in place of victim, if at all.
func (w *World) asks(victim string, inject bool) (name string, ok bool) {
	switch w.cfg.Sabotage {
	case Idle:
		return "", false
	case Elsewhere:
		return w.mistaken(victim), true
	case Uncured:
		return victim, inject
	}
	return victim, true
}
