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
	Run     string          `json:"run,omitempty"`  // its directory, if it is one that was kept
	Gaps    []sim.Gap       `json:"gaps,omitempty"` // where crashes came and might have, if there were to be any
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
			signal.Ignore(os.Interrupt, syscall.SIGTERM)
			in, out := json.NewDecoder(os.Stdin), json.NewEncoder(a.stdout)
			for {
				var request seedRequest
				switch err := in.Decode(&request); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return failed(err)
				}
				if err := out.Encode(a.simulateSeed(cmd.Context(), request)); err != nil {
					return failed(err)
				}
			}
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
	w := tr.Simulated()
	defer w.Close()
	var b histories.Builder
	if err := run.Loop(ctx, tr.Plan(w.Now()), w, b.Add); err != nil {
		res.Error = err.Error()
	}
	h := b.History()
	res.Ops, res.Steps, res.Virtual = h.Len(), w.Steps(), w.Now().Duration()
	if slices.Contains(tr.Manifest.Nemesis, string(nemesis.Kill)) || slices.Contains(tr.Manifest.Nemesis, string(nemesis.Power)) {
		res.Gaps = w.Gaps()
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
	stop := context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })
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
	return res, nil
}

func (w *worker) died(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if werr := w.cmd.Wait(); werr != nil {
		err = werr // says how
	}
	return fmt.Errorf("the worker that simulated it died (%w); if it had last words, they are above", err)
}

func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}
