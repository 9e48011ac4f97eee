package main

import "testing"

// Whoever is paused while others elect a successor serves what clients sent it
// meanwhile before it hears of that, now and then.
func TestPausesDeposeLeadersUnawares(t *testing.T) {
	for _, bug := range []string{"lease-by-ticks", "read-index-skips-quorum"} {
		do(t, "hunt", "raft", "--bug", bug, "--nemesis", "pause", "--seeds", "20", "--no-shrink", "--store", t.TempDir()).
			want(t, exitInvalid, "stale-read")
	}
}
