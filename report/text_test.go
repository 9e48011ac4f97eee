package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew")

// What people see at the end of a run.
func TestText(t *testing.T) {
	valid, invalid, vacuous, failed, file, many := synthetic(t, 500), broken(t, 500), synthetic(t, 500), synthetic(t, 500), broken(t, 500), broken(t, 500)
	invalid.Dir = "runs/20260102T030405-raft-sim-42"
	invalid.Manifest.Bug = "lease-ignores-clock"
	vacuous.Result = checker.Result{
		Verdict: checker.Vacuous, Why: "register: stats: no fault of kind pause was injected; 3 operations succeeded during partition: want 100; no log: nothing was read",
		Anomalies: []checker.Anomaly{
			{Kind: "fault-not-verified:pause", Why: "no fault of kind pause was injected"},
			{Kind: "few-operations:partition", Why: "3 operations succeeded during partition: want 100"},
		},
	}
	failed.Result, failed.Error = checker.Result{}, "wait for n3: the container is gone\nwait for n4: the container is gone"
	file.Manifest, file.Command, file.Result.Parts = histories.Manifest{}, "", nil
	file.Colour = true
	for i := range 40 {
		a := many.Result.Anomalies[0]
		for range i % 12 {
			a.Ops = append(a.Ops, i)
		}
		many.Result.Anomalies = append(many.Result.Anomalies, a)
	}
	for _, c := range []struct {
		name string
		in   Input
	}{{"valid", valid}, {"invalid", invalid}, {"vacuous", vacuous}, {"failed", failed}, {"colours", file}, {"many", many}} {
		var b bytes.Buffer
		if err := Text(&b, c.in); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if n := strings.Count(got, "\n"); n > textLines {
			t.Errorf("%s: %d lines", c.name, n)
		}
		path := filepath.Join("testdata", c.name+".txt")
		if *rewrite {
			if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s\n(-rewrite, if it is meant to)", c.name, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"clip short", clip("abc", 3), "abc"},
		{"clip long", clip("abcdef", 3), "abc… (6 bytes)"},
		{"clip within a rune", clip("aé", 2), "a… (3 bytes)"},
		{"plain", plain("é 1"), "é 1"},
		{"control characters", plain("a\n\t\x1b\x7f\u202e"), `a\n\t\x1b\x7f\u202e`},
		{"no UTF-8", plain("a\xff\uFFFD"), "a\\xff\uFFFD"},
		{"null", value([]byte("null"), 9), ""},
		{"word", value([]byte(`"k3"`), 9), "k3"},
		{"no word", value([]byte(`"k 3"`), 9), `"k 3"`},
		{"empty string", value([]byte(`""`), 9), `""`},
		{"list", value([]byte(`[1, 2]`), 9), `[1, 2]`},
		{"brief ns", brief(999), "999ns"},
		{"brief µs", brief(123456), "123µs"},
		{"brief s", brief(61234567890), "1m1.2s"},
		{"brief negative", brief(-5), "-5ns"},
		{"brief longest", brief(1<<63 - 1), "2562047h47m16.854775807s"},
		{"number", number(1234567), "1,234,567"},
		{"number negative", number(-123456), "-123,456"},
		{"number small", number(12), "12"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, c.got, c.want)
		}
	}
}

// There is one of each kind before there are two of any.
func TestTextVaries(t *testing.T) {
	var kinds []string
	for _, a := range varied([]checker.Anomaly{{Kind: "a"}, {Kind: "a"}, {Kind: "b"}, {Kind: "a"}, {Kind: "c"}}) {
		kinds = append(kinds, a.Kind)
	}
	if got := strings.Join(kinds, ""); got != "abcaa" {
		t.Errorf("got %s, want abcaa", got)
	}
}

// A reason of many lines is shown as such, in part.
func TestTextOfALongReason(t *testing.T) {
	in := Input{Result: checker.Result{Verdict: checker.Invalid, Anomalies: []checker.Anomaly{{Kind: "G1c", Why: "a cycle:\n" + strings.Repeat("T1 < T2\n", 20)}}}}
	var b bytes.Buffer
	if err := Text(&b, in); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "G1c: a cycle:\n  T1 < T2\n") || strings.Count(got, "T1") != whyLines-1 {
		t.Errorf("got %s", got)
	}
}

// Operations of compact histories, which are completions alone, count.
func TestTextOfACompactHistory(t *testing.T) {
	all := histories.Builder{Compact: true}
	for p, typ := range []histories.Type{histories.OK, histories.Invoke, histories.Fail} {
		if err := all.Add(histories.Op{Process: histories.Process(p), Type: typ, F: "txn"}); err != nil {
			t.Fatal(err)
		}
	}
	in := Input{History: all.History()}
	var b bytes.Buffer
	if err := Text(&b, in); err != nil {
		t.Fatal(err)
	}
	if want := "3 operations: 1 ok, 1 fail, 1 info"; !strings.Contains(b.String(), want) {
		t.Errorf("got %s, want %s", b.String(), want)
	}
	if tl := drawn(t, render(t, "compact", in)); len(tl.Calls.Begin) != 3 {
		t.Errorf("got %d calls drawn, want 3", len(tl.Calls.Begin))
	}
}

// However long the names in a history are, its report is not.
func TestTextOfLongNames(t *testing.T) {
	long := strings.Repeat("n", 100_000)
	h, err := histories.Of(histories.Op{Process: histories.Named(long), Type: histories.Info, F: long, Node: long, Error: long, Value: histories.Encode(long)})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Text(&b, Input{History: h, Result: checker.Result{Anomalies: []checker.Anomaly{{Kind: "odd", Ops: []int{0}}}}}); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 3000 {
		t.Errorf("got %d bytes", b.Len())
	}
}

// What the harness itself is to blame for is told next to what clients saw.
func TestTextOfStalls(t *testing.T) {
	const history = `{"time":1000000000,"process":0,"type":"invoke","f":"read"}
{"time":11500000000,"process":0,"type":"ok","f":"read","value":1}
{"time":11500000000,"process":"world","type":"info","f":"stall","value":{"for":10200000000}}
{"time":60000000000,"process":1,"type":"invoke","f":"read"}
`
	h, _, err := histories.Read(strings.NewReader(history), "test.jsonl", histories.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "the harness itself stood still for 10.2s of 1m0s, in 1 stall: latencies meanwhile are its own"
	var text, page bytes.Buffer
	if err := Text(&text, Input{History: h}); err != nil || !strings.Contains(text.String(), "stalls  "+want) {
		t.Errorf("it says nothing of it: %v\n%s", err, &text)
	}
	if err := HTML(&page, Input{History: h}); err != nil || !strings.Contains(page.String(), want) {
		t.Errorf("the page says nothing of it: %v", err)
	}
}
