package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
	"github.com/torture-harness/torture/sim"
	"github.com/torture-harness/torture/targets"
)

// Trial is one run in the making: what run.json says, and what the words in it
// stand for.
type Trial struct {
	Manifest histories.Manifest
	Target   targets.Target
	Workload targets.Workload
	Nodes    []string
	Script   []histories.Op // invocations to be played; nil: drawn from the seed
	Sabotage sim.Sabotage   // of the simulator, by tests alone

	params targets.Params
	kinds  []nemesis.Kind
	faults nemesis.Plan
}

// NewTrial completes m with the target's defaults and tells all that is wrong
// with it. script is what to play: faults alone, while the workload goes on as
// usual, or clients' operations too, and then nothing else happens.
func NewTrial(t targets.Target, m histories.Manifest, script []histories.Op) (*Trial, error) {
	tr := &Trial{Manifest: m, Target: t, Script: script}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	m = tr.complete()

	errs = append(errs, m.Validate())
	if i := slices.IndexFunc(t.Workloads, func(w targets.Workload) bool { return w.Name == m.Workload }); i >= 0 {
		tr.Workload = t.Workloads[i]
	} else {
		wrong("target %s has no workload %q: it has %s", t.Name, m.Workload, strings.Join(t.WorkloadNames(), ", "))
	}
	if m.Bug != "" {
		if _, ok := t.Bug(m.Bug); !ok {
			wrong("target %s has no bug %q: it has %s", t.Name, m.Bug, cmp.Or(strings.Join(t.BugNames(), ", "), "none"))
		}
	}
	errs = append(errs, t.CheckKinds(), t.CheckFlags(m.Flags))
	if m.Keys != "" {
		_, err := gen.Distribution(m.Keys, 1)
		errs = append(errs, err)
	}
	if _, err := t.LogPatterns(); err != nil {
		errs = append(errs, err)
	}
	for _, s := range m.Nemesis {
		k, err := nemesis.ParseKind(s)
		if err == nil && !slices.Contains(t.Faults, k) {
			err = fmt.Errorf("target %s does not offer fault %s: it offers %v", t.Name, k, t.Faults)
		}
		errs = append(errs, err)
		tr.kinds = append(tr.kinds, k)
	}
	for i := range min(m.Nodes, histories.NodesMax) {
		tr.Nodes = append(tr.Nodes, fmt.Sprintf("n%d", i+1))
	}
	budget, err := nemesis.ParseBudget(m.Budget)
	errs = append(errs, err)
	aims, err := nemesis.ParseTargets(m.Targets, tr.Nodes)
	errs = append(errs, err)
	tr.faults = nemesis.Plan{Kinds: tr.kinds, Interval: m.Interval, Targets: aims, Budget: budget, Nodes: tr.Nodes, TimeLimit: m.TimeLimit, Containers: m.World != "sim", MinOps: tr.Workload.MinOps.In(m.World)}
	if script == nil && errors.Join(errs...) == nil {
		errs = append(errs, tr.faults.Validate())
	}
	errs = append(errs, nemesis.CheckScript(script, tr.Nodes), checkReigns(m.Reigns, tr.Nodes))
	nemeses, replays := nemesis.ScriptProcesses(script), tr.Replays()
	for _, op := range script {
		if f, err := nemesis.Decode(op); m.World != "sim" && op.Process.Nemesis() && op.F == nemesis.Inject && err == nil && f.Params.At != nil {
			wrong("op %d: fault %s: params.at: only the simulator can choose between which effects a node dies; leave it out", op.Index, f.ID)
		}
		switch {
		case op.Process.Client() && op.Node != "" && !slices.Contains(tr.Nodes, op.Node):
			wrong("op %d: there is no node %q among %v", op.Index, op.Node, tr.Nodes)
		case op.Process.Nemesis() && replays && !slices.Contains(nemeses, op.Process):
			wrong("op %d: %s %s: want inject or cure, of a fault of that kind", op.Index, op.Process, op.F)
		}
	}
	tr.params = targets.Params{
		Options:  node.Options{Bug: m.Bug, Flags: m.Flags},
		Nodes:    tr.Nodes,
		Clients:  m.Clients,
		Rate:     m.Rate,
		Recovery: m.Recovery,
		Keys:     m.Keys,
	}
	return tr, errors.Join(errs...)
}

// complete fills in what the manifest leaves open.
func (tr *Trial) complete() histories.Manifest {
	m, t := &tr.Manifest, tr.Target
	m.Target = t.Name
	if m.Version == 0 {
		m.Version = histories.ManifestVersion
	}
	bug, _ := t.Bug(m.Bug)
	m.Workload = t.WorkloadOf(m.Workload, m.Bug)
	flags := t.Defaults()
	for _, set := range []map[string]string{bug.Flags, m.Flags} {
		for k, v := range set { // the order makes no difference
			flags[k] = v
		}
	}
	m.Flags = flags
	if m.World == "" {
		m.World = "sim"
	}
	defaults(&m.Nodes, t.Nodes)
	defaults(&m.Clients, 2*m.Nodes)
	defaults(&m.Rate, 100)
	defaults(&m.Recovery, 10*time.Second)
	if m.World == "sim" {
		defaults(&m.Timeout, time.Second)
		defaults(&m.Interval, 1500*time.Millisecond)
		defaults(&m.TimeLimit, simulated(m.Nemesis))
	} else {
		defaults(&m.Timeout, 5*time.Second)
		defaults(&m.Interval, 3*time.Second)
		defaults(&m.TimeLimit, time.Minute)
	}
	defaults(&m.Budget, "minority")
	return *m
}

// simulated is how long a simulated run lasts in which such kinds of faults take
// turns: each needs its share, and more of it if it waits for the budget.
func simulated(kinds []string) time.Duration {
	d := 20 * time.Second
	for _, k := range kinds {
		if d += 2 * time.Second; nemesis.Kind(k).Disabling() {
			d += 3 * time.Second
		}
	}
	return d
}

func defaults[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Plan is what the loop is to do in a world whose time is start.
func (tr *Trial) Plan(start histories.Time) Plan {
	m := tr.Manifest
	p := Plan{Seed: m.Seed, Clients: m.Clients}
	if tr.Target.Route != nil {
		p.Route = tr.Target.Route(tr.params)
	}
	p.Nemeses = tr.faults.Processes()
	if tr.Script != nil {
		p.Nemeses = nemesis.ScriptProcesses(tr.Script)
	}
	limit := histories.Time(m.TimeLimit)
	if tr.Replays() {
		if m.World == "sim" { // where the seed casts the same
			p.Generator = gen.Any(gen.Replay(tr.Script), lasting{histories.Time(m.End)})
		} else {
			p.Generator = newRecast(tr.Script, m)
		}
		limit = max(limit, histories.Time(m.End))
	} else {
		faults := gen.Generator(nil)
		switch {
		case tr.Script != nil:
			faults = gen.Nemesis(nemesis.Script(tr.Script, start.Add(m.TimeLimit)))
		case len(tr.kinds) > 0:
			drawn := tr.faults
			drawn.Start = start
			faults = drawn.Generator() // which looks at what clients do
		}
		work := gen.Rate(m.Rate, tr.Workload.Ops(tr.params))
		if len(m.Load) > 0 {
			work = gen.Load(start, m.Load, tr.Workload.Ops(tr.params))
		}
		work = gen.TimeLimit(m.TimeLimit, work)
		phases := []gen.Generator{gen.Any(gen.Clients(work), faults)}
		if final := tr.Workload.FinalPhase(tr.params); final != nil {
			phases = append(phases,
				gen.Clients(gen.Limit(1, gen.Sleep(m.Recovery))),
				gen.Clients(gen.TimeLimit(m.Recovery+20*m.Timeout, final)))
		}
		p.Generator = gen.Phases(phases...)
	}
	limit += start
	// Twice what the phases may take, and the time to cure what will not go.
	p.Deadline = 2*limit.Add(2*m.Recovery+40*m.Timeout) + histories.Time(2*time.Minute)
	return p
}

// Replays tells whether the trial repeats clients' operations, not only faults.
func (tr *Trial) Replays() bool {
	return slices.ContainsFunc(tr.Script, func(op histories.Op) bool { return op.Process.Client() }) || tr.Manifest.End > 0
}

// Checker judges the trial's history: the workload's promises, but for what the
// target permits; what holds for every node; whether enough happened for the
// verdict to mean anything; and further parts, which look at more than the
// history.
func (tr *Trial) Checker(further ...checker.Checker) checker.Checker {
	promises := permitted(tr.Target, tr.Manifest.Flags, tr.Workload.Checker(tr.params))
	traffic := tr.Target.Traffic.OrDefault()
	parts := []checker.Checker{
		promises,
		checker.Panics(),
		checker.Contract(),
		checker.Recovery(checker.RecoveryOptions{Nodes: tr.Nodes, Recovery: tr.Manifest.Recovery, Refusals: tr.Workload.Refusals(tr.params)}),
		checker.Storm(checker.StormOptions{Nodes: len(tr.Nodes), Operations: traffic.PerOperation, Seconds: traffic.PerSecond}),
	}
	if tr.Manifest.World != "sim" { // where time is virtual
		parts = append(parts, checker.Stalls())
	}
	if !tr.Replays() {
		parts = append(parts, checker.Stats(checker.StatsOptions{Faults: tr.Manifest.Nemesis, MinOps: tr.Workload.MinOps.In(tr.Manifest.World)}))
	}
	return checker.All(tr.Target.Name+"/"+tr.Workload.Name, append(parts, further...)...)
}

// Node makes a node of the trial's target.
func (tr *Trial) Node() node.Node { return tr.Target.New(tr.params.Options) }

// Options are the node's.
func (tr *Trial) Options() node.Options { return tr.params.Options }

// Simulated is a world of the simulator for the trial.
func (tr *Trial) Simulated() *sim.World {
	cfg := sim.Config{
		Seed: tr.Manifest.Seed, Nodes: tr.Nodes, New: tr.Node, Messages: tr.Target.Messages,
		Timeout: tr.Manifest.Timeout, Primary: tr.Target.Primary,
		Leave: tr.Target.Leave, Join: tr.Target.Join, Members: tr.Target.Members,
		Sabotage: tr.Sabotage,
	}
	if c := tr.Manifest.Conditions; c != nil {
		cfg.Conditions = *c
	}
	return sim.New(cfg)
}

// Simulate runs the trial in the simulator and judges it. The history is what
// was recorded, even if err is not nil: then torture, or a node's contract with
// it, failed. One simulation runs at a time in a process.
func (tr *Trial) Simulate(ctx context.Context) (histories.History, checker.Result, error) {
	w := tr.Simulated()
	defer w.Close()
	var b histories.Builder
	err := Loop(ctx, tr.Plan(w.Now()), w, b.Add)
	h := b.History()
	if err != nil {
		return h, checker.Result{}, fmt.Errorf("seed %d: %w", tr.Manifest.Seed, err)
	}
	return h, tr.Checker().Check(ctx, h), nil
}

// lasting keeps a replay going until a time, for what nodes do by themselves
// after the last operation.
type lasting struct{ end histories.Time }

func (l lasting) Op(ctx gen.Context) (*gen.Op, gen.Generator) {
	if ctx.Time >= l.end {
		return nil, nil
	}
	return ctx.Fill(gen.Op{Type: gen.Sleeping, F: "sleep", Value: histories.Encode(0), Time: l.end}), l
}

func (l lasting) Update(gen.Context, gen.Op) gen.Generator { return l }
