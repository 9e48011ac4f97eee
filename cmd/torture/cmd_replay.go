package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
)

func newReplayCommand(a *app) *cobra.Command {
	var world string
	var times int
	cmd := &cobra.Command{
		Use:   "replay DIR|SCHEDULE",
		Short: "Do a recorded run, or a schedule, again",
		Long: `Replay does again what a run did. In the simulator the same seed gives the same
history, byte by byte, and replay verifies it: where the same program does
something else, it says where and fails. With --world docker the run's
operations and faults are played at their times in containers, where each time
is a little different: --times says how often to try. What began once a fault
was in force, or over, waits until it is. Elections end differently there: what
began under a leader waits for one, up to 5 s in all, and whoever leads is
treated as the leader of the schedule was, under its own name.

A schedule is what torture shrink writes, or the schedule.jsonl of a run: its
first line says what to run, the others are invocations.` + "\n" + exitStatus,
		Example: `  torture replay runs/20261122T120000.000-raft-sim-7
  torture replay runs/20261122T120000.000-raft-sim-7-shrunk/schedule.jsonl --world docker --times 10`,
		Args: one("DIR or SCHEDULE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if times < 1 {
				return errors.New("--times must be at least 1")
			}
			if world != "" && world != "sim" && world != "docker" {
				return fmt.Errorf("--world %s: want sim or docker", world)
			}
			tr, recorded, err := a.replayed(args[0], world)
			if err != nil {
				return err
			}
			if _, _, err := chooseWorld(cmd.Context(), tr.Manifest.World); err != nil {
				return err
			}
			ctx, stop := a.interrupts.until(cmd.Context())
			defer stop()
			code, hits, done := exitValid, 0, 0
			for ; done < times && ctx.Err() == nil && !a.stuck; done++ {
				again, err := run.NewTrial(tr.Target, tr.Manifest, tr.Script)
				if err != nil {
					return err
				}
				var same *identity
				if recorded != nil {
					fresh := *recorded
					same = &fresh
				}
				o, err := a.conduct(ctx, again, same)
				said := a.sayOf(o, err)
				if errors.As(err, new(verdictError)) { // interrupted, before there was a verdict
					code = graver(code, exitUnknown)
					break
				}
				if err != nil {
					return err
				}
				if o.Verdict == checker.Invalid {
					hits++
				}
				code = graver(code, exitCode(said, a.stderr))
				if times > 1 {
					fmt.Fprintf(a.stderr, "replay %d of %d: %s\n", done+1, times, o.Verdict)
				}
			}
			if times > 1 {
				fmt.Fprintf(a.stderr, "%d of %d replays were invalid\n", hits, done)
			}
			if done < times && a.stuck {
				fmt.Fprintf(a.stderr, "%d of %d replays were not begun: in this process a handler is still running\n", times-done, times)
			} else if done < times {
				fmt.Fprintf(a.stderr, "interrupted: %d of %d replays were not begun\n", times-done, times)
				code = graver(code, exitUnknown)
			}
			return verdictOf(code)
		},
	}
	a.addLimitFlags(cmd)
	a.addContainerFlags(cmd)
	cmd.Flags().StringVar(&world, "world", "", "where to do it: sim or docker (default: where it was)")
	complete(cmd, "world", "sim", "docker")
	cmd.Flags().IntVar(&times, "times", 1, "how often")
	return cmd
}

// verdictOf is the error that exits with the code of a verdict.
func verdictOf(code int) error {
	switch code {
	case exitValid:
		return nil
	case exitInvalid:
		return verdictError(checker.Invalid)
	case exitVacuous:
		return verdictError(checker.Vacuous)
	}
	return verdictError(checker.Unknown)
}

// replayed makes the trial that repeats a run or a schedule, in a world; and
// tells what it must be identical to, if to anything.
func (a *app) replayed(path, world string) (*run.Trial, *identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	var recorded *identity
	var m histories.Manifest
	var script []histories.Op
	if info.IsDir() {
		tr, opened, err := a.openTrial(path)
		if err != nil {
			return nil, nil, err
		}
		m, script = tr.Manifest, tr.Script
		if m.World == "sim" && world != "docker" {
			recorded = &identity{of: path, build: m.Build, want: opened.History, whole: cutShort(path, opened.History.Len()) == nil}
		}
		// Where the seed does not decide everything, what happened is played.
		if script == nil && (m.World != "sim" || world == "docker") {
			script = run.Schedule(opened.History)
			m = run.Recorded(m, opened.History, tr.Target.Primary)
			m.Schedule = true
			if n := opened.History.Len(); n > 0 {
				m.End = opened.History.At(n - 1).Time.Duration()
			}
		}
	} else {
		s, err := a.limits.ReadSchedule(path)
		if err != nil {
			return nil, nil, err
		}
		if s.Run == nil {
			return nil, nil, fmt.Errorf(`%s: its first line does not say what to run ({"schedule":1,"run":{…}}); give it to torture run TARGET --schedule instead`, path)
		}
		m, script = *s.Run, s.Ops
		m.Schedule = true
	}
	if world != "" && world != m.World {
		// Worlds differ in patience; the new one has its own.
		m.World, m.Timeout = world, 0
		if script != nil && world != "sim" {
			script = run.WithoutPlaces(script)
		}
	}
	t, err := a.targets().Named(m.Target)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	m.ID = ""
	tr, err := run.NewTrial(t, m, script)
	return tr, recorded, err
}
