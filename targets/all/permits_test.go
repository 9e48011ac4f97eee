package all

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
)

// provocation is a configuration that shows a permit. A script's faults are
// played while the workload goes on; none: they are drawn.
type provocation struct {
	manifest histories.Manifest
	script   []histories.Op
}

// provocations are those of each permit, by target and anomaly.
var provocations = map[string]provocation{
	"primary/stale-read": {manifest: histories.Manifest{Nemesis: []string{"delay"}}},
	"raft/stale-read":    {manifest: histories.Manifest{Flags: map[string]string{"reads": "lease"}, Clients: 300, Rate: 400, TimeLimit: 8 * time.Second}, script: outpaced()},
}

// outpaced cuts two nodes off, one of them the leader with luck, from three
// whose clocks run twice as fast: they elect another before its lease is over
// by its own clock. There must be many clients, so that some are left to read
// when the others wait for what cannot be written.
func outpaced() (script []histories.Op) {
	slow, fast := []string{"n1", "n2"}, []string{"n3", "n4", "n5"}
	drop := map[string][]string{}
	for _, a := range slow {
		for _, b := range fast {
			drop[a], drop[b] = append(drop[a], b), append(drop[b], a)
		}
	}
	at := func(t time.Duration, op histories.Op) {
		op.Time = histories.Time(t)
		script = append(script, op)
	}
	drift := nemesis.Fault{ID: "drift", Kind: nemesis.Clock, Targets: fast, Params: nemesis.Params{Shape: "drift", Drift: 1}}
	cut := nemesis.Fault{ID: "cut", Kind: nemesis.Partition, Params: nemesis.Params{Drop: drop}}
	at(4000*time.Millisecond, nemesis.InjectOp(drift))
	at(4200*time.Millisecond, nemesis.InjectOp(cut))
	at(6000*time.Millisecond, nemesis.CureOp(cut))
	at(6100*time.Millisecond, nemesis.CureOp(drift))
	return script
}

// Every permit is provoked within 200 runs: then the run is valid, and says what
// was permitted. One that nobody can provoke is a promise held back.
func TestPermits(t *testing.T) {
	for _, target := range Targets() {
		for _, p := range target.Permits {
			t.Run(target.Name+"/"+p.Anomaly, func(t *testing.T) {
				how, ok := provocations[target.Name+"/"+p.Anomaly]
				if !ok {
					t.Fatal("nobody knows how to provoke it")
				}
				for n := range uint64(200) {
					how.manifest.Seed = *first + n
					trial, err := run.NewTrial(target, how.manifest, how.script)
					if err != nil {
						t.Fatal(err)
					}
					_, r, err := trial.Simulate(context.Background())
					if err != nil {
						t.Fatal(err)
					}
					if !has(r.Permitted, p.Anomaly) {
						continue
					}
					t.Logf("in run %d: %s", n+1, r.Permitted[0].Why)
					if r.Verdict != checker.Valid {
						t.Errorf("seed %d: %v %s%s", how.manifest.Seed, r.Verdict, r.Why, anomalies(r))
					}
					return
				}
				t.Errorf("no run of 200 shows it")
			})
		}
	}
}

func has(all []checker.Anomaly, kind string) bool {
	return slices.ContainsFunc(all, func(a checker.Anomaly) bool { return a.Kind == kind })
}

// A permit excuses nothing else, and nothing where it does not hold.
func TestPermitsExcuseNothingElse(t *testing.T) {
	primary, err := Targets().Named("primary")
	if err != nil {
		t.Fatal(err)
	}
	_, r := simulate(t, primary, histories.Manifest{Seed: *first, Bug: "replica-accepts-writes", Nemesis: []string{"delay"}})
	if r.Verdict != checker.Invalid || !has(r.Anomalies, "replica-wrote") || has(r.Anomalies, "stale-read") || !has(r.Permitted, "stale-read") {
		t.Errorf("%v %v, permitted %d%s", r.Verdict, run.Kinds(r), len(r.Permitted), anomalies(r))
	}
	raft, err := Targets().Named("raft")
	if err != nil {
		t.Fatal(err)
	}
	m := histories.Manifest{Bug: "local-reads", Flags: map[string]string{"reads": "lease"}}
	m.Seed = *first
	for range 10 { // without a fault of clocks
		m.Nemesis = []string{"partition"}
		if _, r := simulate(t, raft, m); has(r.Permitted, "stale-read") {
			t.Errorf("seed %d: a stale read is permitted although no clock was touched", m.Seed)
		} else if has(r.Anomalies, "stale-read") {
			return
		}
		m.Seed++
	}
	t.Errorf("no stale read in 10 runs of raft with local reads")
}

// What came before the first fault of those that a permit names is not theirs.
func TestPermitsFromTheFaultOn(t *testing.T) {
	raft, err := Targets().Named("raft")
	if err != nil {
		t.Fatal(err)
	}
	trial, err := run.NewTrial(raft, histories.Manifest{Flags: map[string]string{"reads": "lease"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	drift := nemesis.InjectOp(nemesis.Fault{ID: "clock-1", Kind: nemesis.Clock, Targets: []string{"n1"}, Params: nemesis.Params{Shape: "drift", Drift: 1}})
	call := func(f, asked, answer string) []histories.Op {
		op := histories.Op{Type: histories.Invoke, F: f, Key: []byte(`"k0"`), Value: []byte(asked)}
		done := op
		done.Type, done.Value = histories.OK, []byte(answer)
		return []histories.Op{op, done}
	}
	stale := slices.Concat(call("write", "1", "1"), call("write", "2", "2"), call("read", "null", "1"), call("read", "null", "2"))
	for _, test := range []struct {
		name string
		ops  []histories.Op
		want bool
	}{
		{"before", append([]histories.Op{drift}, stale...), true},
		{"after", append(slices.Clone(stale), drift), false},
		{"none", stale, false},
	} {
		var b histories.Builder
		for _, op := range test.ops {
			if err := b.Add(op); err != nil {
				t.Fatal(err)
			}
		}
		r := trial.Checker().Check(t.Context(), b.History())
		if has(r.Permitted, "stale-read") != test.want || has(r.Anomalies, "stale-read") == test.want {
			t.Errorf("a clock fault %s: permitted %+v, anomalies %+v", test.name, r.Permitted, r.Anomalies)
		}
	}
}
