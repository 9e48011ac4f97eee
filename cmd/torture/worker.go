package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/sim"
)

// A hunt's simulations run in worker processes: the simulator has one run at a
// time in a process, and a seed that panics or never ends takes only its
// worker with it. Worker and hunt speak JSON lines: a request, then its result.
type seedRequest struct {
	Manifest histories.Manifest `json:"manifest"`
	History  string             `json:"history,omitempty"` // file to write the history to; "": none
	Store    string             `json:"store,omitempty"`   // where to keep it as a run, of the command with Args; "": nowhere
	Args     []string           `json:"args,omitempty"`
}

type seedResult struct {
	Seed    uint64          `json:"seed"`
	Verdict checker.Verdict `json:"verdict"`
	Kinds   []string        `json:"kinds,omitempty"` // of anomalies
	Why     string          `json:"why,omitempty"`
	Ops     int             `json:"ops"`     // events in the history
	Steps   uint64          `json:"steps"`   // events handled by nodes
	Virtual time.Duration   `json:"virtual"` // virtual time, ns
	Hash    string          `json:"hash"`    // SHA-256 of the history
	Error   string          `json:"error,omitempty"`
	Run     string          `json:"run,omitempty"`   // its directory, if it is one that was kept
	Stuck   bool            `json:"stuck,omitempty"` // a node is in a handler for ever, and the worker ends
	Gaps    []sim.Gap       `json:"gaps,omitempty"`  // where crashes came and might have, if there were to be any
}

func newHuntWorkerCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "hunt-worker",
		Short:  "Simulate the seeds that torture hunt gives",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Ctrl-C goes to all processes of a terminal, and what ends a job may
			// signal its whole group: it is for the hunt, which ends its workers.
			signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			requests, out := make(chan seedRequest), json.NewEncoder(a.stdout)
			go func() {
				for in := json.NewDecoder(os.Stdin); ; {
					var request seedRequest
					if err := in.Decode(&request); err != nil {
						// The hunt is over or gone: nobody waits for what is under way.
						os.Exit(exitCode(failed(unless(err, io.EOF)), a.stderr))
					}
					requests <- request
				}
			}()
			for request := range requests {
				res := a.simulateSeed(cmd.Context(), request)
				if err := out.Encode(res); err != nil || res.Stuck {
					return failed(err)
				}
			}
			return nil
		},
	}
}

func (a *app) simulateSeed(ctx context.Context, request seedRequest) (res seedResult) {
	res.Seed = request.Manifest.Seed
	defer func() {
		if p := recover(); p != nil {
			res.Error = fmt.Sprintf("panic: %v, at %s", p, checker.Where())
		}
	}()
	t, err := a.targets().Named(request.Manifest.Target)
	if err != nil {
		res.Error = err.Error()
		return res
	}
	tr, err := run.NewTrial(t, request.Manifest, nil)
	if err != nil {
		res.Error = err.Error()
		return res
	}
	if request.Store != "" {
		return a.keepSeed(ctx, tr, request)
	}
	w := tr.Simulated()
	defer w.Close()
	var b histories.Builder
	stuck, err := a.loop(ctx, tr.Plan(w.Now()), w, b.Add)
	if err != nil {
		res.Error = err.Error()
	}
	h := b.History()
	res.Ops, res.Stuck = h.Len(), stuck != ""
	if !res.Stuck { // else the world is not ours to ask
		res.Steps, res.Virtual = w.Steps(), w.Now().Duration()
		if slices.Contains(tr.Manifest.Nemesis, string(nemesis.Kill)) || slices.Contains(tr.Manifest.Nemesis, string(nemesis.Power)) {
			res.Gaps = w.Gaps()
		}
	}
	sum := sha256.New()
	if err := histories.Write(sum, h); err != nil {
		res.Error = err.Error()
	}
	res.Hash = hex.EncodeToString(sum.Sum(nil))
	if request.History != "" {
		_ = histories.WriteFile(request.History, h) // who misses it will say so
	}
	if res.Error == "" {
		r := tr.Checker().Check(ctx, h)
		res.Verdict, res.Kinds, res.Why = r.Verdict, run.Kinds(r), r.Why
	}
	return res
}

// keepSeed does a seed as a run with a directory, of which res tells.
func (a *app) keepSeed(ctx context.Context, tr *run.Trial, request seedRequest) (res seedResult) {
	res.Seed = request.Manifest.Seed
	keeper := *a
	keeper.store, keeper.args = request.Store, request.Args
	o, err := keeper.conduct(ctx, tr, nil)
	if err != nil {
		res.Error = err.Error()
	}
	if res.Stuck = keeper.stuck; o != nil {
		res.Run = o.Run
	}
	return res
}

// conductApart is conduct in a process of its own, for a trial in which a node is
// in a handler for ever.
func (a *app) conductApart(ctx context.Context, m histories.Manifest) (*outcome, error) {
	w, err := startWorker()
	if err != nil {
		return nil, failed(err)
	}
	defer w.stop()
	const limit = time.Hour // what hangs is ended before, by itself
	res, err := w.simulate(ctx, seedRequest{Manifest: m, Store: a.store, Args: a.args}, limit)
	if err == nil && res.Error != "" {
		err = errors.New(res.Error)
	}
	if err != nil {
		return nil, failed(err)
	}
	o := new(outcome)
	b, err := os.ReadFile(histories.Dir(res.Run).Path(histories.ResultName))
	if err == nil {
		err = json.Unmarshal(b, o)
	}
	return o, failed(err)
}

// worker is a process that simulates.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startWorker() (*worker, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.Command(exe, "hunt-worker")}
	// There is a worker for each core: its collector should not ask for others.
	w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400")
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReaderSize(out, 1<<20)
	return w, w.cmd.Start()
}

// simulate has the worker do one seed, and kills it if that takes longer than
// limit of real time.
func (w *worker) simulate(ctx context.Context, request seedRequest, limit time.Duration) (seedResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it is not over after %v of real time (--seed-limit)", limit))
	defer cancel()
	process := w.cmd.Process
	stop := context.AfterFunc(ctx, func() { _ = process.Kill() })
	defer stop()
	var res seedResult
	if err := json.NewEncoder(w.in).Encode(request); err != nil {
		return res, w.died(ctx, err)
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return res, w.died(ctx, err)
	}
	if err := json.Unmarshal(line, &res); err != nil {
		return res, fmt.Errorf("the worker says %.100q: %w", line, err)
	}
	if res.Stuck {
		return res, w.renew()
	}
	return res, nil
}

// renew starts another worker in place of one that is of no more use.
func (w *worker) renew() error {
	w.stop()
	fresh, err := startWorker()
	if err == nil {
		*w = *fresh
	}
	return err
}

func (w *worker) died(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if werr := w.cmd.Wait(); werr != nil {
		err = werr // says how
	}
	if err.Error() == "signal: killed" {
		return fmt.Errorf("the worker that simulated it died (%w; out of memory?); if nobody killed it, fewer --workers or a shorter --time-limit need less", err)
	}
	return fmt.Errorf("the worker that simulated it died (%w); if it had last words, they are above", err)
}

func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}
