package report

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// event is an op that will happen.
type event struct {
	at histories.Time
	op histories.Op
}

// synthetic is a run of about so many calls in a minute, by ten clients on
// five nodes, with faults, crashes and roles.
func synthetic(t testing.TB, calls int) Input {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(calls)))
	const clients = 10
	minute := histories.Time(time.Minute)
	var events []event
	add := func(at histories.Time, op histories.Op) {
		op.Time = at
		events = append(events, event{at, op})
	}
	slow := func(at histories.Time) bool { return at/histories.Time(10*time.Second)%2 == 1 }
	for c := range clients {
		process := histories.Process(c)
		at := histories.Time(r.Int64N(1e8))
		gap := float64(minute) * clients / float64(calls)
		for at < minute {
			node := fmt.Sprintf("n%d", int(process)%5+1)
			f := []string{"read", "write", "cas"}[r.IntN(3)]
			key := histories.Encode(fmt.Sprintf("k%d", r.IntN(5)))
			op := histories.Op{Process: process, Type: histories.Invoke, F: f, Key: key, Node: node}
			switch f {
			case "write":
				op.Value = histories.Encode(r.IntN(1000))
			case "cas":
				op.Value = histories.Encode([]int{r.IntN(10), r.IntN(10)})
			}
			add(at, op)
			took := gap * 0.7 * r.ExpFloat64()
			op.Type = histories.OK
			switch k := r.IntN(100); {
			case slow(at) && k < 5:
				op.Type, op.Error, took = histories.Info, "timeout after 1s", 1e9
			case f == "cas" && k < 30:
				op.Type, op.Error = histories.Fail, "mismatch"
			case f == "read":
				op.Value = histories.Encode(r.IntN(1000))
			}
			if slow(at) {
				took *= 5
			}
			at = at.Add(time.Duration(took) + 1000)
			if at >= minute && op.Type != histories.OK {
				break // it never completes
			}
			add(at, op)
			if op.Type == histories.Info {
				process += clients
			}
			at = at.Add(time.Duration(gap * 0.3 * r.ExpFloat64()))
		}
	}
	for i := range 3 {
		at := histories.Time(10*time.Second) * histories.Time(2*i+1)
		victims := []string{fmt.Sprintf("n%d", i+1), fmt.Sprintf("n%d", i+2)}
		for j, k := range []nemesis.Kind{nemesis.Partition, nemesis.Kill, nemesis.Clock} {
			f := nemesis.Fault{ID: fmt.Sprintf("%s-%d", k, i+1), Kind: k, Targets: victims[:1+j%2]}
			switch k {
			case nemesis.Partition:
				f.Params = nemesis.Params{Shape: "minority", Drop: nemesis.Isolate([]string{"n1", "n2", "n3", "n4", "n5"}, victims)}
			case nemesis.Clock:
				f.Params = nemesis.Params{Shape: "jump", Offset: nemesis.Duration(3 * time.Second)}
			}
			from := at.Add(time.Duration(j) * 2 * time.Second)
			e := nemesis.Evidence{ID: f.ID, Kind: k}
			for _, v := range f.Targets {
				e.Checks = append(e.Checks, nemesis.Check{Node: v, Peer: "n5", Want: "unreachable", Got: "unreachable", OK: i < 2})
			}
			injected, t := e.Conclude(), histories.OK
			if i == 1 && k == nemesis.Clock { // of a node that is down nothing can be seen
				injected, t = nemesis.Evidence{ID: f.ID, Kind: k, Holders: []string{"kill-2"}}, histories.Info
			}
			add(from, nemesis.InjectOp(f))
			add(from.Add(300*time.Millisecond), done(nemesis.InjectOp(f), t, histories.Encode(injected)))
			if i == 2 && k == nemesis.Clock {
				continue // never cured
			}
			over := from.Add(6 * time.Second)
			add(over, nemesis.CureOp(f))
			add(over.Add(200*time.Millisecond), done(nemesis.CureOp(f), histories.OK, histories.Encode(e.Conclude())))
			if k == nemesis.Kill {
				for _, v := range f.Targets {
					add(from.Add(100*time.Millisecond), record(v, "crash", `{"kind":"kill"}`))
					add(over.Add(150*time.Millisecond), record(v, "restart", `{"life":2}`))
				}
			}
		}
		add(at.Add(5*time.Second), record("n5", "role", fmt.Sprintf(`{"role":"leader","term":%d}`, i+2)))
		add(at.Add(15*time.Second), record("n5", "role", fmt.Sprintf(`{"role":"follower","term":%d}`, i+3)))
	}
	add(1e6, record("n4", "role", `{"role":"leader","term":1}`))
	slices.SortStableFunc(events, func(a, b event) int { return int(a.at - b.at) })
	var b histories.Builder
	for _, e := range events {
		if err := b.Add(e.op); err != nil {
			t.Fatal(err)
		}
	}
	return Input{
		Manifest: histories.Manifest{
			Version: 1, ID: "20260102T030405-raft-sim-42", Target: "raft", Workload: "register", World: "sim", Seed: 42, Nodes: 5, Clients: clients,
			Rate: 100, TimeLimit: time.Minute, Timeout: time.Second, Recovery: 10 * time.Second, Nemesis: []string{"clock", "kill", "partition"}, Interval: 3 * time.Second,
			Flags: map[string]string{"reads": "lease"}, Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		History: b.History(),
		Result:  checker.Result{Checker: "raft/register", Verdict: checker.Valid, Parts: []checker.Result{{Checker: "linearizable", Verdict: checker.Valid}, {Checker: "stats", Verdict: checker.Valid}}},
		Command: "torture replay runs/20260102T030405-raft-sim-42",
	}
}

func done(op histories.Op, t histories.Type, value json.RawMessage) histories.Op {
	op.Type, op.Value = t, value
	return op
}

func record(node, f, value string) histories.Op {
	return histories.Op{Process: histories.Named(node), Type: histories.Info, F: f, Value: json.RawMessage(value)}
}

// broken is synthetic with two kinds of anomalies.
func broken(t testing.TB, calls int) Input {
	in := synthetic(t, calls)
	h := in.History
	i := h.Len() / 3
	for h.Type(i) != histories.Invoke || !h.Process(i).Client() || h.F(i) != "write" || h.Pair(i) < 0 {
		i++
	}
	j := h.Len() / 3 * 2
	for h.Type(j) != histories.OK || !h.Process(j).Client() || h.F(j) != "read" {
		j++
	}
	in.Result = checker.Result{
		Checker: "raft/register", Verdict: checker.Invalid,
		Anomalies: []checker.Anomaly{
			{Kind: "nonlinearizable", Key: "k3", Ops: []int{i, h.Pair(i), h.Pair(j), j}, Why: fmt.Sprintf("op %d read 7, which op %d had overwritten before it began", j, i), File: "linearizable-k3.html", Part: "linearizable"},
			{Kind: "lost-write", Key: "k3", Ops: []int{i}, Why: fmt.Sprintf("op %d was acknowledged, and no later read saw it", i), Part: "linearizable"},
		},
		Truncated: map[string]int{"lost-write": 3},
		Parts:     []checker.Result{{Checker: "linearizable", Verdict: checker.Invalid}, {Checker: "stats", Verdict: checker.Vacuous, Why: "nothing was seen of clock"}},
		Files:     map[string][]byte{"linearizable-k3.html": nil},
		Stats:     map[string]any{"states": 12345},
	}
	return in
}
