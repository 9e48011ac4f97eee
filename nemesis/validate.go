package nemesis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	if slices.Contains(Kinds, Kind(s)) {
		return Kind(s), nil
	}
	return "", fmt.Errorf("fault %q is unknown: want one of %v", s, Kinds)
}

// Validate tells all that is wrong with f, whatever the cluster.
func (f Fault) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fault %s: %w", f.ID, fmt.Errorf(format, args...)))
	}
	if _, err := ParseKind(string(f.Kind)); err != nil {
		errs = append(errs, err)
	}
	if f.ID == "" {
		wrong("it has no id")
	}
	p := f.Params
	if len(f.Targets) == 0 && f.Kind != Partition {
		wrong("%s needs targets", f.Kind)
	}
	switch f.Kind {
	case Partition:
		cut := 0
		for n, from := range p.Drop {
			cut += len(without(from, []string{n}))
		}
		if cut == 0 {
			wrong("partition needs params.drop: who does not hear whom")
		}
	case Loss, Duplicate, Reorder:
		if p.Probability <= 0 || p.Probability > 1 {
			wrong("%s needs params.probability in (0, 1], not %v", f.Kind, p.Probability)
		}
		if f.Kind == Reorder && p.Delay <= 0 {
			wrong("reorder needs params.delay, how long an overtaken message is held")
		}
	case Delay:
		if p.Delay <= 0 || p.Jitter < 0 || p.Jitter > p.Delay {
			wrong("delay needs 0 < params.delay and 0 ≤ params.jitter ≤ params.delay, not %s ± %s", p.Delay, p.Jitter)
		}
	case Bandwidth:
		if p.Rate <= 0 {
			wrong("bandwidth needs params.rate, in bytes per second")
		}
	case Clock:
		switch {
		case p.Shape == "jump" && p.Offset != 0:
		case p.Shape == "strobe" && p.Offset != 0 && p.Period > 0:
		case p.Shape == "drift" && p.Drift != 0 && p.Drift > -0.9 && p.Drift <= 10:
		default:
			wrong("clock needs params.shape jump with offset, strobe with offset and period, or drift with drift in (-0.9, 10]")
		}
	}
	return errors.Join(errs...)
}

// On tells all that is wrong with f in a cluster of nodes.
func (f Fault) On(nodes []string) error {
	var errs []error
	check := func(n string) {
		if !slices.Contains(nodes, n) {
			errs = append(errs, fmt.Errorf("fault %s: there is no node %q among %v", f.ID, n, nodes))
		}
	}
	for _, n := range f.Targets {
		check(n)
	}
	for _, n := range slices.Sorted(maps.Keys(f.Params.Drop)) {
		check(n)
		for _, m := range f.Params.Drop[n] {
			check(m)
		}
	}
	return errors.Join(errs...)
}
