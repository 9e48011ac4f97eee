package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/report"
)

// fileCheck is how a history in a file is to be read and judged.
type fileCheck struct {
	checker   string
	options   []string
	read      histories.ReadOptions
	noTuples  bool   // the user says that values are no [key value]
	order     string // of the ops: file, time, or both, see weigh
	reportDir string // where to keep the report; "": nowhere
}

// Orders of a file's ops.
const (
	orderBoth = "both"
	orderFile = "file"
	orderTime = "time"
)

// readFile reads the history in the file path, or from stdin if that is "-",
// and says on stderr what was odd about it.
func (a *app) readFile(path string, stdin io.Reader, o histories.ReadOptions) (h histories.History, info histories.ReadInfo, err error) {
	if path == "-" {
		path = "standard input"
		h, info, err = histories.Read(stdin, path, o)
	} else {
		h, info, err = histories.ReadFile(path, o)
	}
	var bad *histories.Malformed
	if errors.As(err, &bad) && bad.Other.Type == 0 && bad.Op.Type != histories.Invoke && !o.Compact {
		err = fmt.Errorf("%w (where completions stand for whole operations: --compact)", err)
	}
	if err != nil {
		return h, info, err
	}
	say := func(format string, args ...any) {
		a.remark("%s: "+format, append([]any{path}, args...)...)
	}
	if info.Torn > 0 {
		say("the last line is torn and was dropped")
	}
	if info.IndexBack > 0 {
		say("in line %d the index goes back, so that it numbers no more than the ops of each process; the place in the file is taken for the order", info.IndexBack)
	}
	if info.Renumbered > 0 {
		say("the index of %s is not the place in the file; op numbers below are places, counted from 0", count(info.Renumbered, "op"))
	}
	if info.Seconds {
		say("times have fractions and are taken for seconds")
	}
	return h, info, nil
}

// checkFile judges the history in a file.
func (a *app) checkFile(ctx context.Context, path string, stdin io.Reader, f fileCheck) error {
	opts, err := parseOptions(f.options)
	if err != nil {
		return err
	}
	c, err := checker.ByName(f.checker, opts)
	if err != nil {
		return err
	}
	o := f.read
	if f.reportDir == "" { // else the page shows what nodes recorded
		o.Fields, o.Bare = checker.Fields, !checker.LooksAtRecords(f.checker)
	}
	h, info, err := a.readFile(path, stdin, o)
	if err != nil {
		return err
	}
	if info.Tuples && !f.noTuples {
		return fmt.Errorf("%s: all values are [key value], as those of independent objects are: say --independent, or --independent=false if they are not", path)
	}
	var r checker.Result
	switch {
	case f.order == orderTime:
		if h, err = histories.ByTime(h); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r = c.Check(ctx, h)
	case f.order == orderBoth && info.Backwards.Ops > 0:
		r = a.weigh(ctx, path, c, h, info.Backwards)
	default:
		r = c.Check(ctx, h)
	}
	return a.sayResult(h, r, f.reportDir)
}

// weigh judges a history whose times contradict its order. Either may be
// wrong: a recorder may have written operations when they ended, and clocks of
// several machines differ. A verdict that both orders give is right in any
// case; else there is none.
func (a *app) weigh(ctx context.Context, path string, c checker.Checker, h histories.History, back histories.Backwards) checker.Result {
	r := c.Check(ctx, h)
	warn := func(what string) {
		a.remark("%s: the times of %s contradict the order of the file, by up to %v, first in line %d; %s",
			path, count(back.Ops, "op"), back.By, back.Line, what)
	}
	timed, err := histories.ByTime(h)
	if err != nil {
		warn("judged is the order of the file: by its times it is no history (" + err.Error() + ")")
		return r
	}
	other := c.Check(ctx, timed)
	if other.Verdict == r.Verdict {
		warn("the verdict is the same in both orders")
		return r
	}
	warn("the verdict depends on which is right")
	return checker.Result{Checker: r.Checker, Why: fmt.Sprintf("the file's order and its times contradict each other, and so do their verdicts: in the order of the file it is %s, in the order of its times %s: say which is right, by --order file or --order time",
		inShort(r), inShort(other))}
}

// inShort is a verdict with its first reason.
func inShort(r checker.Result) string {
	why := r.Why
	if len(r.Anomalies) > 0 {
		why = r.Anomalies[0].Why
	}
	if why == "" {
		return r.Verdict.String()
	}
	return fmt.Sprintf("%s (%s)", r.Verdict, why)
}

// sayResult prints what a checker made of a file, and keeps the report in dir,
// if that is not empty.
func (a *app) sayResult(h histories.History, r checker.Result, dir string) error {
	in := report.Input{History: h, Result: r, Dir: dir}
	if dir != "" {
		if err := saveReport(in); err != nil {
			return failed(err)
		}
	} else {
		for i := range r.Anomalies {
			r.Anomalies[i].File = "" // nobody keeps it
		}
	}
	if a.json {
		printJSON(a.stdout, r)
	} else {
		in.Colour = terminal(a.stdout)
		if err := report.Text(a.stdout, in); err != nil {
			return failed(err)
		}
		if dir == "" && r.Verdict == checker.Invalid {
			fmt.Fprintln(a.stdout, "report  by --report DIR: a page with the timeline, and what the checker draws")
		}
	}
	if r.Verdict == checker.Valid {
		return nil
	}
	return verdictError(r.Verdict)
}

// saveReport keeps a result, what the checkers drew, and the page about them in
// in.Dir.
func saveReport(in report.Input) error {
	d := histories.Dir(in.Dir)
	for name, content := range in.Result.Files {
		if err := d.SaveFile(name, content); err != nil {
			return err
		}
	}
	if err := d.Save(histories.ResultName, in.Result); err != nil {
		return err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, in); err != nil {
		return err
	}
	return d.SaveFile("report.html", page.Bytes())
}

// historyIn finds the history in a directory that is no run of torture: one of
// Jepsen's store.
func historyIn(dir string) (path string, err error) {
	if path := jepsenHistory(dir); path != "" {
		return path, nil
	}
	for _, name := range []string{"latest", "current"} {
		if inner := filepath.Join(dir, name); jepsenHistory(inner) != "" {
			return "", fmt.Errorf("%s holds runs of Jepsen and is none: say which, as %s", dir, inner)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "test.jepsen")); err == nil {
		return "", fmt.Errorf("%s is a run of Jepsen without its history.edn, and test.jepsen is not read by torture: have Jepsen write it", dir)
	}
	return "", fmt.Errorf("%s is not the directory of a run", dir)
}

// jepsenHistory is the path of the history in a run of Jepsen, or "".
func jepsenHistory(dir string) string {
	for _, name := range []string{"history.edn", "history.edn.gz", "history.edn.zst"} {
		path := filepath.Join(dir, name)
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// isRun tells whether dir is the directory of a run of torture's.
func isRun(dir string) bool {
	_, err := os.Stat(histories.Dir(dir).Path(histories.ManifestName))
	return !errors.Is(err, fs.ErrNotExist)
}

// sayChecker asks for a checker, with an example.
func sayChecker(path, what string) error {
	return fmt.Errorf("%s: say with --checker by which checker to judge it, as in: torture check %s --checker linearizable; there are %s",
		what, quoted(path), strings.Join(checker.Names(), ", "))
}
