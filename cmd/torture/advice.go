package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// advice says what to change in a run of which too little came for a verdict to
// mean anything: by the gaps that checker.Stats found, in terms of flags.
func advice(m histories.Manifest, r checker.Result) []string {
	if r.Verdict != checker.Vacuous || m.World == "" {
		return nil
	}
	has := func(family string) bool {
		return slices.ContainsFunc(r.Anomalies, func(a checker.Anomaly) bool {
			name, _, _ := strings.Cut(a.Kind, ":")
			return name == family
		})
	}
	var more, unseen []string
	longer := fmt.Sprintf("a longer --time-limit (now %v)", m.TimeLimit)
	if has("few-operations") || has("no-operations") {
		none := slices.ContainsFunc(r.Anomalies, func(a checker.Anomaly) bool {
			return strings.HasPrefix(a.Kind, "few-operations:") && strings.HasPrefix(a.Why, "0 operations")
		})
		if none {
			// More of the same would not help: nobody was able to answer.
			more = append(more, fmt.Sprintf("more --nodes (now %d), so that enough are left to answer", m.Nodes))
		}
		if none && m.Budget != "minority" && !m.Schedule {
			more = append(more, fmt.Sprintf("a smaller --budget (now %s)", m.Budget))
		}
		more = append(more, longer, fmt.Sprintf("a higher --rate (now %g/s)", m.Rate))
		if len(m.Nemesis) > 1 && !m.Schedule {
			more = append(more, fmt.Sprintf("fewer kinds of faults in --nemesis (now %d)", len(m.Nemesis)))
		}
	}
	doctor := ""
	for _, a := range r.Anomalies {
		family, kind, _ := strings.Cut(a.Kind, ":")
		switch {
		case family == "fault-not-verified" && strings.HasPrefix(a.Why, "no fault of kind") && !m.Schedule:
			more = append(more, longer, fmt.Sprintf("a shorter --interval (now %v)", m.Interval))
			if len(m.Nemesis) > 1 {
				more = append(more, fmt.Sprintf("fewer kinds of faults in --nemesis (now %d): they take turns", len(m.Nemesis)))
			}
		case family == "fault-not-verified" && m.World != "sim":
			unseen = append(unseen, kind)
			doctor = "torture doctor, which tells what can be done here, and "
		case family == "fault-not-verified":
			unseen = append(unseen, kind)
		case family == "never-ok":
			more = append(more, fmt.Sprintf("report.html, which shows why no operation %s succeeded", kind), longer)
		case family == "final-never-ok":
			more = append(more, fmt.Sprintf("a longer --recovery (now %v)", m.Recovery), fmt.Sprintf("a longer --timeout (now %v)", m.Timeout))
		}
	}
	if len(unseen) > 0 {
		more = append(more, doctor+"report.html, which shows what the victims saw in place of "+strings.Join(unseen, ", "))
	}
	var unique []string
	for _, s := range more {
		if !slices.Contains(unique, s) {
			unique = append(unique, s)
		}
	}
	return unique
}
