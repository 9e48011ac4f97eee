package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

func newTargetsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "List what can be put to the test, and what it promises",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				var list []targetView
				for _, t := range a.targets() {
					list = append(list, viewTarget(t))
				}
				printJSON(a.stdout, list)
				return nil
			}
			w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
			for _, t := range a.targets() {
				fmt.Fprintf(w, "%s\t%s\n", t.Name, t.Doc)
			}
			return w.Flush()
		},
	}
	show := &cobra.Command{
		Use:   "show NAME",
		Short: "Show a target's workloads, promises, permits, bugs and flags",
		Args:  one("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := a.targets().Named(args[0])
			if err != nil {
				return err
			}
			if a.json {
				printJSON(a.stdout, viewTarget(t))
				return nil
			}
			showTarget(a.stdout, t)
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(a.targets().Names(), cobra.ShellCompDirectiveNoFileComp),
	}
	cmd.AddCommand(show)
	return cmd
}

// targetView is a target without the functions that JSON has no words for.
type targetView struct {
	Name      string            `json:"name"`
	Doc       string            `json:"doc"`
	Source    string            `json:"source"`
	Nodes     int               `json:"nodes"`
	Faults    []string          `json:"faults"`
	Flags     []targets.Flag    `json:"flags,omitempty"`
	Workloads []workloadView    `json:"workloads"`
	Promises  []targets.Promise `json:"promises"`
	Permits   []targets.Permit  `json:"permits,omitempty"`
	Bugs      []targets.Bug     `json:"bugs"`
}

type workloadView struct {
	Name   string         `json:"name"`
	Doc    string         `json:"doc"`
	MinOps targets.MinOps `json:"min-ops"`
}

func viewTarget(t targets.Target) targetView {
	v := targetView{
		Name: t.Name, Doc: t.Doc, Source: t.Source, Nodes: t.Nodes, Flags: t.Flags,
		Promises: append([]targets.Promise{}, t.Promises...), Permits: t.Permits, Bugs: append([]targets.Bug{}, t.Bugs...),
		Faults: []string{},
	}
	for _, k := range t.Faults {
		v.Faults = append(v.Faults, string(k))
	}
	for _, w := range t.Workloads {
		v.Workloads = append(v.Workloads, workloadView{w.Name, w.Doc, targets.MinOps{Sim: w.MinOps.In("sim"), Containers: w.MinOps.In("docker")}})
	}
	return v
}

func showTarget(out io.Writer, t targets.Target) {
	fmt.Fprintf(out, "%s: %s\nafter %s; %d nodes\n", t.Name, t.Doc, t.Source, t.Nodes)
	section := func(title string, rows [][2]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(out, "\n%s\n", title)
		w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		for _, r := range rows {
			fmt.Fprintf(w, "  %s\t%s\n", r[0], r[1])
		}
		w.Flush()
	}
	var rows [][2]string
	for _, w := range t.Workloads {
		rows = append(rows, [2]string{w.Name, fmt.Sprintf("%s; vacuous below %d operations, in containers %d", w.Doc, w.MinOps.In("sim"), w.MinOps.In("docker"))})
	}
	section("WORKLOADS (--workload)", rows)
	fmt.Fprintln(out, "  So many must succeed in all, and while each kind of fault is in force, for a verdict to mean anything.")
	rows = nil
	for _, p := range t.Promises {
		rows = append(rows, [2]string{p.Workload, fmt.Sprintf("%s%s, %s", p.Guarantee, when(p.When), under(p.Under, t.Faults))})
	}
	section("PROMISES", rows)
	rows = nil
	for _, p := range t.Permits {
		rows = append(rows, [2]string{p.Anomaly, strings.TrimSuffix(p.Doc, ".") + when(p.When) + after(p.Under)})
	}
	section("PERMITS", rows)
	rows = nil
	for _, b := range t.Bugs {
		rows = append(rows, [2]string{b.Name, fmt.Sprintf("%s Found by %s.", b.Doc, strings.Join(b.Anomalies, ", "))})
	}
	section("BUGS (--bug)", rows)
	rows = nil
	for _, f := range t.Flags {
		rows = append(rows, [2]string{"--" + f.Name, f.Doc + ": " + strings.Join(f.Values, ", ")})
	}
	section("FLAGS", rows)
	if len(t.Faults) > 0 {
		fmt.Fprintf(out, "\nFAULTS (--nemesis)\n  %s\n", join(t.Faults))
	}
}

// under names the faults of a promise, by those it excepts if they are fewer.
func under(promised, offered []nemesis.Kind) string {
	excepted := slices.DeleteFunc(slices.Clone(offered), func(k nemesis.Kind) bool { return slices.Contains(promised, k) })
	switch {
	case len(excepted) == 0:
		return "under all faults"
	case len(promised) == 0:
		return "without faults"
	case len(excepted) < len(promised):
		return "under all faults but " + join(excepted)
	}
	return "under " + join(promised)
}

// after names the faults of which one must have come for a permit to hold.
func after(faults []nemesis.Kind) string {
	if len(faults) == 0 {
		return ""
	}
	return ", after a fault of " + join(faults)
}

func when(flags map[string]string) string {
	var s string
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		s += fmt.Sprintf(" with --%s %s", name, flags[name])
	}
	return s
}

func join[S ~string](list []S) string {
	var s []string
	for _, x := range list {
		s = append(s, string(x))
	}
	return strings.Join(s, ", ")
}

// outsideOf are the kinds of faults of a run under which nothing is promised.
func (a *app) outsideOf(m histories.Manifest) []string {
	t, err := a.targets().Named(m.Target)
	if err != nil {
		return nil
	}
	return outside(t, m)
}
