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
	"time"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

// A hunt's simulations run in worker processes: the simulator has one run at a
// time in a process, and a seed that panics or never ends takes only its
// worker with it. Worker and hunt speak JSON lines: a manifest, then its
// verdict.
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
}

func newHuntWorkerCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "hunt-worker",
		Short:  "Simulate the seeds that torture hunt gives",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Ctrl-C goes to all processes of a terminal: it is for the hunt, which
			// ends its workers.
			signal.Ignore(os.Interrupt)
			in, out := json.NewDecoder(os.Stdin), json.NewEncoder(a.stdout)
			for {
				var m histories.Manifest
				switch err := in.Decode(&m); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return failed(err)
				}
				if err := out.Encode(a.simulateSeed(cmd.Context(), m)); err != nil {
					return failed(err)
				}
			}
		},
	}
}

func (a *app) simulateSeed(ctx context.Context, m histories.Manifest) seedResult {
	res := seedResult{Seed: m.Seed}
	t, err := a.targets().Named(m.Target)
	if err != nil {
		res.Error = err.Error()
		return res
	}
	tr, err := run.NewTrial(t, m, nil)
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
	sum := sha256.New()
	if err := histories.Write(sum, h); err != nil {
		res.Error = err.Error()
	}
	res.Hash = hex.EncodeToString(sum.Sum(nil))
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
func (w *worker) simulate(ctx context.Context, m histories.Manifest, limit time.Duration) (seedResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("seed %d is not over after %v", m.Seed, limit))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })
	defer stop()
	var res seedResult
	if err := json.NewEncoder(w.in).Encode(m); err != nil {
		return res, w.died(ctx, m.Seed, err)
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return res, w.died(ctx, m.Seed, err)
	}
	if err := json.Unmarshal(line, &res); err != nil {
		return res, fmt.Errorf("seed %d: the worker says %.100q: %w", m.Seed, line, err)
	}
	return res, nil
}

func (w *worker) died(ctx context.Context, seed uint64, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if werr := w.cmd.Wait(); werr != nil {
		err = werr // says how
	}
	return fmt.Errorf("seed %d: the worker that simulated it died (%w); if it had last words, they are above", seed, err)
}

func (w *worker) stop() {
	_ = w.in.Close()
	_ = w.cmd.Wait()
}
