package nemesis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/histories"
)

func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// paramsOf lists the parameters of each kind that has any, sorted.
var paramsOf = map[Kind][]string{
	Bandwidth: {"from", "rate", "to"},
	Clock:     {"drift", "offset", "period", "shape"},
	Delay:     {"delay", "from", "jitter", "to"},
	Duplicate: {"from", "probability", "to"},
	Kill:      {"at"},
	Loss:      {"from", "probability", "to"},
	Partition: {"drop", "held", "shape"},
	Power:     {"at"},
	Reorder:   {"delay", "from", "probability", "to"},
}

// foreign is an error if faults of kind k do not have all of params, as JSON.
func (k Kind) foreign(params []byte) error {
	var given map[string]json.RawMessage
	if _, err := ParseKind(string(k)); err != nil || json.Unmarshal(params, &given) != nil {
		return nil // another error says what is wrong
	}
	names := without(slices.Sorted(maps.Keys(given)), paramsOf[k])
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%s has no params.%s: it has %s", k, strings.Join(names, ", params."), cmp.Or(strings.Join(paramsOf[k], ", "), "none"))
}

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	if slices.Contains(Kinds, Kind(s)) {
		return Kind(s), nil
	}
	return "", fmt.Errorf("fault %q is unknown: want one of %v", s, Kinds)
}

// rateMax bounds the rate of a bandwidth fault: faster links are not to be had.
const rateMax = 1e12

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
	if err := f.Kind.foreign(histories.Encode(p)); err != nil {
		wrong("%w", err)
	}
	linked := slices.Contains(paramsOf[f.Kind], "from")
	aimed := linked && (p.From != "" || p.To != "")
	switch {
	case aimed && (p.From == "" || p.To == "" || p.From == p.To):
		wrong("one link has both params.from and params.to, of two nodes, not %q and %q", p.From, p.To)
	case aimed && len(f.Targets) > 0:
		wrong("%s strikes either targets %v or the link from %s to %s", f.Kind, f.Targets, p.From, p.To)
	case linked && !aimed && len(f.Targets) == 0:
		wrong("%s needs targets, or params.from and params.to", f.Kind)
	case !aimed && len(f.Targets) == 0 && f.Kind != Partition:
		wrong("%s needs targets", f.Kind)
	}
	for _, n := range slices.Sorted(maps.Keys(p.At)) {
		if !slices.Contains(f.Targets, n) {
			wrong("params.at speaks of %q, which is none of its targets %v", n, f.Targets)
		}
		if len(p.At[n]) > 2 {
			wrong("params.at has %d places for %s: want one, and perhaps another where it dies as it starts again", len(p.At[n]), n)
		}
		for _, place := range p.At[n] {
			if err := place.validate(); err != nil {
				wrong("params.at of %s: %w", n, err)
			}
		}
	}
	for _, d := range []struct {
		name string
		d    Duration
	}{{"delay", p.Delay}, {"jitter", p.Jitter}, {"offset", p.Offset}, {"period", p.Period}} {
		if time.Duration(d.d).Abs() > histories.DurationMax {
			wrong("params.%s is %s: want at most %s", d.name, d.d, Duration(histories.DurationMax))
		}
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
		if p.Rate <= 0 || p.Rate > rateMax {
			wrong("bandwidth needs params.rate, in bytes per second, from 1 to %d, not %d", int64(rateMax), p.Rate)
		}
	case Clock:
		switch {
		case p.Shape == "jump" && p.Offset != 0 && p.Period == 0 && p.Drift == 0:
		case p.Shape == "strobe" && p.Offset != 0 && p.Period > 0 && p.Drift == 0:
		case p.Shape == "drift" && p.Offset == 0 && p.Period == 0 && p.Drift != 0 && p.Drift > -0.9 && p.Drift <= 10:
		default:
			wrong("clock needs params.shape jump with offset, strobe with offset and period, or drift with drift in (-0.9, 10], and nothing else")
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
	if f.Params.From != "" {
		check(f.Params.From)
		check(f.Params.To)
	}
	for _, n := range slices.Sorted(maps.Keys(f.Params.Drop)) {
		check(n)
		for _, m := range f.Params.Drop[n] {
			check(m)
		}
	}
	return errors.Join(errs...)
}
