package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/sim"
	"github.com/torture-harness/torture/targets/all"
)

// app is what every command shares.
type app struct {
	stdout, stderr io.Writer
	interrupts     *interrupts // nil: none
	args           []string    // of the command line, for the run's manifest
	store          string
	json           bool
	verbose        bool
	limits         histories.Limits // of what is read
	patience       time.Duration    // how long a run may hang, see watchdog; 0: as long as is right for it
	handlers       time.Duration    // how long a handler of a simulated node may take; 0: as long as is right
	stuck          bool             // one is still running in this process, see loop
	binary         string           // for containers; "": found or built
	publish        string           // address of a remote engine's machine for clients; "": the engine's own
	sabotage       docker.Sabotage  // of containers, by tests alone
	simulated      sim.Sabotage     // of the simulator, likewise
	own            all.Catalogue    // targets beside those of torture, by tests alone
}

func execute(args []string, stdout, stderr io.Writer) int {
	return (&app{stdout: stdout, stderr: stderr, args: args}).execute()
}

// inner tells whether args are a command that is part of another's work, which
// looks after it.
func inner(args []string) bool {
	return len(args) > 0 && slices.Contains([]string{"node", "agent", "hunt-worker"}, args[0])
}

// executeAlone is execute in a process of which it is all.
func (a *app) executeAlone(line *lifeline) int {
	if inner(a.args) {
		a.stdout, a.stderr = os.Stdout, os.Stderr
		return a.execute()
	}
	a.interrupts = hearInterrupts(line)
	a.stdout, a.stderr = outlet{os.Stdout, a.interrupts}, outlet{os.Stderr, a.interrupts}
	return a.interrupts.result(a.execute())
}

func (a *app) execute() (code int) {
	a.stdout, a.stderr = &screen{w: a.stdout}, &screen{w: a.stderr}
	defer func() {
		if p := recover(); p != nil {
			// Go's own end of a panic is exit code 2, which would be a verdict.
			fmt.Fprintf(a.stderr, "torture failed: panic: %v\n%s", p, debug.Stack())
			code = exitFailed
		}
	}()
	root := newRootCommand(a)
	root.SetArgs(a.args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return exitCode(root.ExecuteContext(context.Background()), a.stderr)
}

// targets are all that can be put to the test.
func (a *app) targets() all.Catalogue { return append(all.Targets(), a.own...) }

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "torture",
		Short: "Break a distributed system, and judge what it did meanwhile",
		Long: `torture drives a cluster of nodes with operations of clients, breaks it on
purpose, records all that happens, and judges the record: was every promise
kept? Nodes run in a deterministic simulator or in containers; it is the same
code, the same faults, the same record and the same judge.

  torture run raft                   one run; containers if an engine answers
  torture run raft --world sim       the same in virtual time, decided by a seed
  torture hunt raft --seeds 1000     many simulated runs, on all cores
  torture check runs/…               judge a recorded run again
  torture replay runs/…              do it again
  torture shrink runs/…              find the few operations that matter
` + exitStatus,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(flagError)
	root.Version = version()
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetHelpCommand(newHelpCommand(root))
	root.PersistentFlags().StringVar(&a.store, "store", "runs", "folder in which runs are kept")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log what torture does, to stderr")
	root.AddCommand(
		newRunCommand(a), newHuntCommand(a), newCheckCommand(a), newConvertCommand(a), newReplayCommand(a), newShrinkCommand(a),
		newSelftestCommand(a), newTargetsCommand(a), newListCommand(a), newPruneCommand(a), newDoctorCommand(a), newCleanCommand(a),
		newNodeCommand(a), newAgentCommand(a), newHuntWorkerCommand(a),
	)
	return root
}

// one is for commands that take one argument, and says what it is.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s needs one %s, and got %s (see %s --help)", cmd.Name(), what, count(len(args), "argument"), cmd.CommandPath())
	}
}

// waiting tells people what they wait for.
func (a *app) waiting(what string) { fmt.Fprintln(a.stderr, what) }

// logger writes to stderr, mere warnings unless asked for more, and all of it
// to file, if there is one.
func (a *app) logger(file *os.File) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	// What is an error ends the command, which says so itself.
	level := zap.LevelEnablerFunc(func(l zapcore.Level) bool {
		return l == zapcore.WarnLevel || a.verbose && l >= zapcore.InfoLevel
	})
	cores := []zapcore.Core{zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(a.stderr)), level)}
	if file != nil {
		cores = append(cores, zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(file), zapcore.DebugLevel))
	}
	return zap.New(zapcore.NewTee(cores...))
}
