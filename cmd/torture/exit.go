package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/report"
)

// Exit codes: Jepsen's, and one for runs that prove nothing.
const (
	exitValid   = 0
	exitInvalid = 1
	exitUnknown = 2
	exitVacuous = 3
	exitUsage   = 254
	exitFailed  = 255
)

const exitStatus = `
EXIT STATUS
    0  valid: every promise was kept
    1  invalid: a promise was broken
    2  unknown: a checker could not decide, or the command was interrupted, or
       somebody else disturbed the cluster
    3  vacuous: too little happened for a verdict to mean anything
  254  usage, or input that cannot be read
  255  torture itself failed, or crashed
Of several runs the gravest counts: 255, then 1, 2, 3, and 0 if all are valid.`

// verdictError ends a command with the exit code of a verdict, once all has
// been said.
type verdictError checker.Verdict

func (e verdictError) Error() string { return checker.Verdict(e).String() }

// failure is torture's own: the engine is gone, the disk is full.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func failed(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// unless is err, unless it is one that means no harm.
func unless(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// exitCode is the one place that turns an outcome into a code. What is neither
// a verdict nor a failure of ours is the user's: a wrong flag, a torn file.
func exitCode(err error, stderr io.Writer) int {
	var v verdictError
	var f failure
	switch {
	case err == nil:
		return exitValid
	case errors.As(err, &f):
		complain(stderr, "torture failed: ", err)
		return exitFailed
	case errors.As(err, &v):
		return [...]int{checker.Unknown: exitUnknown, checker.Valid: exitValid, checker.Invalid: exitInvalid, checker.Vacuous: exitVacuous}[v]
	default:
		complain(stderr, "torture: ", err)
		return exitUsage
	}
}

// complaintsMax bounds the lines of an error that are printed.
const complaintsMax = 50

// complain prints an error, which may be several, one a line: the first after
// the prefix, the others below it.
func complain(w io.Writer, prefix string, err error) {
	n := 0
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimRight(line, " \r\n"); line == "" {
			continue
		}
		if n++; n <= complaintsMax {
			fmt.Fprintln(w, prefix+report.Plain(line, 2000))
			prefix = strings.Repeat(" ", len(prefix))
		}
	}
	if n > complaintsMax {
		fmt.Fprintf(w, "%s… and %d more\n", prefix, n-complaintsMax)
	}
}

// graver returns the code that counts when there were several runs: of verdicts
// the one that checker.Worse says, and a failure of torture before any.
func graver(a, b int) int {
	rank := map[int]int{exitValid: 0, exitVacuous: 1, exitUnknown: 2, exitInvalid: 3, exitUsage: 4, exitFailed: 5}
	if rank[a] >= rank[b] {
		return a
	}
	return b
}
