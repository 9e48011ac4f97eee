package main

import "testing"

// A hunt says into which gaps between effects crashes fell, of those there were,
// where there were to be crashes.
func TestHuntTellsWhereCrashesCame(t *testing.T) {
	args := []string{"hunt", "total", "--nemesis", "kill,loss", "--seeds", "6", "--time-limit", "10s", "--workers", "1", "--store", t.TempDir()}
	do(t, args...).want(t, exitValid, "crashes came in ", "classes of gaps between effects that occurred; beside a write, a sync or a message in ")
	g := decode[tally](t, do(t, append(args, "--json")...)).Gaps
	if g == nil || g.Occurred != len(g.Classes) || g.Crashed == 0 || g.Crashed > g.Occurred || g.SharpHit == 0 || g.SharpHit > g.Sharp || g.Sharp >= g.Occurred {
		t.Fatalf("gaps %+v", g)
	}
	seen := map[string]bool{}
	for _, c := range g.Classes {
		seen[c.Handler+": "+c.After+", "+c.Before] = true
	}
	for _, want := range []string{"start: begin, write", "request broadcast: begin, write"} {
		if !seen[want] {
			t.Errorf("no class %q among %v", want, seen)
		}
	}
	if g := decode[tally](t, do(t, "hunt", "total", "--nemesis", "loss", "--seeds", "1", "--time-limit", "10s", "--json", "--store", t.TempDir())).Gaps; g != nil {
		t.Errorf("gaps without kill or power: %+v", g)
	}
}
