package run_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/total"
)

// records are the lines of a history that are no invocation's.
func records(h histories.History) []byte {
	var out []byte
	for _, op := range h.All() {
		if op.Type != histories.Invoke {
			out = append(histories.AppendJSON(out, op), '\n')
		}
	}
	return out
}

// The schedule of a run says where nodes died, and played again they die there:
// the run is the same to the byte.
func TestScheduleSaysWhereNodesDied(t *testing.T) {
	idle := 0
	for seed := range uint64(3) {
		m := histories.Manifest{Seed: seed, Nemesis: []string{"kill", "power"}}
		idle += replaysDeaths(t, m)
	}
	if idle == 0 {
		t.Error("no node died between two steps: want some, to see that they do so again at the same time")
	}
}

// replaysDeaths simulates m and plays its schedule again. It returns how many
// nodes died between two steps.
func replaysDeaths(t *testing.T, m histories.Manifest) (idle int) {
	t.Helper()
	h, _, err := trial(t, m, nil).Simulate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	script := run.Schedule(h)
	steps, places := 0, 0
	for _, op := range script {
		if f, err := nemesis.Decode(op); err == nil && op.Process.Nemesis() {
			for _, at := range f.Params.At {
				for _, p := range at {
					if places++; p.Handler != "" {
						steps++
					}
				}
			}
		}
	}
	if places < 5 || steps*2 < places {
		t.Errorf("the schedule has %d places where a node dies, %d of them in a step; want most", places, steps)
	}
	m.End = h.At(h.Len() - 1).Time.Duration()
	again, _, err := trial(t, m, script).Simulate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := records(h), records(again); !bytes.Equal(a, b) {
		la, lb := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
		for i := range min(len(la), len(lb)) {
			if !bytes.Equal(la[i], lb[i]) {
				t.Fatalf("seed %d: line %d of the replay differs:\n%s\n%s", m.Seed, i, la[i], lb[i])
			}
		}
		t.Errorf("%d lines, and %d in the replay", len(la), len(lb))
	}

	// Containers cannot choose.
	m.World = "docker"
	if _, err := run.NewTrial(total.Target, m, script); err == nil || !strings.Contains(err.Error(), "only the simulator") {
		t.Errorf("places in containers: error %v", err)
	}
	if _, err := run.NewTrial(total.Target, m, run.WithoutPlaces(script)); err != nil {
		t.Errorf("without places: %v", err)
	}
	return places - steps
}
