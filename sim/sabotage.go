package sim

import (
	"slices"

	"github.com/torture-harness/torture/nemesis"
)

// Sabotage is a way in which the simulator deceives its users: what it does is
// not what it says. It is there to test that torture notices.
type Sabotage string

const (
	Idle    Sabotage = "idle"    // faults are acknowledged, and not done
	Astray  Sabotage = "astray"  // they are done to the next nodes in place of those named
	OneWay  Sabotage = "one-way" // they are done in one direction of two; or in the wrong one
	Endless Sabotage = "endless" // cures are acknowledged, and not done
)

// suffered are the faults that machines and links really suffer.
func (w *World) suffered() (all leases) {
	known := w.leases
	if w.cfg.Sabotage == Endless {
		known = slices.Concat(w.past, known)
	}
	for _, l := range known {
		for _, f := range w.cfg.Sabotage.deeds(l.Fault, w.names) {
			all = append(all, lease{Fault: f, since: l.since})
		}
	}
	return all
}

// subject is whom the group is asked to let leave or join in place of victim, if
// it is asked at all.
func (s Sabotage) subject(f, victim string, nodes []string) string {
	if s == Endless && f == nemesis.Cure {
		return ""
	}
	for _, deed := range s.deeds(nemesis.Fault{Kind: nemesis.Membership, Targets: []string{victim}}, nodes) {
		return deed.Targets[0]
	}
	return ""
}

// deeds are what is done in place of f.
func (s Sabotage) deeds(f nemesis.Fault, nodes []string) []nemesis.Fault {
	switch s {
	case Idle:
		return nil
	case Astray:
		return []nemesis.Fault{f.Renamed(func(n string) string { return nodes[(slices.Index(nodes, n)+1)%len(nodes)] })}
	case OneWay:
		if links := oneWay(f, nodes); links != nil {
			return links
		}
	}
	return []nemesis.Fault{f}
}

// oneWay is f, if it is a fault of links, on the first direction alone of each
// link that it strikes in both, and on the other direction of each that it
// strikes in one.
func oneWay(f nemesis.Fault, nodes []string) (all []nemesis.Fault) {
	for i, a := range nodes {
		for _, b := range nodes[i+1:] {
			forth, back := f.ActsOn(a, b), f.ActsOn(b, a)
			switch {
			case back: // alone, or both
				all = append(all, along(f, a, b))
			case forth:
				all = append(all, along(f, b, a))
			}
		}
	}
	return all
}

// along is f on one link.
func along(f nemesis.Fault, from, to string) nemesis.Fault {
	f.Targets = nil
	if f.Kind == nemesis.Partition {
		f.Params.Drop = map[string][]string{to: {from}}
	} else {
		f.Params.From, f.Params.To = from, to
	}
	return f
}
