package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/report"
	"github.com/torture-harness/torture/run"
)

// outcome is what came of a run, as --json prints it and result.json keeps it.
type outcome struct {
	Version  int                `json:"version"` // of the format: histories.ResultVersion
	Run      string             `json:"run"`     // the directory
	Verdict  checker.Verdict    `json:"verdict"`
	State    histories.State    `json:"state"`
	Error    string             `json:"error,omitempty"` // torture's own failure, or who disturbed the run
	Manifest histories.Manifest `json:"manifest"`
	Result   checker.Result     `json:"result"`
	Ops      int                `json:"ops"`             // events in the history
	Known    int                `json:"known,omitempty"` // of a run cut short: how many of them were judged, see known
	Repeat   string             `json:"repeat"`
	Repeats  *repetition        `json:"repeats,omitempty"` // of a run that repeats another
	Advice   []string           `json:"advice,omitempty"`  // of a vacuous run: what to change
}

// conduct does a trial: a directory, a world, the loop, the verdict and the
// reports. Whatever happens, what was recorded is kept and the world is gone.
// same is what the history is to be identical to; nil: nothing.
func (a *app) conduct(ctx context.Context, tr *run.Trial, same *identity) (*outcome, error) {
	m := &tr.Manifest
	m.Started = time.Now().UTC().Truncate(time.Millisecond)
	m.Version = histories.ManifestVersion
	m.Args, m.Revision, m.Build = a.args, revision(), build()
	if m.ID == "" {
		m.ID = fmt.Sprintf("%s-%s-%s-%d", m.Started.Format("20060102T150405.000"), m.Target, m.World, m.Seed)
	}
	dir := filepath.Join(a.store, m.ID)
	store, err := histories.Create(dir, *m)
	if err != nil {
		return nil, failed(fmt.Errorf("--store %s: %w", a.store, err))
	}
	if tr.Script != nil {
		if err := histories.WriteSchedule(filepath.Join(dir, "schedule.jsonl"), histories.Schedule{Run: m, Ops: tr.Script}); err != nil {
			return nil, failed(err)
		}
	}
	logFile, err := store.Append("torture.log")
	if err != nil {
		return nil, failed(err)
	}
	defer logFile.Close()
	log := a.logger(logFile)
	defer func() { _ = log.Sync() }()
	log.Info("run begins", zap.Any("manifest", m))

	check := fmt.Sprintf("torture check %s judges what was recorded", quoted(dir))
	defer a.interrupts.leaves("")
	if a.interrupts.leaves(check); m.World != "sim" {
		a.interrupts.leaves(fmt.Sprintf("torture clean %s removes what is left on the engine, and %s", quoted(dir), check))
	}
	runErr := a.play(ctx, tr, store, same, log)
	if runErr != nil {
		log.Info("the run is cut short", zap.Error(runErr)) // the command says it to the user
	}
	if closed := m.World == "sim" || runErr == nil || errors.Is(runErr, errInterrupted); closed {
		a.interrupts.leaves(check)
	}
	if errors.Is(runErr, errInterrupted) {
		fmt.Fprintln(a.stderr, "interrupted: all is cured and taken down, and what was recorded is checked")
	}
	if runErr != nil {
		ctx = context.WithoutCancel(ctx) // which has been heard of
	}
	if err := recorded(dir, runErr); err != nil {
		log.Info("how the run ended is not noted", zap.Error(err)) // nor will its result be
	}
	o, err := a.judge(ctx, tr, dir, runErr)
	if o != nil && same != nil && o.State != histories.Interrupted {
		o.Repeats = same.result()
	}
	if o != nil && (o.State == histories.Interrupted || o.State == histories.Disturbed) {
		runErr = nil // it is not torture's failure, and part of the outcome
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintf(a.stderr, "interrupted: the run is recorded, and not judged: torture check %s\n", quoted(dir))
		err = verdictError(checker.Unknown)
	}
	return o, errors.Join(failed(runErr), err)
}

// play has the loop drive a world until it is done or ctx is, and leaves
// nothing of the world behind.
func (a *app) play(ctx context.Context, tr *run.Trial, store *histories.Run, same *identity, log *zap.Logger) (err error) {
	defer func() {
		// A store that could not record says so again when it is closed.
		if closed := store.Close(); closed != nil && !errors.Is(err, closed) {
			err = errors.Join(err, closed)
		}
	}()
	world, err := a.world(ctx, tr, string(store.Dir), log)
	if errors.Is(err, docker.ErrLeft) {
		return err
	}
	if err != nil {
		return interruption(ctx, err)
	}
	patience := a.patience
	if patience == 0 {
		patience = hangLimit(tr.Manifest)
	}
	dog := newWatchdog(patience, func() { a.hangs(patience, string(store.Dir), world, log) })
	defer dog.stop()
	progress := a.newProgress(tr, world)
	defer progress.stop()

	plan := tr.Plan(world.Now())
	plan.Log = func(text string) { log.Info(text) }
	stuck, err := a.loop(ctx, plan, world, func(op histories.Op) error {
		dog.pat()
		progress.note(op)
		if same != nil {
			same.note(op)
		}
		return store.Record(op)
	})
	if stuck != "" {
		a.waiting(stuck)
	}
	if err == nil && same != nil {
		err = same.verify()
	}
	if err != nil && ctx.Err() != nil {
		err = interruption(ctx, err)
	}
	if err != nil && ctx.Err() != nil && !a.stuck { // else the world is not ours to ask
		heal, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if unhealed := world.Heal(heal); unhealed != nil {
			err = errors.Join(err, unhealed)
		}
	}
	closed := world.Close()
	if closed == nil {
		return err
	}
	log.Info("the world cannot be taken down", zap.Error(closed))
	left := fmt.Errorf("some of the run may be left on the engine: torture clean %s", quoted(string(store.Dir)))
	if err != nil && err != errInterrupted {
		return errors.Join(err, left) // what follows from the failure would only hide it
	}
	return errors.Join(err, closed, left)
}

// interruption is errInterrupted if err only says that ctx was cancelled, else
// err.
func interruption(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

func (a *app) world(ctx context.Context, tr *run.Trial, dir string, log *zap.Logger) (run.World, error) {
	m := tr.Manifest
	if m.World == "sim" {
		tr.Sabotage = a.simulated
		return tr.Simulated(), nil
	}
	return docker.New(ctx, docker.Config{
		RunID: m.ID, Dir: dir, Nodes: tr.Nodes, Target: m.Target, Options: tr.Options(), Timeout: m.Timeout,
		Primary: tr.Target.Primary, Leave: tr.Target.Leave, Join: tr.Target.Join, Members: tr.Target.Members, Log: log,
		Binary: a.binary, Publish: a.publish, Sabotage: a.sabotage, Say: a.waiting,
	})
}

// judge checks what a run's directory holds and writes its verdict and report.
// cut is why the run was cut short, or nil. When ctx ends so does judge, at once,
// and all is left as it was.
func (a *app) judge(ctx context.Context, tr *run.Trial, dir string, cut error) (*outcome, error) {
	o := &outcome{Version: histories.ResultVersion, Run: dir, State: stateOf(cut), Manifest: tr.Manifest, Repeat: repeatCommand(dir)}
	o.Error = reason(cut)
	page, err := promptly(ctx, func() ([]byte, error) { return o.weigh(ctx, tr, a.limits) })
	if err != nil {
		return nil, err
	}
	return o, failed(o.save(page))
}

// weigh completes o by what its run's directory holds, and makes the report.
func (o *outcome) weigh(ctx context.Context, tr *run.Trial, limits histories.Limits) (page []byte, err error) {
	if tr.Manifest.World != "sim" {
		if err := limits.Merge(o.Run); err != nil {
			return nil, failed(err)
		}
	}
	opened, err := limits.Open(o.Run)
	if err != nil {
		return nil, failed(err)
	}
	h := opened.History
	o.Ops = h.Len()
	// An interrupted run was taken down in order: of all nodes, all is there.
	if (o.State == histories.Failed || o.State == histories.Killed) && tr.Manifest.World != "sim" {
		h = known(h, tr.Nodes)
		o.Known = h.Len()
	}
	o.Result = tr.Checker(nodeLogs(o.Run, tr)).Check(ctx, h)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// What was not done to the end may have had an anomaly there, and nobody
	// has looked: it is never valid.
	if o.State != histories.Complete && o.Result.Verdict != checker.Invalid {
		o.Result.Verdict = checker.Unknown
		o.Result.Why = strings.TrimSuffix(o.cut()+"; "+o.Result.Why, "; ")
	}
	o.Verdict, o.Advice = o.Result.Verdict, advice(o.Manifest, o.Result)
	var b bytes.Buffer
	err = report.HTML(&b, reportInput(o.Run, opened.History, o))
	return b.Bytes(), failed(err)
}

// save writes result.json, the checkers' drawings, and report.html.
func (o *outcome) save(page []byte) error {
	d := histories.Dir(o.Run)
	for name, content := range o.Result.Files {
		if err := d.SaveFile(name, content); err != nil {
			return err
		}
	}
	if err := d.Save(histories.ResultName, o); err != nil {
		return err
	}
	return d.SaveFile("report.html", page)
}

func reportInput(dir string, h histories.History, o *outcome) report.Input {
	in := report.Input{Manifest: o.Manifest, History: h, Result: o.Result, Dir: dir, Command: o.Repeat, Advice: o.Advice}
	if o.State == histories.Failed {
		in.Error = o.Error
	}
	return in
}

// sayOf prints an outcome, if there is one, and returns the command's error:
// the one that there is, or that of the verdict.
func (a *app) sayOf(o *outcome, err error) error {
	if o == nil {
		return err
	}
	said := a.say(o)
	if err != nil {
		return err
	}
	return said
}

// say prints an outcome, and turns it into the command's error.
func (a *app) say(o *outcome) error {
	if a.json {
		printJSON(a.stdout, o)
	} else {
		opened, err := a.limits.Open(o.Run)
		if err != nil {
			return failed(err)
		}
		in := reportInput(o.Run, opened.History, o)
		in.Colour = terminal(a.stdout)
		in.Error = "" // stderr has it
		if err := report.Text(a.stdout, in); err != nil {
			return failed(err)
		}
		if cut := o.cut(); cut != "" && o.Verdict == checker.Invalid { // else it is the reason
			fmt.Fprintln(a.stdout, "note: "+cut)
		}
		if o.Repeats != nil && o.State != histories.Failed { // else that is the error
			fmt.Fprintln(a.stdout, "note: "+o.Repeats.note())
		}
		if kinds := a.outsideOf(o.Manifest); len(kinds) > 0 {
			fmt.Fprintf(a.stdout, "note: %s promises less under %s (torture targets show %s); the verdict is what the checkers saw\n", o.Manifest.Target, join(kinds), o.Manifest.Target)
		}
	}
	if o.Verdict == checker.Valid {
		return nil
	}
	return verdictError(o.Verdict)
}

// cut tells of a run that was not done to its end, in one sentence, or is "".
func (o *outcome) cut() string {
	var s string
	switch o.State {
	case histories.Interrupted:
		s = "the run was interrupted before its end, and only what there was until then is judged"
	case histories.Killed:
		s = "the run was killed, or has lost its result.json or the end of its history: whether the history is all of it is not known"
	case histories.Disturbed:
		s = "the run was disturbed: " + o.Error + ", and not by torture; only what there was until then is judged"
	case histories.Failed:
		s = "torture failed before the end of the run"
	default:
		return ""
	}
	if o.Known > 0 && o.Known < o.Ops {
		s += fmt.Sprintf("; judged are its first %d events of %d, up to which the records of all nodes are known", o.Known, o.Ops)
	}
	return s
}

func repeatCommand(dir string) string { return "torture replay " + quoted(dir) }

// revision is that of torture's source, if the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var rev string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			rev = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			rev += "+dirty"
		}
	}
	return rev
}

// build tells this program from others: the first digits of its SHA-256, or "".
var build = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
})

func printJSON(w io.Writer, v any) { fmt.Fprintln(w, string(histories.Encode(v))) }
