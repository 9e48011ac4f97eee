package run_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/total"
)

// manifest is a run of target total under all kinds of faults that it bears,
// or those that the seed draws of them.
func manifest(seed uint64, bug string) histories.Manifest {
	m := histories.Manifest{Seed: seed, Bug: bug}
	for _, k := range total.Target.Faults {
		m.Nemesis = append(m.Nemesis, string(k))
	}
	return run.Draw(total.Target, m)
}

func trial(t testing.TB, m histories.Manifest, script []histories.Op) *run.Trial {
	t.Helper()
	tr, err := run.NewTrial(total.Target, m, script)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestOneSeedOneHistory(t *testing.T) {
	var first string
	for i := range 2 {
		h, r, err := trial(t, manifest(3, ""), nil).Simulate(context.Background())
		if err != nil || r.Verdict != checker.Valid {
			t.Fatalf("seed 3: %v %s %s %v", err, r.Verdict, r.Why, run.Kinds(r))
		}
		var b bytes.Buffer
		if err := histories.Write(&b, h); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = b.String()
		} else if b.String() != first {
			t.Error("one seed gave two histories")
		}
	}
}

// What a run did, played again from its schedule, is the same run.
func TestReplayRepeats(t *testing.T) {
	h, r, err := trial(t, manifest(0, "local-first"), nil).Simulate(context.Background())
	if err != nil || r.Verdict != checker.Invalid {
		t.Fatalf("seed 0 with a bug: %v %s %s", err, r.Verdict, r.Why)
	}
	m := manifest(0, "local-first")
	m.End = h.At(h.Len() - 1).Time.Duration()
	again, r2, err := trial(t, m, run.Schedule(h)).Simulate(context.Background())
	if err != nil || r2.Verdict != checker.Invalid {
		t.Fatalf("its replay: %v %s %s", err, r2.Verdict, r2.Why)
	}
	same := 0
	for i := range min(h.Len(), again.Len()) {
		if h.At(i).F == again.At(i).F && h.At(i).Process == again.At(i).Process {
			same++
		}
	}
	if same < h.Len()*9/10 {
		t.Errorf("%d of %d ops are the same in the replay", same, h.Len())
	}
}

func TestShrink(t *testing.T) {
	tr := trial(t, manifest(0, "deliver-gap"), nil)
	h, r, err := tr.Simulate(context.Background())
	if err != nil || r.Verdict != checker.Invalid {
		t.Fatalf("seed 0 with a bug: %v %s %s", err, r.Verdict, r.Why)
	}
	s, err := run.Shrink(context.Background(), tr, h, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d ops of history to %d operations and %d faults in %v, after %d tries: %v",
		h.Len(), s.Ops, s.Faults, s.Manifest.End, s.Tries, run.Kinds(s.Result))
	if s.Ops > 30 || s.Faults > 3 {
		t.Errorf("%d operations and %d faults are left; want at most 30 and 3", s.Ops, s.Faults)
	}
	// On links that neither lose nor reorder there is a gap only by a fault.
	if s.Manifest.Conditions != nil || s.Faults == 0 {
		t.Errorf("conditions: %v, with %d faults; want ordinary ones, and a fault", s.Manifest.Conditions, s.Faults)
	}
	for range 2 {
		_, again, err := trial(t, s.Manifest, s.Script).Simulate(context.Background())
		if err != nil || again.Verdict != checker.Invalid {
			t.Fatalf("the shrunk schedule does not fail again: %v %s", err, again.Verdict)
		}
	}
}

func TestTrialTellsAllThatIsWrong(t *testing.T) {
	m := histories.Manifest{Workload: "chess", Bug: "none-such", Nodes: 1000, Rate: -1, Nemesis: []string{"meteor", "membership"},
		Flags: map[string]string{"colour": "red"}, Budget: "lots", Targets: "n77"}
	_, err := run.NewTrial(total.Target, m, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"chess", "none-such", "nodes is 1000", "rate is -1", "meteor", "membership", "colour", "lots"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %q:\n%v", want, err)
		}
	}
}

// A schedule written by hand may ask for what no run can do.
func TestTrialTellsWhatIsWrongWithItsScript(t *testing.T) {
	for _, c := range []struct {
		op   histories.Op
		want string
	}{
		{histories.Op{Process: 0, F: "broadcast", Node: "n9"}, `no node "n9"`},
		{histories.Op{Process: nemesis.Kill.Process(), F: "hurt"}, "nemesis/kill hurt"},
	} {
		c.op.Type, c.op.Index = histories.Invoke, 7
		ops := []histories.Op{{Process: 0, Type: histories.Invoke, F: "broadcast", Node: "n1"}, c.op}
		_, err := run.NewTrial(total.Target, histories.Manifest{}, ops)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "op 7") {
			t.Errorf("error %v: want one about op 7 and %s", err, c.want)
		}
	}
}

// A run in which the faults asked for cannot happen proves nothing.
func TestNothingHappenedIsVacuous(t *testing.T) {
	m := manifest(1, "")
	m.TimeLimit = 1e6 // a millisecond
	_, r, err := trial(t, m, nil).Simulate(context.Background())
	if err != nil || r.Verdict != checker.Vacuous {
		t.Errorf("a run of a millisecond: %v %s, want vacuous", err, r.Verdict)
	}
}

// Whoever sleeps for ever does not wake at once: the loop says so.
func TestEndlessSleep(t *testing.T) {
	sleep := gen.Clients(gen.Seq(gen.Sleep(time.Second), gen.Sleep(math.MaxInt64)))
	err := run.Loop(context.Background(), run.Plan{Clients: 1, Generator: sleep}, &idle{nodes: []string{"n1"}}, func(histories.Op) error { return nil })
	if !errors.Is(err, run.ErrStuck) {
		t.Errorf("error %v, want %v", err, run.ErrStuck)
	}
}

func TestGeneratorThatIsWrongFailsTheRun(t *testing.T) {
	plan := run.Plan{Clients: 1, Generator: odd{}}
	err := run.Loop(context.Background(), plan, &idle{nodes: []string{"n1"}}, func(histories.Op) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "generator") {
		t.Errorf("error %v: want one about the generator", err)
	}
}
