package run

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets/raft"
)

// at is when something is to happen, or has.
func at(d time.Duration) histories.Time { return histories.Time(d) }

// played is what a recast schedule came to.
type played struct {
	history histories.History
	faults  map[string]nemesis.Fault
	times   map[string]histories.Time // of injections
	leaders map[string][]string       // likewise
	nodes   []string                  // of clients' operations
	began   []histories.Time          // likewise
}

// recasting plays ops under a seed, as made when n4 led from 1 s on, or whoever
// is given.
func recasting(t *testing.T, seed uint64, leaders []string, ops ...histories.Op) played {
	t.Helper()
	for i := range ops {
		ops[i].Index, ops[i].Type = i, histories.Invoke
		if ops[i].Process.Client() {
			ops[i].Process = histories.Process(i) // one does not wait for another
		}
	}
	m := histories.Manifest{Seed: seed, End: 8 * time.Second, Schedule: true}
	tr, err := NewTrial(raft.Target, m, ops)
	if err != nil {
		t.Fatal(err)
	}
	w := tr.Simulated()
	defer w.Close()
	p := tr.Plan(w.Now())
	p.Generator = newRecast(ops, histories.Manifest{End: m.End, Reigns: []histories.Reign{{From: at(time.Second), Leaders: leaders}}})
	var b histories.Builder
	if err := Loop(context.Background(), p, w, b.Add); err != nil {
		t.Fatal(err)
	}
	got := played{b.History(), map[string]nemesis.Fault{}, map[string]histories.Time{}, map[string][]string{}, nil, nil}
	reigns := reigns(got.history, raft.Target.Primary)
	for _, op := range got.history.All() {
		switch {
		case op.Type != histories.Invoke:
		case op.Process.Client():
			got.nodes, got.began = append(got.nodes, op.Node), append(got.began, op.Time)
		case op.F == nemesis.Inject:
			f, err := nemesis.Decode(op)
			if err != nil {
				t.Fatal(err)
			}
			got.faults[f.ID], got.times[f.ID] = f, op.Time
			for _, r := range reigns {
				if r.From < op.Time {
					got.leaders[f.ID] = r.Leaders
				}
			}
		}
	}
	return got
}

func injection(d time.Duration, f nemesis.Fault) histories.Op {
	op := nemesis.InjectOp(f)
	op.Time = at(d)
	return op
}

func write(d time.Duration, node string) histories.Op {
	return histories.Op{Time: at(d), F: "write", Key: histories.Encode("k"), Value: histories.Encode(1), Node: node}
}

// isolation cuts n4 off.
func isolation() nemesis.Fault {
	nodes := []string{"n1", "n2", "n3", "n4", "n5"}
	return nemesis.Fault{ID: "cut", Kind: nemesis.Partition, Targets: []string{"n4"}, Params: nemesis.Params{Shape: "one", Drop: nemesis.Isolate(nodes, []string{"n4"})}}
}

func pause(node string) nemesis.Fault {
	return nemesis.Fault{ID: "pause", Kind: nemesis.Pause, Targets: []string{node}}
}

// Whoever leads is struck in place of n4, and not before it leads.
func TestRecastStrikesWhoLeads(t *testing.T) {
	exchanged, waited := 0, 0
	for seed := range uint64(20) {
		got := recasting(t, seed, []string{"n4"}, injection(1100*time.Millisecond, isolation()), write(1105*time.Millisecond, "n4"), write(1300*time.Millisecond, "n5"))
		f, leaders := got.faults["cut"], got.leaders["cut"]
		if len(leaders) != 1 || !slices.Equal(f.Targets, leaders) {
			t.Fatalf("seed %d: %v is cut off, while %v leads", seed, f.Targets, leaders)
		}
		if !f.Same(isolation().Renamed(exchange("n4", leaders[0]))) {
			t.Errorf("seed %d: the partition is %v", seed, f.Params.Drop)
		}
		if want := exchange("n4", leaders[0])("n5"); !slices.Equal(got.nodes, []string{leaders[0], want}) {
			t.Errorf("seed %d: clients speak to %v: want %s, which leads, and %s", seed, got.nodes, leaders[0], want)
		}
		for i, want := range []time.Duration{5 * time.Millisecond, 200 * time.Millisecond} {
			if after := (got.began[i] - got.times["cut"]).Duration(); after != want {
				t.Errorf("seed %d: operation %d begins %v after the fault: want %v", seed, i, after, want)
			}
		}
		if leaders[0] != "n4" {
			exchanged++
		}
		if got.times["cut"] > at(1100*time.Millisecond) {
			waited++
		}
	}
	if exchanged == 0 || waited == 0 {
		t.Errorf("of 20 seeds, %d exchanged names and %d waited: want some", exchanged, waited)
	}
}

func exchange(a, b string) func(string) string {
	return func(n string) string {
		switch n {
		case a:
			return b
		case b:
			return a
		}
		return n
	}
}

// A node that has been set apart keeps its part: by a fault, or by a client.
func TestRecastKeepsWhatWasPlayed(t *testing.T) {
	for name, first := range map[string]histories.Op{
		"paused":    injection(300*time.Millisecond, pause("n4")),
		"spoken to": write(300*time.Millisecond, "n4"),
		"heard late": injection(300*time.Millisecond, nemesis.Fault{ID: "late", Kind: nemesis.Delay,
			Params: nemesis.Params{From: "n4", To: "n1", Delay: nemesis.Duration(time.Millisecond)}}),
	} {
		for seed := range uint64(10) {
			got := recasting(t, seed, []string{"n4"}, first, injection(1100*time.Millisecond, isolation()))
			if f := got.faults["cut"]; !slices.Equal(f.Targets, []string{"n4"}) {
				t.Errorf("n4 %s, seed %d: %v is cut off", name, seed, f.Targets)
			}
		}
	}
	// What is over and leaves no trace sets nobody apart.
	for _, kind := range []nemesis.Kind{nemesis.Pause, nemesis.Kill} {
		exchanged := 0
		for seed := range uint64(10) {
			f := nemesis.Fault{ID: "first", Kind: kind, Targets: []string{"n4"}}
			cure := nemesis.CureOp(f)
			cure.Time = at(600 * time.Millisecond)
			got := recasting(t, seed, []string{"n4"}, injection(300*time.Millisecond, f), cure, injection(1100*time.Millisecond, isolation()))
			if !slices.Equal(got.faults["cut"].Targets, []string{"n4"}) {
				exchanged++
			}
		}
		if want := kind == nemesis.Pause; want != (exchanged > 0) {
			t.Errorf("after a %s of n4, another is cut off in %d of 10 runs", kind, exchanged)
		}
	}
	// n2 was paused before anyone led: it cannot lead, nor be taken for n4.
	for seed := range uint64(10) {
		got := recasting(t, seed, []string{"n4"}, injection(300*time.Millisecond, pause("n2")), injection(1100*time.Millisecond, isolation()))
		if f := got.faults["cut"]; !slices.Equal(f.Targets, got.leaders["cut"]) || got.faults["pause"].Targets[0] != "n2" {
			t.Errorf("seed %d: %v is cut off while %v leads, and %v paused", seed, f.Targets, got.leaders["cut"], got.faults["pause"].Targets)
		}
	}
}

// A leader who does not come is not waited for without end.
func TestRecastGivesUp(t *testing.T) {
	got := recasting(t, 1, []string{"n1", "n2"}, injection(1100*time.Millisecond, isolation()), write(1200*time.Millisecond, "n4"))
	if late := got.times["cut"].Add(-1100 * time.Millisecond).Duration(); late < recastWait || late > recastWait+2*recastNap {
		t.Errorf("the partition is %v late: want %v", late, recastWait)
	}
	if n := len(got.nodes); n != 1 {
		t.Errorf("%d operations are played, want 1", n)
	}
}

// A schedule written by hand may name leaders that there are not.
func TestReignsThatAreWrong(t *testing.T) {
	m := histories.Manifest{Reigns: []histories.Reign{{From: at(time.Second), Leaders: []string{"n9"}}, {From: 1, Leaders: []string{"n1"}}}}
	_, err := NewTrial(raft.Target, m, []histories.Op{write(0, "n1")})
	for _, want := range []string{`reign 0: there is no node "n9"`, "reign 1 begins at"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v: want one that says %q", err, want)
		}
	}
	m.Reigns = []histories.Reign{{From: 1, Leaders: []string{"n1"}}, {From: 1}}
	if _, err := NewTrial(raft.Target, m, []histories.Op{write(0, "n1")}); err != nil {
		t.Error(err)
	}
}

func TestReigns(t *testing.T) {
	var b histories.Builder
	for i, op := range []histories.Op{
		{Process: histories.Named("n2"), F: "role", Value: histories.Encode(map[string]any{"role": "leader", "term": 1})},
		{Process: histories.Named("n1"), F: "role", Value: histories.Encode(map[string]any{"role": "follower", "term": 1})},
		{Process: histories.Named("n2"), F: "role", Value: histories.Encode(map[string]any{"role": "leader", "term": 2})},
		{Process: histories.Named("n1"), F: "role", Value: histories.Encode(map[string]any{"role": "leader", "term": 3})},
		{Process: histories.Named("n2"), F: "crash", Value: histories.Encode(map[string]any{"kind": "kill"})},
		{Process: histories.Named("n1"), F: "role", Value: histories.Encode(map[string]any{"role": "follower", "term": 4})},
	} {
		op.Type, op.Index, op.Time = histories.Info, i, histories.Time(10*i)
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	want := []histories.Reign{{From: 0, Leaders: []string{"n2"}}, {From: 30, Leaders: []string{"n1", "n2"}}, {From: 40, Leaders: []string{"n1"}}, {From: 50}}
	got := reigns(b.History(), "leader")
	if !slices.EqualFunc(got, want, func(a, b histories.Reign) bool { return a.From == b.From && slices.Equal(a.Leaders, b.Leaders) }) {
		t.Errorf("reigns %v, want %v", got, want)
	}
	if got := reigns(b.History(), ""); got != nil {
		t.Errorf("reigns %v where nobody leads", got)
	}
}

// What followed a fault's injection or cure in the schedule follows it in a world
// where that takes longer: also if it could not even begin in time.
func TestRecastWaitsForFaults(t *testing.T) {
	pauseOf := func(id, node string) nemesis.Fault {
		return nemesis.Fault{ID: id, Kind: nemesis.Pause, Targets: []string{node}}
	}
	killOf := func(id string) nemesis.Fault {
		return nemesis.Fault{ID: id, Kind: nemesis.Kill, Targets: []string{"n2"}}
	}
	cure := func(ms int, f nemesis.Fault) histories.Op {
		op := nemesis.CureOp(f)
		op.Time = at(time.Duration(ms) * time.Millisecond)
		return op
	}
	inject := func(ms int, f nemesis.Fault) histories.Op {
		return injection(time.Duration(ms)*time.Millisecond, f)
	}
	writes := func(ms int) histories.Op { return write(time.Duration(ms)*time.Millisecond, "n1") }
	cured := func(ms int, id string) histories.Done {
		return histories.Done{F: nemesis.Cure, Fault: id, At: at(time.Duration(ms) * time.Millisecond)}
	}
	injected := func(ms int, id string) histories.Done {
		d := cured(ms, id)
		d.F = nemesis.Inject
		return d
	}
	for _, c := range []struct {
		name   string
		slow   time.Duration // how long each operation of a nemesis takes
		script []histories.Op
		done   []histories.Done
		want   string // when what begins, in ms
	}{
		{"what follows waits, and keeps its distance", time.Second,
			[]histories.Op{inject(100, killOf("k")), writes(1150), cure(1200, killOf("k")), writes(1220), writes(1300), inject(1350, pauseOf("p", "n1"))},
			[]histories.Done{cured(1210, "k")},
			"inject k 100, write 1150, cure k 1200, write 2210, write 2290, inject p 2340"},
		{"a cure that is quicker here than there", 10 * time.Millisecond,
			[]histories.Op{inject(100, killOf("k")), cure(200, killOf("k")), writes(400)}, []histories.Done{cured(300, "k")},
			"inject k 100, cure k 200, write 400"},
		{"the injection lasts beyond the cure", time.Second,
			[]histories.Op{inject(100, killOf("k")), cure(200, killOf("k")), writes(220)}, []histories.Done{cured(200, "k")},
			"inject k 100, cure k 1100, write 2120"},
		{"the injection takes long", time.Second,
			[]histories.Op{inject(100, killOf("k")), writes(110), writes(150), cure(200, killOf("k")), writes(220)},
			[]histories.Done{injected(120, "k"), cured(210, "k")},
			"inject k 100, write 110, write 1130, cure k 1180, write 2190"},
		{"one cure after another", time.Second,
			[]histories.Op{inject(0, killOf("k")), inject(50, pauseOf("p", "n1")), cure(1100, pauseOf("p", "n1")), cure(1110, killOf("k")), writes(1120)},
			[]histories.Done{cured(1100, "p"), cured(1110, "k")},
			"inject k 0, inject p 50, cure p 1100, cure k 2110, write 3120"},
		{"a cure that is tried again", time.Second,
			[]histories.Op{inject(0, killOf("k")), cure(1000, killOf("k")), writes(1150), cure(1300, killOf("k")), writes(1320)},
			[]histories.Done{cured(1100, "k"), cured(1310, "k")},
			"inject k 0, cure k 1000, write 2050, cure k 2200, write 3210"},
		{"an old schedule, and one without that fault", time.Second,
			[]histories.Op{inject(0, killOf("k")), cure(1000, killOf("k")), writes(1020)}, []histories.Done{cured(1000, "gone")},
			"inject k 0, cure k 1000, write 1020"},
		{"an edited schedule begins the cure later", time.Second,
			[]histories.Op{inject(0, killOf("k")), cure(1500, killOf("k")), writes(1520)}, []histories.Done{cured(1000, "k")},
			"inject k 0, cure k 1500, write 2520"},
	} {
		for i := range c.script {
			c.script[i].Index, c.script[i].Type = i, histories.Invoke
			if c.script[i].Process.Client() {
				c.script[i].Process = histories.Process(i)
			}
		}
		w := &slowWorld{nemesis: c.slow}
		p := Plan{Clients: 10, Nemeses: nemesis.ScriptProcesses(c.script)}
		p.Generator = newRecast(c.script, histories.Manifest{Done: c.done})
		var got []string
		err := Loop(t.Context(), p, w, func(op histories.Op) error {
			if op.Type == histories.Invoke {
				what := op.F
				if op.Process.Nemesis() {
					what += " " + faultID(op)
				}
				got = append(got, fmt.Sprintf("%s %d", what, op.Time.Duration().Milliseconds()))
			}
			return nil
		})
		if s := strings.Join(got, ", "); err != nil || s != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.name, s, err, c.want)
		}
	}
}

// Nodes that come back late have time to do what they did in the schedule.
func TestRecastLingers(t *testing.T) {
	f := pause("n2")
	script := []histories.Op{injection(100*time.Millisecond, f), nemesis.CureOp(f)}
	script[0].Type, script[1].Time = histories.Invoke, at(200*time.Millisecond)
	w := &slowWorld{nemesis: time.Second}
	p := Plan{Clients: 1, Nemeses: nemesis.ScriptProcesses(script)}
	m := histories.Manifest{End: 250 * time.Millisecond, Done: []histories.Done{{F: nemesis.Cure, Fault: f.ID, At: at(300 * time.Millisecond)}}}
	p.Generator = newRecast(script, m)
	cured := histories.Time(0)
	err := Loop(t.Context(), p, w, func(op histories.Op) error {
		cured = op.Time
		return nil
	})
	if want := at(2100 * time.Millisecond); err != nil || cured != want || w.now != cured.Add(recastLinger) {
		t.Errorf("cured at %v, and ended at %v, %v: want %v, and %v later", cured, w.now, err, want, recastLinger)
	}
}

// slowWorld is a world of virtual time where clients are answered at once, and
// faults take their time.
type slowWorld struct {
	now     histories.Time
	nemesis time.Duration
	flying  []histories.Op // by time
}

func (w *slowWorld) Nodes() []string            { return []string{"n1", "n2"} }
func (w *slowWorld) Primaries() []string        { return nil }
func (w *slowWorld) Now() histories.Time        { return w.now }
func (w *slowWorld) Stamp(*histories.Op)        {}
func (w *slowWorld) Heal(context.Context) error { return nil }
func (w *slowWorld) Close() error               { return nil }

func (w *slowWorld) Invoke(op histories.Op) {
	op.Type, op.Time = histories.OK, w.now
	if op.Process.Nemesis() {
		op.Time = w.now.Add(w.nemesis)
	}
	w.flying = append(w.flying, op)
	slices.SortStableFunc(w.flying, func(a, b histories.Op) int { return cmp.Compare(a.Time, b.Time) })
}

func (w *slowWorld) Wait(_ context.Context, until histories.Time) (histories.Op, bool, error) {
	if len(w.flying) == 0 || w.flying[0].Time > until {
		w.now = max(w.now, until)
		return histories.Op{}, false, nil
	}
	op := w.flying[0]
	w.flying = w.flying[1:]
	w.now = max(w.now, op.Time)
	return op, true, nil
}

// What a history tells of its cures is what a replay waits for.
func TestRecorded(t *testing.T) {
	f := pause("n1")
	done := nemesis.CureOp(f)
	done.Value = histories.Encode(nemesis.Evidence{ID: f.ID, Kind: f.Kind, Checks: []nemesis.Check{{Node: "n1"}}})
	injected := nemesis.InjectOp(f)
	injected.Value = done.Value
	var b histories.Builder
	for i, op := range []histories.Op{injection(0, f), injected, nemesis.CureOp(f), done, nemesis.CureOp(f), done} {
		if op.Index, op.Time = i, histories.Time(10*i); i%2 == 1 {
			op.Type = histories.Info
		}
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	want := []histories.Done{{F: "inject", Fault: "pause", At: 10}, {F: "cure", Fault: "pause", At: 30}, {F: "cure", Fault: "pause", At: 50}}
	if got := Recorded(histories.Manifest{}, b.History(), "").Done; !slices.Equal(got, want) {
		t.Errorf("done %v, want %v", got, want)
	}
}
