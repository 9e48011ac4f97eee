package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

var keep = flag.String("keep", "", "directory to keep the pages of the tests in, to be looked at")

// render makes the page, and keeps it if asked to.
func render(t testing.TB, name string, in Input) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, in); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, name+".html"), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

var dataElement = regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`)

// drawn reads the timeline out of a page.
func drawn(t testing.TB, page string) timeline {
	t.Helper()
	m := dataElement.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	var tl timeline
	if err := json.Unmarshal([]byte(m[1]), &tl); err != nil {
		t.Fatal(err)
	}
	return tl
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	for node, log := range map[string]string{
		"n2":  "listening\n",
		"n10": strings.Repeat("a line that comes again\n", 300) + "the \x1b[31mlast\x1b[0m line\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "nodes", node), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "nodes", node, "log"), []byte(log), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	in := broken(t, 2000)
	in.Dir = dir
	page := render(t, "invalid", in)
	for _, want := range []string{
		`<span class="verdict invalid">invalid</span> raft/register`,
		"nonlinearizable, lost-write ×4",
		`href="./linearizable-k3.html">drawing`,
		"torture replay runs/20260102T030405-raft-sim-42",
		"and 3 more",
		"want unreachable", "got unreachable", "clock ×3 (1 not verified, 1 hidden by others)", "<td>hidden</td>", ">never<",
		"timeout after 1s", "mismatch",
		`the \x1b[31mlast\x1b[0m line`, "listening",
		"nothing was seen of clock",
		"reads</dt><dd>lease",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, "a line that comes again"); n != 199 {
		t.Errorf("%d lines before the last, want 199", n)
	}
	if strings.Index(page, "<summary>n2") > strings.Index(page, "<summary>n10") {
		t.Error("n10 comes before n2")
	}
	for _, a := range in.Result.Anomalies {
		for _, op := range a.Ops {
			if !strings.Contains(page, fmt.Sprintf(`data-op="%d" data-at="%d"`, op, in.History.Time(op)/1000)) {
				t.Errorf("no link to op %d", op)
			}
		}
	}
	tl := drawn(t, page)
	if got := len(tl.Calls.Begin); got != len(calls(in.History)) {
		t.Errorf("%d calls drawn of %d", got, len(calls(in.History)))
	}
	if want := "clock kill partition n1 n2 n3 n4 n5 0 1 2 3 4 5 6 7 8 9"; strings.Join(tl.Rows, " ") != want {
		t.Errorf("rows %v, want %s", tl.Rows, want)
	}
	down := 0
	for _, s := range tl.Spans {
		if s.Kind == "down" && s.To-s.From == 6_050_000 {
			down++
		}
	}
	if down != 6 {
		t.Errorf("%d times a node was down, want 6", down)
	}
	render(t, "valid", synthetic(t, 2000))
}

// The page needs nothing from elsewhere, and is the same each time.
func TestPageIsSelfContained(t *testing.T) {
	in := broken(t, 500)
	page := render(t, "small", in)
	for _, bad := range []string{"http:", "https:", "src=", "@import", "url(", "fetch("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for range 3 {
		if again := render(t, "small", in); again != page {
			t.Fatal("the same run has two different pages")
		}
	}
}

// Long histories make pages that a browser opens at once; anomalies are drawn
// whatever is left out.
func TestPageOfALongRun(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 60_000
	}
	in := broken(t, n)
	page := render(t, "long", in)
	if len(page) > 8<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	tl := drawn(t, page)
	if got := len(tl.Calls.Begin); got > drawnMax || got < drawnMax*9/10 {
		t.Errorf("%d calls drawn, want about %d", got, drawnMax)
	}
	if !strings.Contains(page, "20,000 of ") {
		t.Error("the page does not say that calls are left out")
	}
	has := map[int]bool{}
	for i := range tl.Calls.Begin {
		has[int(tl.Calls.Begin[i])], has[int(tl.Calls.End[i])] = true, true
	}
	for _, a := range in.Result.Anomalies {
		for _, op := range a.Ops {
			for near := op - 20; near < op+20; near++ {
				if in.History.Process(near).Client() && !has[near] {
					t.Errorf("op %d, near op %d of an anomaly, is not drawn", near, op)
				}
			}
		}
	}
	t.Logf("%d ops: %d bytes", in.History.Len(), len(page))
}

// Nothing that the system under test says can act in the browser.
func TestPageEscapes(t *testing.T) {
	evil := `</script><script>alert(1)</script><img src=x onerror="alert(2)">'"` + "`${alert(3)}`\u2028-->"
	dir := filepath.Join(t.TempDir())
	if err := os.MkdirAll(filepath.Join(dir, "nodes", "<b>n1"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "nodes", "<b>n1", "log"), []byte(evil), 0o666); err != nil {
		t.Fatal(err)
	}
	raw := histories.Encode(evil)
	unescaped := json.RawMessage(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(raw)))
	ops := []histories.Op{
		{Process: 0, Type: histories.Invoke, F: evil, Value: unescaped, Key: unescaped, Node: evil},
		{Process: 0, Type: histories.Info, F: evil, Value: unescaped, Key: unescaped, Node: evil, Error: evil},
		{Process: histories.Named("nemesis/" + evil), Type: histories.Invoke, F: "inject", Value: histories.Encode(map[string]any{"id": evil, "kind": evil, "targets": []string{evil}, "params": map[string]string{evil: evil}})},
		{Process: histories.Named("nemesis/" + evil), Type: histories.OK, F: "inject", Error: evil, Value: histories.Encode(map[string]any{"checks": []map[string]any{{"node": evil, "peer": evil, "want": evil, "got": evil}}})},
		{Process: histories.Named(evil), Type: histories.Info, F: "crash", Value: unescaped},
		{Process: histories.Named(evil), Type: histories.Info, F: "role", Value: histories.Encode(map[string]string{"role": evil})},
		{Process: 1, Type: histories.Invoke, F: evil, Time: 1e9},
		{Process: 1, Type: histories.OK, F: evil, Time: 2e9},
	}
	h, err := histories.Of(ops...)
	if err != nil {
		t.Fatal(err)
	}
	in := Input{
		History: h, Dir: dir, Error: evil, Command: evil,
		Manifest: histories.Manifest{ID: evil, Target: evil, Workload: evil, World: evil, Bug: evil, Flags: map[string]string{evil: evil}, Nemesis: []string{evil}, Targets: evil, Revision: evil},
		Result: checker.Result{Checker: evil, Why: evil, Verdict: checker.Invalid, Stats: map[string]any{evil: evil}, Files: map[string][]byte{evil: nil, "javascript:alert(1)": nil},
			Anomalies: []checker.Anomaly{{Kind: evil, Key: evil, Why: evil, File: "javascript:alert(1)", Ops: []int{0, 1}}, {Kind: evil, File: evil}},
			Parts:     []checker.Result{{Checker: evil, Why: evil}}},
	}
	page := render(t, "evil", in)
	if n := strings.Count(page, "<script"); n != 2 {
		t.Errorf("%d scripts, want the two of the page", n)
	}
	if n := strings.Count(page, "</script"); n != 2 {
		t.Errorf("%d ends of scripts, want 2", n)
	}
	for _, bad := range []string{"<img", "<b>n1", "onerror=\"", `href="javascript`} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	drawn(t, page)

	var b bytes.Buffer
	in.Error = "\x1b]0;evil\x07\r\nsecond"
	if err := Text(&b, in); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.ContainsAny(s, "\x1b\x07\r\u2028") {
		t.Errorf("control characters reach the terminal: %q", s)
	}
}

// odd is a history that no sane run has.
func odd(r *rand.Rand) Input {
	var b histories.Builder
	names := []histories.Process{0, 1, 7, 1 << 30, histories.Named("n1"), histories.Named("n2"), histories.World, histories.Named("nemesis/kill"), histories.Named("nemesis")}
	fs := []string{"", "read", "inject", "cure", "crash", "restart", "role", "panic"}
	values := []string{"", "null", "1", `"x"`, `{"id":"a","kind":"kill"}`, `{"id":"b"}`, `{"id":"a","kind":"","targets":["n1",""]}`, `{"role":3}`, `{"role":"leader","term":[]}`, "{", strings.Repeat("[", 5000), "\xff\xfe"}
	for range r.IntN(60) {
		op := histories.Op{
			Process: names[r.IntN(len(names))], Type: histories.Type(1 + r.IntN(4)), F: fs[r.IntN(len(fs))], Time: histories.Time(r.Int64N(1e10) - 1e9),
			Node: []string{"", "n1", "n3\x00"}[r.IntN(3)], Value: json.RawMessage(values[r.IntN(len(values))]), Key: json.RawMessage(values[r.IntN(len(values))]),
		}
		if r.IntN(20) == 0 {
			op.Time = histories.Time(r.Uint64())
		}
		_ = b.Add(op) // those that do not fit are left out
	}
	in := Input{History: b.History(), Result: checker.Result{Verdict: checker.Verdict(r.IntN(4))}}
	in.Manifest.Clients = r.IntN(3)
	for range r.IntN(4) {
		a := checker.Anomaly{Kind: "odd", Why: strings.Repeat("why ", r.IntN(2000))}
		for range r.IntN(100) {
			a.Ops = append(a.Ops, r.IntN(80)-10)
		}
		in.Result.Anomalies = append(in.Result.Anomalies, a)
	}
	return in
}

func TestOddHistories(t *testing.T) {
	var b bytes.Buffer
	for _, in := range []Input{{}, {Result: checker.Result{Verdict: checker.Invalid}}, {Dir: "no/such/directory"}} {
		page := render(t, "empty", in)
		drawn(t, page)
		if err := Text(&b, in); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(150) {
		in := odd(rand.New(rand.NewPCG(seed, 0)))
		page := render(t, "odd", in)
		tl := drawn(t, page)
		for _, r := range tl.Calls.Row {
			if r < 0 || r >= len(tl.Rows) {
				t.Fatalf("seed %d: row %d of %d", seed, r, len(tl.Rows))
			}
		}
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf,") {
			t.Fatalf("seed %d: the page has numbers that are none", seed)
		}
		b.Reset()
		if err := Text(&b, in); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(b.String(), "\n"); n > textLines+5 {
			t.Fatalf("seed %d: %d lines\n%s", seed, n, b.String())
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	in := broken(b, 100_000)
	for b.Loop() {
		if err := HTML(&bytes.Buffer{}, in); err != nil {
			b.Fatal(err)
		}
	}
}

// A page of half a million records of nodes, which are many more than calls.
func BenchmarkHTMLRecords(b *testing.B) {
	in := broken(b, 50_000)
	var all histories.Builder
	for i := range in.History.Len() {
		_ = all.Add(in.History.At(i))
		for n := range 4 {
			_ = all.Add(histories.Op{Process: histories.Named(fmt.Sprintf("n%d", n+1)), Type: histories.Info, F: "apply", Value: histories.Encode(i), Time: in.History.Time(i)})
		}
	}
	in.History = all.History()
	in.Result.Anomalies = nil
	for b.Loop() {
		if err := HTML(&bytes.Buffer{}, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(in.History.Len()), "ops")
}

// The order of what has none of its own does not depend on the order in which
// it was come upon.
func TestPageOfOddTimesIsTheSame(t *testing.T) {
	var b histories.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 100 {
		op := histories.Op{Process: histories.Process(i), Type: histories.Invoke, Time: histories.Time(r.Int64N(1e16)), Node: []string{"n2", "n10", "n1x", "n3"}[i%4]}
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
		op.Type, op.Time = histories.OK, op.Time+1e6
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add(histories.Op{Process: 100, Type: histories.Invoke, Time: 1}); err != nil {
		t.Fatal(err)
	}
	in := Input{History: b.History()}
	page := render(t, "times", in)
	for range 20 {
		if render(t, "times", in) != page {
			t.Fatal("the same run has two different pages")
		}
	}
	if got, want := strings.Join(drawn(t, page).Rows[:4], " "), "n2 n3 n10 n1x"; got != want {
		t.Errorf("got nodes %s, want %s", got, want)
	}
}

// Clients beyond the rows that there are share them, and are placed at once.
func TestPageOfManyAtOnce(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	var b histories.Builder
	for i := range n {
		if err := b.Add(histories.Op{Process: histories.Process(i), Type: histories.Invoke, Time: histories.Time(i)}); err != nil {
			t.Fatal(err)
		}
	}
	tl := drawn(t, render(t, "many", Input{History: b.History()}))
	if len(tl.Rows) != rowsMax || slices.Max(tl.Calls.Row) >= rowsMax {
		t.Errorf("got %d rows, and calls up to row %d, want %d rows", len(tl.Rows), slices.Max(tl.Calls.Row), rowsMax)
	}
}
