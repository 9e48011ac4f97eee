package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// What comes from outside is printed and not obeyed, in however many pieces it
// comes.
func TestScreen(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":      "plain\ttext\n",
		"ü ∀ 😀\n":            "ü ∀ 😀\n",
		"a\x1b]0;title\ab":   `a\u001b]0;title\u0007b`,
		"a\r\x1b[Kb":         `a\u000d\u001b[Kb`,
		"\x1b[1;31mred\x1b[": `\u001b[1;31mred`, // no terminal; what is cut off at the end is nothing
		"\u009b2J\u202e\x7f": `\u009b2J\u202e\u007f`,
		"bad \xff\xc3(":      `bad \xff\xc3(`,
		"\U000e0001":         `\udb40\udc01`,
	} {
		for size := 1; size <= len(in); size++ {
			var out bytes.Buffer
			s := &screen{w: &out}
			for rest := []byte(in); len(rest) > 0; rest = rest[min(size, len(rest)):] {
				piece := rest[:min(size, len(rest))]
				if n, err := s.Write(piece); n != len(piece) || err != nil {
					t.Errorf("%q: wrote %d of %d bytes, %v", piece, n, len(piece), err)
				}
			}
			if out.String() != want {
				t.Errorf("%q in pieces of %d: got %q, want %q", in, size, out.String(), want)
			}
		}
	}
}

// A store that somebody has sent cannot forge rows of a list, or set a
// terminal's title.
func TestListOfHostileStore(t *testing.T) {
	store := t.TempDir()
	const evil = "x\\n\\u001b]0;title\\u0007run-9  valid\\u009b"
	for i, dir := range []string{"bad\nrun-8  valid\x1b[2J", "r"} {
		put(t, filepath.Join(store, dir, "run.json"), fmt.Sprintf(`{"version":2,"target":"%[1]s","workload":"%[1]s","world":"%[1]s","bug":"%[1]s"}`, evil))
		put(t, filepath.Join(store, dir, "history.jsonl"), "")
		put(t, filepath.Join(store, dir, "result.json"), fmt.Sprintf(`{"version":%d,"verdict":"%s","state":"%s"}`, 1, evil, []string{evil, "complete"}[i]))
	}
	put(t, filepath.Join(store, "broken\n\x1b[1m", "run.json"), "{")
	d := do(t, "list", "--store", store)
	d.want(t, exitValid, `\n`, `\x1b]0;title`)
	if lines := strings.Count(d.out, "\n"); lines != 5 || strings.ContainsAny(d.out, "\x1b\a\r\u009b") {
		t.Errorf("%d lines, want 5: %q", lines, d.out)
	}
	if d := do(t, "list", "--json", "--store", store); strings.ContainsAny(d.out, "\x1b\a\r\u009b") || !strings.Contains(d.out, evil) {
		t.Errorf("as JSON: %q", d.out)
	}
	for _, command := range [][]string{{"check", filepath.Join(store, "r")}, {"check", filepath.Join(store, "none\x1b[2J\nok")}, {"check", filepath.Join(store, "broken\n\x1b[1m")},
		{"check", write(t, "h\x1b[2J.jsonl", `{"process":0,"type":"x\u001b"}`), "--checker", "set"}, {"list", "--sort", "\x1b[2J"}, {"targets", "show", "\x1b[2J"}} {
		if d := do(t, command...); d.code != exitUsage || strings.Contains(d.out+d.errors, "\x1b") {
			t.Errorf("torture %q: exit %d, %q", command, d.code, d.out+d.errors)
		}
	}
}
