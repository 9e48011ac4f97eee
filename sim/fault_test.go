package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// A killed process keeps its page cache; a machine without power keeps only
// what was synced, and sometimes more.
func TestKillKeepsAndPowerLoses(t *testing.T) {
	lost := 0
	for seed := range uint64(40) {
		b := cluster(t, seed, 1, nil)
		b.ask("n1", "synced", 1)
		b.ask("n1", "write", 2)
		for _, k := range []nemesis.Kind{nemesis.Kill, nemesis.Power} {
			b.inject(fault(k, "n1"))
			if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
				t.Fatalf("seed %d: a node that is down answers %s %s", seed, got.Type, got.Value)
			}
			b.cureFault(fault(k, "n1"))
			keys := string(b.ask("n1", "read", 0).Value)
			switch {
			case k == nemesis.Kill && keys != "10":
				t.Fatalf("seed %d: %s keys after a kill, want 10", seed, keys)
			case k == nemesis.Power && keys < "5" && len(keys) == 1:
				t.Fatalf("seed %d: %s keys after power loss: synced ones are missing", seed, keys)
			case k == nemesis.Power && keys != "10":
				lost++
			}
		}
	}
	if lost == 0 || lost == 40 {
		t.Errorf("%d of 40 power losses lost something: want some, and not all", lost)
	}
}

// A crash comes between any two effects of a step, the first and the last too,
// however many there are.
func TestCrashBetweenEffects(t *testing.T) {
	left := map[string]bool{}
	for seed := range uint64(400) {
		b := cluster(t, seed, 1, nil)
		b.Invoke(nemesis.InjectOp(fault(nemesis.Kill, "n1")))
		b.Invoke(histories.Op{Process: 1, Type: histories.Invoke, F: "many", Node: "n1", Value: []byte("1")})
		b.run(50 * time.Millisecond)
		b.cureFault(fault(nemesis.Kill, "n1"))
		left[string(b.ask("n1", "read", 0).Value)] = true
	}
	for n := 1; n <= 20; n++ {
		if !left[fmt.Sprint(n)] {
			t.Errorf("no crash left %d of 20 writes: %v", n, left)
		}
	}
}

// Who comes back from a crash may die once more between the effects of its
// start, and is back when the cure completes all the same.
func TestCrashWhileStarting(t *testing.T) {
	again, starts := 0, 0
	for seed := range uint64(100) {
		b := cluster(t, seed, 1, nil)
		b.inject(fault(nemesis.Power, "n1"))
		b.cureFault(fault(nemesis.Power, "n1"))
		if got := b.ask("n1", "read", 0); got.Type != histories.OK {
			t.Fatalf("seed %d: after the cure a node answers %s %s", seed, got.Type, got.Error)
		}
		starts += len(b.records("n1", "start")) - 1
		switch crashes := b.records("n1", "crash"); {
		case len(crashes) == 2 && strings.Contains(crashes[1], `"kind":"power"`):
			again++
		case len(crashes) != 1:
			t.Fatalf("seed %d: crashes %v, want one or two by power", seed, crashes)
		}
	}
	if again < 10 || again > 50 || starts == 100 {
		t.Errorf("%d of 100 died again, after %d records that they had started", again, starts)
	}
}

// A cure that comes before its victim has died does not leave it dead.
func TestEarlyCure(t *testing.T) {
	for seed := range uint64(20) {
		b := cluster(t, seed, 1, nil)
		b.Invoke(nemesis.InjectOp(fault(nemesis.Kill, "n1")))
		b.Invoke(nemesis.CureOp(fault(nemesis.Kill, "n1")))
		b.run(time.Second)
		if got := b.ask("n1", "read", 0); got.Type != histories.OK {
			t.Fatalf("seed %d: n1 answers %s %s", seed, got.Type, got.Error)
		}
	}
}

// Two leases on one node do not release each other's.
func TestLeasesAreAUnion(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Kill, "n1"))
	b.finish(nemesis.InjectOp(fault(nemesis.Stop, "n1"))) // in force, and hidden
	e := b.cureFault(fault(nemesis.Kill, "n1"))
	if !e.Verified || !slices.Equal(e.Holders, []string{"stop-1"}) {
		t.Errorf("evidence %+v: want stop-1 as the holder", e)
	}
	if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
		t.Errorf("n1 is up while a lease keeps it down: %s", got.Type)
	}
	b.cureFault(fault(nemesis.Stop, "n1"))
	if got := b.ask("n1", "read", 0); got.Type != histories.OK {
		t.Errorf("n1 is down after the last cure: %s %s", got.Type, got.Error)
	}
}

func TestPauseHoldsAndResumes(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Pause, "n1"))
	before := len(b.records("n1", "tick"))
	if got := b.ask("n1", "write", 1); got.Type != histories.Info || got.Error != "timeout" {
		t.Errorf("a paused node answers: %s %s", got.Type, got.Error)
	}
	b.ask("n2", "tell", 3)
	b.run(time.Second)
	if got := b.records("n1", "heard"); len(got) != 0 || len(b.records("n1", "tick")) != before {
		t.Errorf("a paused node lives: %v", got)
	}
	b.cureFault(fault(nemesis.Pause, "n1"))
	if got := string(b.ask("n1", "read", 0).Value); got != "5" {
		t.Errorf("after the pause there are %s keys: what was sent to it meanwhile is done late", got)
	}
	if got := b.records("n1", "heard"); len(got) != 1 {
		t.Errorf("heard %v after the pause, want one message", got)
	}
}

func TestClientCut(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	b.inject(fault(nemesis.Client, "n1"))
	if got := b.ask("n1", "write", 1); got.Type != histories.Info {
		t.Errorf("a node cut from clients answers: %s", got.Type)
	}
	b.ask("n2", "tell", 1)
	b.run(time.Second)
	if len(b.records("n1", "heard")) != 1 {
		t.Error("a client cut must not touch links between nodes")
	}
	b.cureFault(fault(nemesis.Client, "n1"))
	if got := b.ask("n1", "read", 0); got.Type != histories.OK || string(got.Value) != "0" {
		t.Errorf("after the cure: %s %s", got.Type, got.Value)
	}
}

func TestMembershipNeedsOperations(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	op := b.finish(nemesis.InjectOp(fault(nemesis.Membership, "n1")))
	if op.Type != histories.Fail || op.Error == "" {
		t.Errorf("membership without operations: %s %q", op.Type, op.Error)
	}
	b = cluster(t, 1, 3, func(c *Config) { c.Leave, c.Join = "leave", "join" })
	f := fault(nemesis.Membership, "n2")
	f.Targets = []string{"n2"}
	// echo cannot decode a name, and refuses: nobody leaves.
	if op := b.finish(nemesis.InjectOp(f)); op.Type != histories.Info {
		t.Errorf("membership that every node refuses: %s", op.Type)
	}
}

// writer is an echo that writes when it starts.
type writer struct{ echo }

func (w *writer) Start(env *node.Env) {
	env.Write("life", 1)
	w.echo.Start(env)
	env.Sync()
}

// Who is about to start when it is killed or loses power is so when it does: while
// it starts, or soon after. So it is found out who builds on what it has read back
// and not synced.
func TestFaultMeetsWhoStarts(t *testing.T) {
	for _, k := range []nemesis.Kind{nemesis.Kill, nemesis.Power} {
		started := 0
		for seed := range uint64(100) {
			b := cluster(t, seed, 1, func(c *Config) { c.New = func() node.Node { return &writer{} } })
			first, second := fault(nemesis.Stop, "n1"), fault(k, "n1")
			b.inject(first)
			b.Invoke(nemesis.CureOp(first))
			if e := b.inject(second); len(e.Holders) > 0 {
				t.Fatalf("seed %d: %s", seed, short(e))
			}
			crashes := b.records("n1", "crash")
			if len(crashes) != 2 || !strings.Contains(crashes[1], fmt.Sprintf(`"kind":"%s"`, k)) || len(b.records("n1", "restart")) != 1 {
				t.Fatalf("seed %d: crashes %v, want one more by %s, of who has come back", seed, crashes, k)
			}
			started += len(b.records("n1", "start")) - 1
			if got := b.ask("n1", "read", 0); got.Type != histories.Fail {
				t.Fatalf("seed %d: a node that is down answers %s %s", seed, got.Type, got.Value)
			}
			b.cureFault(second)
			if got := b.ask("n1", "read", 0); got.Type != histories.OK {
				t.Fatalf("seed %d: after the cures a node answers %s %s", seed, got.Type, got.Error)
			}
		}
		if started < 50 || started > 95 {
			t.Errorf("%d of 100 had started when %s met them: want most, and not all", started, k)
		}
	}
}

// Who another fault keeps from starting does not come back for the sake of one.
func TestFaultMeetsNobody(t *testing.T) {
	for _, other := range []nemesis.Kind{nemesis.Kill, nemesis.Pause} {
		b := cluster(t, 1, 1, nil)
		b.inject(fault(nemesis.Stop, "n1"))
		b.Invoke(nemesis.CureOp(fault(nemesis.Stop, "n1")))
		b.Invoke(nemesis.InjectOp(fault(nemesis.Power, "n1")))
		b.Invoke(nemesis.InjectOp(fault(other, "n1")))
		b.run(time.Second)
		if got := len(b.records("n1", "crash")); got != 1 {
			t.Errorf("%d crashes, under %s: want the first alone", got, other)
		}
		b.cureFault(fault(nemesis.Power, "n1"))
		b.cureFault(fault(other, "n1"))
		b.run(200 * time.Millisecond)
		if got := b.ask("n1", "read", 0); got.Type != histories.OK {
			t.Errorf("after all cures, %s too, n1 answers %s %s", other, got.Type, got.Error)
		}
	}
}
