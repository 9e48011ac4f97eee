package main

import (
	"context"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// app is what every command shares.
type app struct {
	stdout, stderr io.Writer
	store          string
	json           bool
	verbose        bool
}

func execute(args []string, stdout, stderr io.Writer) int {
	a := &app{stdout: stdout, stderr: stderr}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exitCode(root.ExecuteContext(context.Background()), stderr)
}

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
	root.PersistentFlags().StringVar(&a.store, "store", "runs", "folder in which runs are kept")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log what torture does, to stderr")
	root.AddCommand(
		newRunCommand(a), newHuntCommand(a), newCheckCommand(a), newReplayCommand(a), newShrinkCommand(a),
		newSelftestCommand(a), newTargetsCommand(a), newListCommand(a), newDoctorCommand(a), newCleanCommand(a),
		newNodeCommand(a), newAgentCommand(a), newHuntWorkerCommand(a),
	)
	return root
}

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// logger writes to stderr, warnings only unless asked for more, and all of it
// to file, if there is one.
func (a *app) logger(file *os.File) *zap.Logger {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.ISO8601TimeEncoder
	level := zapcore.WarnLevel
	if a.verbose {
		level = zapcore.InfoLevel
	}
	cores := []zapcore.Core{zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(a.stderr)), level)}
	if file != nil {
		cores = append(cores, zapcore.NewCore(zapcore.NewJSONEncoder(config), zapcore.Lock(file), zapcore.DebugLevel))
	}
	return zap.New(zapcore.NewTee(cores...))
}
