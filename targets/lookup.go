package targets

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/nemesis"
)

// Bug returns the planted bug of that name.
func (t Target) Bug(name string) (Bug, bool) {
	i := slices.IndexFunc(t.Bugs, func(b Bug) bool { return b.Name == name })
	if i < 0 {
		return Bug{}, false
	}
	return t.Bugs[i], true
}

// BugNames lists the planted bugs.
func (t Target) BugNames() (names []string) {
	for _, b := range t.Bugs {
		names = append(names, b.Name)
	}
	return names
}

// WorkloadNames lists the workloads, the default first.
func (t Target) WorkloadNames() (names []string) {
	for _, w := range t.Workloads {
		names = append(names, w.Name)
	}
	return names
}

// WorkloadOf is the workload of that name if it has one, or else the bug's, or
// the first.
func (t Target) WorkloadOf(name, bug string) string {
	b, _ := t.Bug(bug)
	if name = cmp.Or(name, b.Workload); name == "" && len(t.Workloads) > 0 {
		return t.Workloads[0].Name
	}
	return name
}

// Guarantees are what is promised of a workload by a target with these flags,
// sorted; nothing if that does not hold under all of kinds.
func (t Target) Guarantees(workload string, flags map[string]string, kinds []string) (all []string) {
	for _, p := range t.Promises {
		if p.Workload != workload || !Holds(p.When, flags) {
			continue
		}
		for _, k := range kinds {
			if !slices.Contains(p.Under, nemesis.Kind(k)) {
				return nil
			}
		}
		all = append(all, p.Guarantee)
	}
	slices.Sort(all)
	return all
}

// Defaults are the flags' values when nothing is said.
func (t Target) Defaults() map[string]string {
	flags := map[string]string{}
	for _, f := range t.Flags {
		flags[f.Name] = f.Values[0]
	}
	return flags
}

// CheckFlags tells all that is wrong with flags.
func (t Target) CheckFlags(flags map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		i := slices.IndexFunc(t.Flags, func(f Flag) bool { return f.Name == name })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("target %s has no flag --%s", t.Name, name))
		case !slices.Contains(t.Flags[i].Values, flags[name]):
			errs = append(errs, fmt.Errorf("--%s %s: want one of %s", name, flags[name], strings.Join(t.Flags[i].Values, ", ")))
		}
	}
	return errors.Join(errs...)
}

// CheckKinds tells of the anomalies of bugs and permits that no checker could
// report: the bug would never be found, and nothing be permitted.
func (t Target) CheckKinds() error {
	known := slices.Clone(t.Kinds)
	for _, c := range checker.Checkers() {
		known = append(known, checker.Kinds(c)...)
	}
	var errs []error
	check := func(what, kind string) {
		if !slices.Contains(known, kind) {
			errs = append(errs, fmt.Errorf("target %s, %s: no checker reports an anomaly %q (there are those of checker.Kinds, and the target's own Kinds)", t.Name, what, kind))
		}
	}
	for _, b := range t.Bugs {
		for _, kind := range b.Anomalies {
			check("bug "+b.Name, kind)
		}
	}
	for _, p := range t.Permits {
		check("permit", p.Anomaly)
	}
	return errors.Join(errs...)
}

// LogPatterns are those of lines that no healthy node writes into its log. An
// error names the expressions that are none.
func (t Target) LogPatterns() ([]*regexp.Regexp, error) {
	patterns := slices.Clone(checker.LogPatterns)
	var errs []error
	for _, text := range t.Logs {
		p, err := regexp.Compile(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("target %s: pattern of log lines %q: %w", t.Name, text, err))
			continue
		}
		patterns = append(patterns, p)
	}
	return patterns, errors.Join(errs...)
}

// Holds tells whether a promise or permit that needs the flags when holds for
// a node with these.
func Holds(when, flags map[string]string) bool {
	for name, value := range when { // any order gives the same answer
		if flags[name] != value {
			return false
		}
	}
	return true
}
