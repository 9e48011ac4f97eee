package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/torture-harness/torture/docker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/sim"
	"github.com/torture-harness/torture/targets"
)

// trialFlags are the flags that say what a run is to be.
type trialFlags struct {
	m        histories.Manifest
	nemesis  string
	schedule string
	own      map[string]*string // the target's flags
	all      []*pflag.Flag      // these and all others of a trial
	note     string             // what manifest did to make them fit each other, or ""
}

func addTrialFlags(cmd *cobra.Command, t targets.Target) *trialFlags {
	f := &trialFlags{own: map[string]*string{}}
	fs := cmd.Flags()
	fs.StringVar(&f.m.Workload, "workload", "", "what clients do: "+strings.Join(t.WorkloadNames(), ", ")+" (default: the bug's, or the first)")
	fs.StringVar(&f.m.Bug, "bug", "", "plant a bug: "+cmp.Or(strings.Join(t.BugNames(), ", "), "none is known"))
	fs.IntVar(&f.m.Nodes, "nodes", t.Nodes, "size of the cluster")
	fs.IntVar(&f.m.Clients, "clients", 0, "concurrent clients (default two for each node)")
	fs.Float64Var(&f.m.Rate, "rate", 100, "operations per second, all clients together")
	fs.StringVar(&f.m.Keys, "keys", "", "which keys operations are about: "+strings.Join(gen.Distributions, ", ")+" (default: the workload's own)")
	fs.DurationVar(&f.m.TimeLimit, "time-limit", 0, "how long clients work and faults happen (default 1m in containers; in the simulator 20s, and for each kind of fault 2s more, or 5s if it keeps nodes from answering)")
	fs.DurationVar(&f.m.Timeout, "timeout", 0, "when a client gives an operation up (default 1s simulated, 5s in containers)")
	fs.DurationVar(&f.m.Recovery, "recovery", 0, "from the last cure to the final operations (default 10s)")
	fs.StringVar(&f.nemesis, "nemesis", "all", "kinds of faults, by comma; all that world, target and promise share, or none")
	fs.DurationVar(&f.m.Interval, "interval", 0, "scale of time: half of the faults last from as long to four times as long, half for less, the calm after one up to one and a half times (default 3s in containers, 1.5s in the simulator)")
	fs.StringVar(&f.m.Targets, "targets", "", "whom faults strike: one, minority, majority, all, primaries, !primaries, n1,n3 or a partition's shape (default: drawn)")
	fs.StringVar(&f.m.Budget, "budget", "minority", "how many nodes may be unable to answer at once: none, minority, all or a number; a hunt draws it, up to a minority")
	for _, flag := range t.Flags {
		f.own[flag.Name] = fs.String(flag.Name, flag.Values[0], flag.Doc+": "+strings.Join(flag.Values, ", "))
		_ = cmd.RegisterFlagCompletionFunc(flag.Name, cobra.FixedCompletions(flag.Values, cobra.ShellCompDirectiveNoFileComp))
	}
	completeList(cmd, "nemesis", append([]string{"all", "none"}, kindNames(t.Faults)...)...)
	complete(cmd, "budget", "minority", "all", "1", "2")
	complete(cmd, "targets", "one", "minority", "majority", "all", "primaries", "!primaries")
	_ = cmd.RegisterFlagCompletionFunc("bug", cobra.FixedCompletions(t.BugNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions(t.WorkloadNames(), cobra.ShellCompDirectiveNoFileComp))
	fs.VisitAll(func(flag *pflag.Flag) { f.all = append(f.all, flag) })
	return f
}

// given are the flags that were, as a shell reads them, each after a blank.
func (f *trialFlags) given() (s string) {
	for _, flag := range f.all {
		if flag.Changed {
			s += fmt.Sprintf(" --%s %s", flag.Name, quoted(flag.Value.String()))
		}
	}
	return s
}

// quoted is s as one word of a shell.
func quoted(s string) string {
	special := func(r rune) bool {
		return !(r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_./,:=+", r))
	}
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// manifest is what the flags say, for a world. Only flags that were given
// count against a bug's own.
func (f *trialFlags) manifest(cmd *cobra.Command, t targets.Target, world string) (histories.Manifest, error) {
	m := f.m
	if err := positive(cmd, "nodes", "clients", "rate", "time-limit", "timeout", "recovery", "interval"); err != nil {
		return m, err
	}
	if err := bounded(m); err != nil {
		return m, err
	}
	m.Target, m.World = t.Name, world
	m.Flags = map[string]string{}
	// What was not given is left open: a hunt draws it.
	open := func(name string) bool { return !cmd.Flags().Changed(name) }
	if open("nodes") {
		m.Nodes = 0
	}
	if open("rate") {
		m.Rate = 0
	}
	if open("budget") {
		m.Budget = ""
	}
	for name, value := range f.own {
		if cmd.Flags().Changed(name) {
			m.Flags[name] = *value
		}
	}
	flags := t.Defaults()
	bug, _ := t.Bug(m.Bug)
	for _, set := range []map[string]string{bug.Flags, m.Flags} {
		for k, v := range set {
			flags[k] = v
		}
	}
	workload := t.WorkloadOf(m.Workload, m.Bug)
	able := possible(world, t)
	if f.nemesis == "all" {
		able = promised(t, workload, flags, able)
	}
	kinds, err := nemesis.ParseKinds(f.nemesis, able)
	if err != nil {
		return m, fmt.Errorf("--nemesis: %w", err)
	}
	for _, k := range kinds {
		m.Nemesis = append(m.Nemesis, string(k))
	}
	if !cmd.Flags().Changed("budget") && f.schedule == "" {
		m, f.note, err = fitted(m, f.nemesis != "all")
	}
	return m, err
}

// positive fails if any of the flags was given a value that is not: 0 stands
// for the default in a manifest, and nobody who writes it means that.
func positive(cmd *cobra.Command, names ...string) error {
	var errs []error
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if !f.Changed {
			continue
		}
		n, err := strconv.ParseFloat(f.Value.String(), 64)
		if err != nil {
			d, _ := time.ParseDuration(f.Value.String())
			n = d.Seconds()
		}
		if n <= 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			errs = append(errs, fmt.Errorf("--%s %s: want more than 0", name, f.Value))
		}
	}
	return errors.Join(errs...)
}

// bounded tells which flags are beyond what a manifest can say: they are called as
// its fields are.
func bounded(m histories.Manifest) error {
	err := m.Validate()
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, err := range several.Unwrap() {
			if b, ok := err.(*histories.BoundError); ok {
				err = fmt.Errorf("--%s %v: want %s", b.Field, b.Got, b.Want)
			}
			errs = append(errs, err)
		}
		err = errors.Join(errs...)
	}
	return err
}

// possible are the kinds that both world and target can do.
func possible(world string, t targets.Target) (kinds []nemesis.Kind) {
	able := sim.Kinds()
	if world == "docker" {
		able = docker.Kinds()
	}
	for _, k := range able {
		if slices.Contains(t.Faults, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// promised are those of kinds under which all promises about the workload hold.
func promised(t targets.Target, workload string, flags map[string]string, kinds []nemesis.Kind) []nemesis.Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k nemesis.Kind) bool {
		return !slices.ContainsFunc(t.Promises, func(p targets.Promise) bool {
			return p.Workload == workload && targets.Holds(p.When, flags)
		}) || slices.ContainsFunc(t.Promises, func(p targets.Promise) bool {
			return p.Workload == workload && targets.Holds(p.When, flags) && !slices.Contains(p.Under, k)
		})
	})
}

// outside are the kinds of m under which nothing is promised.
func outside(t targets.Target, m histories.Manifest) (kinds []string) {
	for _, k := range m.Nemesis {
		if len(promised(t, m.Workload, m.Flags, []nemesis.Kind{nemesis.Kind(k)})) == 0 {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// chooseWorld answers for --world auto, and says why: containers when an engine
// answers. It fails if containers are asked for and none does.
func chooseWorld(ctx context.Context, asked string) (world, why string, err error) {
	switch asked {
	case "sim":
		return asked, "", nil
	case "auto", "docker":
	default:
		return "", "", fmt.Errorf("--world %s: want auto, sim or docker", asked)
	}
	patience := 3 * time.Second
	if asked == "docker" {
		patience = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	info, err := docker.Available(ctx)
	switch {
	case asked == "docker":
		return asked, "", failed(err)
	case err != nil:
		return "sim", err.Error(), nil
	}
	return "docker", fmt.Sprintf("Docker Engine %s answers", info.Version), nil
}

// perTarget gives cmd a subcommand for each target, so that each has its own
// flags and help.
func (a *app) perTarget(cmd *cobra.Command, make func(targets.Target) *cobra.Command) *cobra.Command {
	cmd.AddGroup(&cobra.Group{ID: "targets", Title: "Targets:"})
	for _, t := range a.targets() {
		sub := make(t)
		sub.GroupID = "targets"
		cmd.AddCommand(sub)
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs a target: %s", cmd.Name(), strings.Join(a.targets().Names(), ", "))
		}
		_, err := a.targets().Named(args[0])
		return err
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	if common := commonFlags(cmd); common != "" {
		cmd.Long = strings.Replace(cmd.Long, exitStatus, "\nFlags of every target, after its name (some have more: torture "+cmd.Name()+" TARGET --help):\n"+strings.TrimRight(common, "\n")+"\n"+exitStatus, 1)
	}
	return cmd
}

// targetHelp is the help of a command about a target.
func targetHelp(t targets.Target) string {
	return fmt.Sprintf("%s\n\ntorture targets show %s tells what it promises, and the bugs that can be planted.\n%s", t.Doc, t.Name, exitStatus)
}

// targetExamples are example lines of a command about a target, with a bug and
// faults of its own; those that need what it lacks are left out.
func targetExamples(command string, t targets.Target, flags ...string) string {
	var lines []string
	for _, f := range flags {
		if strings.Contains(f, "BUG") {
			if len(t.Bugs) == 0 {
				continue
			}
			f = strings.Replace(f, "BUG", t.Bugs[0].Name, 1)
		}
		if strings.Contains(f, "FAULTS") {
			if len(t.Faults) == 0 {
				continue
			}
			kinds := strings.ReplaceAll(join(t.Faults[:min(2, len(t.Faults))]), " ", "")
			f = strings.Replace(f, "FAULTS", kinds, 1)
		}
		lines = append(lines, fmt.Sprintf("  torture %s %s %s", command, t.Name, f))
	}
	return strings.Join(lines, "\n")
}

func kindNames(kinds []nemesis.Kind) (names []string) {
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return names
}

// count is "1 node", "2 nodes".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// addContainerFlags lets the user say what runs in containers, and where.
func (a *app) addContainerFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.publish, "publish", "", "address of a remote engine's machine at which clients reach the nodes (default: the engine's own)")
	cmd.Flags().StringVar(&a.binary, "binary", "", "static build of torture to run in containers (default: this one, or one built from its source)")
}

// newSeed draws a seed for a run that was given none.
func newSeed() uint64 { return uint64(rand.Uint32()) }
