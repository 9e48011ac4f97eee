package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// A node that comes back and answers nobody is named, it keeps no other node
// waiting in the final phase, and what is shrunk of it still shows it.
func TestNoRecovery(t *testing.T) {
	store := t.TempDir()
	d := doOwn(t, "hunt", "unruly", "--bug", "deaf-after-restart", "--nemesis", "kill", "--seeds", "3", "--workers", "1", "--store", store)
	d.want(t, exitInvalid, "no-recovery", " is up, and answered none of ", "all faults were over ", "shrunk to ")
	dirs, err := filepath.Glob(filepath.Join(store, "*"))
	if err != nil || len(dirs) != 2 {
		t.Fatalf("store: %v, %v", dirs, err)
	}
	doOwn(t, "replay", dirs[1], "--store", t.TempDir()).want(t, exitInvalid, "no-recovery")

	opened, err := histories.Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	h := opened.History
	first := map[string]histories.Time{}
	begin := histories.Time(-1)
	for _, c := range h.Calls() {
		if !c.Invoke.Final {
			continue
		}
		if begin < 0 {
			begin = c.Invoke.Time
		}
		if _, asked := first[c.Invoke.Node]; !asked {
			first[c.Invoke.Node] = c.Invoke.Time
		}
	}
	if len(first) != 3 {
		t.Errorf("asked in the end were %v, want all three nodes", first)
	}
	for n, at := range first {
		if at != begin {
			t.Errorf("%s was asked %v after the first", n, (at - begin).Duration())
		}
	}
}

// What a node owes its world and its clients is found broken by name, and
// shrunk, whatever the target; and a panic tells where in the target it was.
func TestContract(t *testing.T) {
	for bug, words := range map[string][]string{
		"answers-twice":   {"answered-twice", "answered a request again that had its answer (request "},
		"takes-back":      {"answered-twice", "now with ok "},
		"answers-anybody": {"answered-unasked", "answered a request that it was never given"},
		"bounces":         {"message-storm", " under way: want ", " at most; n"},
		"chatters":        {"answered-twice", "message-storm"},
		"breeds":          {"message-storm", "and the world ended the run; most were n", "'s hello"},
		"never-rests":     {"livelock", "is caught in a livelock: Timer tick was called 20001 times within a second"},
		"panics":          {"node-panic", "index out of range [21] with length 0, in unruly.(*member).Timer (targets/unruly/node.go:"},
	} {
		t.Run(bug, func(t *testing.T) {
			store := t.TempDir()
			d := doOwn(t, "run", "unruly", "--bug", bug, "--world", "sim", "--seed", "1", "--nemesis", "none", "--time-limit", "10s", "--store", store)
			d.want(t, exitInvalid, append(words, "INVALID  unruly/echo")...)
			doOwn(t, "shrink", onlyRun(t, store), "--store", store).want(t, exitInvalid, words[0], "shrunk to ")
		})
	}
	doOwn(t, "run", "unruly", "--world", "sim", "--seed", "1", "--store", t.TempDir()).want(t, exitValid)
}

// A handler that never comes back ends a run, and a hunt's seed, by name; what
// there was is kept, repeats itself, and is not tried to be shrunk.
func TestEndlessHandler(t *testing.T) {
	const said = " has not come back from Receive hello for 1s of real time: livelock"
	const found = " is caught in a livelock: Receive hello does not return"
	bug := []string{"--bug", "loops", "--nemesis", "kill", "--time-limit", "10s", "--store"}
	own := []string{envOwn + "=1"}
	store := t.TempDir()
	// The handler goes on as long as the process: hence one of its own.
	start(t, self(t), own, slices.Concat([]string{"run", "unruly", "--world", "sim", "--seed", "1"}, bug, []string{store})...).wait(t).
		want(t, exitInvalid, "INVALID  unruly/echo", said, found)
	dir := onlyRun(t, store)
	doOwn(t, "check", dir).want(t, exitInvalid, found)
	start(t, self(t), own, "replay", dir, "--times", "3", "--store", t.TempDir()).wait(t).
		want(t, exitInvalid, said, "the history is that of "+dir, "1 of 1 replays were invalid", "2 of 3 replays were not begun")
	doOwn(t, "shrink", dir).want(t, exitUsage, "'s Receive hello, which does not return")

	store = t.TempDir()
	d := doOwn(t, slices.Concat([]string{"hunt", "unruly", "--seeds", "2", "--first", "7", "--workers", "1", "--twice", "1", "--keep-going"}, bug, []string{store})...)
	d.want(t, exitInvalid, "2 seeds: 0 valid, 2 invalid", "invalid: seed 7: livelock", "invalid: seed 8: livelock", found, "it is not shrunk: ")
	runs, err := filepath.Glob(filepath.Join(store, "*", "result.json"))
	if err != nil || len(runs) != 2 {
		t.Errorf("the store has %v, %v: want both runs", runs, err)
	}
}

// What no healthy node writes into its log makes a run invalid, and so does
// what the target says none of its nodes does; the node and the line are named.
func TestNodeLogs(t *testing.T) {
	store := t.TempDir()
	d := doOwn(t, "run", "unruly", "--world", "sim", "--seed", "1", "--store", store)
	if d.want(t, exitValid); strings.Contains(d.out, "logs") {
		t.Errorf("a simulated node has no log, and the run says:\n%s", d)
	}
	dir := onlyRun(t, store)
	healthy := `{"level":"info","msg":"booting","life":1}` + "\n" + `{"level":"warn","msg":"cut off a torn record","offset":8}` + "\n"
	for line, said := range map[string]string{
		"": "",
		"panic: runtime error: index out of range": "panic: runtime",
		"fatal error: concurrent map writes":       "fatal error: concurrent",
		"WARNING: DATA RACE":                       "WARNING: DATA RACE",
		"unruly: gave up on n3":                    "unruly: gave up on n3",
	} {
		put(t, filepath.Join(dir, "nodes", "n1", "log"), healthy)
		put(t, filepath.Join(dir, "nodes", "n2", "log"), healthy+line+"\n"+healthy)
		d := doOwn(t, "check", dir)
		if line == "" {
			d.want(t, exitValid, "the logs of 2 nodes")
			continue
		}
		d.want(t, exitInvalid, "log-pattern", "n2, line 3 of its log: "+said)
	}
	// A log that cannot be read is not one that was.
	if err := os.Remove(filepath.Join(dir, "nodes", "n2", "log")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "nodes", "n2", "log", "x"), "")
	doOwn(t, "check", dir).want(t, exitUnknown, "a node's log cannot be read")
}
