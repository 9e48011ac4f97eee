package main

import (
	"path/filepath"
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
