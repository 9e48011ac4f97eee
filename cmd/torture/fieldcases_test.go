package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fieldCasesVar names the folder of the field cases: histories and schedules
// in the forms that people have, each with the exit codes that are right.
const fieldCasesVar = "TORTURE_FIELD_CASES"

// wrongCases are the field cases that torture gets wrong so far: what it
// answers, and what it lacks. A case that is right must not be listed.
var wrongCases = map[string]struct {
	code int
	why  string
}{
	"55-counter-eventual-reads.edn": {exitUsage, "needs the checker of eventual counters"},
	"56-total-queue-drain.edn":      {exitUsage, "needs the checker of total queues"},
	"58-queue-unordered-ok.edn":     {exitUsage, "needs the model of unordered queues"},
	"65-bank-sum-changes.edn":       {exitUsage, "needs the checker of banks"},
	"66-unique-ids-twice.edn":       {exitUsage, "needs the checker of unique ids"},
	"67-long-fork-reads.edn":        {exitUsage, "needs the checker of long forks"},
	"101-total-queue-twice.edn":     {exitUsage, "needs the checker of total queues"},
}

// fieldWords are what an answer must say beside its exit code, or beside that
// one code of several that are right.
var fieldWords = []struct {
	name string
	code int // -1: any
	want []string
}{
	{"01-append-write-skew.edn", exitUnknown, []string{"cycles over several lists"}},
	{"02-append-g1b.edn", exitInvalid, []string{"G1b"}},
	{"03-append-lost-update.edn", exitInvalid, []string{"lost-update"}},
	{"07-append-future-read.edn", exitInvalid, []string{"internal"}},
	{"14-append-no-process.edn", -1, []string{"field process"}},
	{"15-append-completions-only.edn check FILE --checker append", exitUsage, []string{"--compact"}},
	{"21-rw-index-per-process.edn", -1, []string{"index"}},
	{"32-register-completes-uninvoked.edn", -1, []string{"op 0", "process "}},
	{"36-register-initial-zero.edn check FILE --checker linearizable", -1, []string{"--option init"}},
	{"37-independent-without-flag.edn", -1, []string{"--independent"}},
	{"39-independent-cas-flat-triple.edn", -1, []string{"39-independent-cas-flat-triple.edn:", "[key, value]"}},
	{"40-get-put.edn", -1, []string{`"put"`, "read, write and cas"}},
	{"45-written-at-completion.edn", -1, []string{"times"}},
	{"81-vectors-of-old-knossos.edn", -1, []string{"81-vectors-of-old-knossos.edn:1"}},
	{"82-history-txt.txt", -1, []string{"history.edn"}},
	{"87-read-init-causal.edn", -1, []string{"read-init"}},
	{"89-wrapped-in-test-map.edn", -1, []string{"test map"}},
	{"95-schedule-delay-one-link.jsonl", -1, []string{"delay", "drop"}},
	{"98-jepsen-store/latest", exitUsage, []string{"history.edn", "--checker"}},
	{"99-exceptions-by-class.edn", -1, []string{"timeout"}},
	{"105-torn-last-line.jsonl", -1, []string{"torn"}},
	{"110-many-crashed-writes.edn", exitUnknown, []string{"--option budget"}},
}

// TestFieldCases tries every field case. Those that torture still gets wrong
// are listed, and none of them may be VALID where something else is right.
func TestFieldCases(t *testing.T) {
	folder := os.Getenv(fieldCasesVar)
	if folder == "" {
		t.Skipf("%s is not set: it names a folder of histories from the field, see .ci/run", fieldCasesVar)
	}
	cases := readFieldCases(t, folder)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := do(t, append(c.args, "--store", t.TempDir())...)
			wrong := c.wrong(d)
			listed, known := wrongCases[c.name]
			switch {
			case known && listed.code == exitValid:
				t.Error("a case that is VALID and should not be is not to be listed: it is to be mended")
			case wrong == "" && known:
				t.Errorf("it is right now: take it from the list\n%s", d)
			case wrong != "" && !known:
				t.Errorf("%s\nright is: %s\n%s", wrong, c.why, d)
			case known && d.code != listed.code:
				t.Errorf("exit %d, want %d as listed, or rather one of %v: %s\n%s", d.code, listed.code, c.accept, c.why, d)
			}
		})
	}
	for name := range wrongCases {
		if !slices.ContainsFunc(cases, func(c fieldCase) bool { return c.name == name }) {
			t.Errorf("%s is listed as wrong, and there is no such case", name)
		}
	}
	for _, w := range fieldWords {
		if !slices.ContainsFunc(cases, func(c fieldCase) bool { return c.name == w.name }) {
			t.Errorf("%s must say %q, and there is no such case", w.name, w.want)
		}
	}
}

// fieldCase is a row of cases.csv.
type fieldCase struct {
	name   string // the file; and the arguments, where they differ for one file
	args   []string
	accept []string // the exit codes that are right
	why    string
}

// wrong tells what is wrong with what a case came to, or "".
func (c fieldCase) wrong(d done) string {
	if !slices.Contains(c.accept, fmt.Sprint(d.code)) {
		return fmt.Sprintf("exit %d, want one of %v", d.code, c.accept)
	}
	for _, w := range fieldWords {
		if w.name != c.name || w.code >= 0 && w.code != d.code {
			continue
		}
		for _, word := range w.want {
			if !strings.Contains(d.out+d.errors, word) {
				return fmt.Sprintf("it does not say %q", word)
			}
		}
	}
	return ""
}

func readFieldCases(t *testing.T, folder string) (cases []fieldCase) {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "cases.csv"))
	if err != nil {
		t.Fatalf("%s: %v", fieldCasesVar, err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 || !slices.Equal(rows[0][:4], []string{"file", "arguments", "accept", "why"}) {
		t.Fatalf("%s: %d rows, %v; want file, arguments, accept and why", f.Name(), len(rows), err)
	}
	times := map[string]int{}
	for _, row := range rows[1:] {
		times[row[0]]++
	}
	for _, row := range rows[1:] {
		file, arguments := row[0], row[1]
		c := fieldCase{name: file, accept: strings.Fields(row[2]), why: row[3]}
		if times[file] > 1 {
			c.name += " " + arguments
		}
		path := filepath.Join(folder, file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", f.Name(), err)
		}
		for _, arg := range words(arguments) {
			if arg == "FILE" {
				arg = path
			}
			c.args = append(c.args, arg)
		}
		cases = append(cases, c)
	}
	return cases
}

// words splits a line as a shell does that knows of single quotes only.
func words(line string) (args []string) {
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range line + " " {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				args = append(args, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return args
}
