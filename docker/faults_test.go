package docker

import (
	"testing"
	"time"

	"github.com/torture-harness/torture/nemesis"
)

const ms = nemesis.Duration(time.Millisecond)

// oneOfEach has a fault of every kind, on n2 or between it and the others.
var oneOfEach = []nemesis.Fault{
	{Kind: nemesis.Partition, Params: nemesis.Params{Drop: map[string][]string{"n1": {"n2"}, "n2": {"n1", "n3"}}}},
	{Kind: nemesis.Kill, Targets: []string{"n2"}},
	{Kind: nemesis.Stop, Targets: []string{"n2"}},
	{Kind: nemesis.Power, Targets: []string{"n2"}},
	{Kind: nemesis.Pause, Targets: []string{"n2"}},
	{Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "jump", Offset: -2000 * ms}},
	{Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "strobe", Offset: 200 * ms, Period: 50 * ms}},
	{Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "drift", Drift: 0.1}},
	{Kind: nemesis.Loss, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.3}},
	{Kind: nemesis.Delay, Targets: []string{"n2"}, Params: nemesis.Params{Delay: 30 * ms, Jitter: 10 * ms}},
	{Kind: nemesis.Duplicate, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.2}},
	{Kind: nemesis.Reorder, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.3, Delay: 10 * ms}},
	{Kind: nemesis.Bandwidth, Targets: []string{"n2"}, Params: nemesis.Params{Rate: 100_000}},
	{Kind: nemesis.Client, Targets: []string{"n2"}},
	{Kind: nemesis.Membership, Targets: []string{"n2"}},
}

func TestFaults(t *testing.T) {
	d := start(t, config(t, 3))
	for i, f := range oneOfEach {
		f.ID = string(f.Kind) + "-" + string(rune('a'+i))
		t.Run(f.ID, func(t *testing.T) {
			d.at(t)
			from := len(d.history)
			b := time.Now()
			e := d.inject(f)
			t.Log(time.Since(b), e)
			b = time.Now()
			e = d.cure(f)
			t.Log(time.Since(b), e)
			d.record(from, "world", "heal")
		})
	}
}

func TestDoctor(t *testing.T) {
	cfg := config(t, 1)
	found, err := doctor(t.Context(), cfg)
	if err != nil || len(found) != len(nemesis.Kinds) {
		t.Fatal(found, err)
	}
	for _, c := range found {
		t.Log(c)
	}
}
