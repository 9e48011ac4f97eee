package run_test

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/all"
	"github.com/torture-harness/torture/targets/primary"
	"github.com/torture-harness/torture/targets/raft"
	"github.com/torture-harness/torture/targets/total"
)

// every is a manifest of nothing but all the kinds of faults there are.
func every(seed uint64) histories.Manifest {
	m := histories.Manifest{Seed: seed}
	for _, k := range nemesis.Kinds {
		m.Nemesis = append(m.Nemesis, string(k))
	}
	return m
}

// A seed draws all of a run that is not given, and nothing that is. What is
// drawn is different from seed to seed, and the same for one.
func TestDrawLeavesWhatIsGiven(t *testing.T) {
	drawn := map[string]map[string]bool{}
	for seed := range uint64(60) {
		m := run.Draw(raft.Target, every(seed))
		if again := run.Draw(raft.Target, every(seed)); !reflect.DeepEqual(m, again) {
			t.Fatalf("seed %d draws two runs:\n%+v\n%+v", seed, m, again)
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for name, value := range fields {
			if drawn[name] == nil {
				drawn[name] = map[string]bool{}
			}
			drawn[name][string(value)] = true
		}
		if !slices.Contains([]string{"none", "1", "2", "3"}, m.Budget) || m.Nodes < 3 || m.Nodes > 7 || m.Clients < m.Nodes {
			t.Errorf("seed %d: %d nodes, %d clients and a budget of %s", seed, m.Nodes, m.Clients, m.Budget)
		}
		if _, err := run.NewTrial(raft.Target, m, nil); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}

		given := m
		given.Seed++
		if got := run.Draw(raft.Target, given); got.Nodes != m.Nodes || got.Clients != m.Clients || got.Rate != m.Rate || got.Budget != m.Budget ||
			got.Interval != m.Interval || got.Keys != m.Keys && m.Keys != "" || m.Load != nil && !reflect.DeepEqual(got.Load, m.Load) || got.Conditions != m.Conditions {
			t.Errorf("seed %d: given\n%+v\nit draws\n%+v", seed, given, got)
		}
	}
	for _, name := range []string{"nodes", "clients", "rate", "load", "keys", "flags", "nemesis", "interval", "budget", "conditions"} {
		if len(drawn[name]) < 3 {
			t.Errorf("%s: 60 seeds draw %d different ones: %v", name, len(drawn[name]), drawn[name])
		}
	}
}

// Whatever is drawn, the workload is promised what it would be by default.
func TestDrawStaysWithinThePromise(t *testing.T) {
	leases := 0
	for _, target := range all.Targets() {
		for _, w := range target.Workloads {
			for seed := range uint64(60) {
				m := every(seed)
				m.Workload = w.Name
				m.Nemesis = slices.DeleteFunc(m.Nemesis, func(k string) bool { return !slices.Contains(target.Faults, nemesis.Kind(k)) })
				m = run.Draw(target, m)
				want := target.Guarantees(w.Name, target.Defaults(), m.Nemesis)
				flags := target.Defaults()
				for name, value := range m.Flags {
					flags[name] = value
				}
				if got := target.Guarantees(w.Name, flags, m.Nemesis); !slices.Equal(got, want) {
					t.Errorf("%s/%s seed %d: %v under %v is promised %q, by default %q", target.Name, w.Name, seed, m.Flags, m.Nemesis, got, want)
				}
				if flags["reads"] == "lease" {
					leases++
				}
			}
		}
	}
	if leases == 0 {
		t.Error("no seed reads by leases, which is promised the same unless clocks are wrong")
	}
}

// A bug has the flags and the faults that it needs, and room for them.
func TestDrawKeepsWhatABugNeeds(t *testing.T) {
	for _, target := range all.Targets() {
		for _, b := range target.Bugs {
			for seed := range uint64(30) {
				m := every(seed)
				m.Bug = b.Name
				m.Nemesis = slices.DeleteFunc(m.Nemesis, func(k string) bool { return !slices.Contains(target.Faults, nemesis.Kind(k)) })
				m = run.Draw(target, m)
				for _, k := range b.Under {
					if !slices.Contains(m.Nemesis, string(k)) {
						t.Errorf("%s %s, seed %d: %v lack %s", target.Name, b.Name, seed, m.Nemesis, k)
					}
				}
				tr, err := run.NewTrial(target, m, nil)
				if err != nil {
					t.Fatalf("%s %s, seed %d: %v", target.Name, b.Name, seed, err)
				}
				want := target.Defaults()
				for name, value := range b.Flags {
					want[name] = value
				}
				if !reflect.DeepEqual(tr.Manifest.Flags, want) {
					t.Errorf("%s %s, seed %d: flags %v, want %v", target.Name, b.Name, seed, tr.Manifest.Flags, want)
				}
			}
		}
	}
}

// Of kinds that the budget has no room for none is drawn; where that would leave
// nothing, there is room for one.
func TestDrawnBudgetHasRoom(t *testing.T) {
	budgets := map[string]int{}
	for seed := range uint64(100) {
		m := run.Draw(total.Target, histories.Manifest{Seed: seed, Nemesis: []string{"kill", "loss"}})
		if budgets[m.Budget]++; m.Budget == "none" && slices.Contains(m.Nemesis, "kill") {
			t.Errorf("seed %d: kills with a budget of none", seed)
		}
		if m = run.Draw(total.Target, histories.Manifest{Seed: seed, Nemesis: []string{"kill"}}); m.Budget == "none" {
			t.Errorf("seed %d: nothing but kills, and a budget of none", seed)
		}
		if m = run.Draw(primary.Target, histories.Manifest{Seed: seed, Nemesis: []string{"kill"}, Budget: "all"}); m.Budget != "all" {
			t.Errorf("seed %d: a budget of %s where all was given", seed, m.Budget)
		}
	}
	if len(budgets) < 3 {
		t.Errorf("drawn budgets %v: want none, 1 and 2 at least", budgets)
	}
}

// Every load has a phase in which there are writes and no lull: else nothing
// could be seen of the logs of some runs.
func TestDrawnLoadsHaveWrites(t *testing.T) {
	reads, lulls := 0, 0
	for seed := range uint64(300) {
		m := run.Draw(primary.Target, every(seed))
		writes := len(m.Load) == 0
		for _, p := range m.Load {
			slowest := slices.MinFunc(m.Load, func(a, b histories.Phase) int { return cmp.Compare(a.Rate, b.Rate) })
			switch {
			case p.Reads:
				reads++
			case p.Rate == slowest.Rate && len(m.Load) > 1:
				lulls++
			}
			writes = writes || !p.Reads && p.Rate >= m.Rate/8
		}
		if !writes {
			t.Errorf("seed %d: no writes in %+v, or hardly any, at %v a second", seed, m.Load, m.Rate)
		}
	}
	if reads == 0 || lulls == 0 {
		t.Errorf("%d phases of reads, %d slow ones: want some of either", reads, lulls)
	}
}
