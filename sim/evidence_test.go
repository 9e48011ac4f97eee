package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// misfortunes are one fault of each kind for n1 of three nodes, clocks of each
// shape, and partitions of each.
func misfortunes() map[string]nemesis.Fault {
	all := map[string]nemesis.Fault{}
	for _, k := range nemesis.Kinds {
		all[string(k)] = nemesis.Fault{Kind: k, Targets: []string{"n1"}, Params: map[nemesis.Kind]nemesis.Params{
			nemesis.Bandwidth: {Rate: 1000},
			nemesis.Clock:     {Shape: "jump", Offset: nemesis.Duration(-time.Second)},
			nemesis.Delay:     {Delay: nemesis.Duration(50 * time.Millisecond), Jitter: nemesis.Duration(50 * time.Millisecond)},
			nemesis.Duplicate: {Probability: 0.01},
			nemesis.Loss:      {Probability: 0.01},
			nemesis.Partition: {Drop: nemesis.Isolate([]string{"n1", "n2", "n3"}, []string{"n1"})},
			nemesis.Reorder:   {Probability: 0.01, Delay: nemesis.Duration(time.Millisecond)},
		}[k]}
	}
	more := func(name, as string, change func(*nemesis.Fault)) {
		f := all[as]
		change(&f)
		all[name] = f
	}
	more("drift", "clock", func(f *nemesis.Fault) { f.Params = nemesis.Params{Shape: "drift", Drift: 0.001} })
	more("strobe", "clock", func(f *nemesis.Fault) {
		f.Params = nemesis.Params{Shape: "strobe", Offset: nemesis.Duration(time.Millisecond), Period: nemesis.Duration(time.Second)}
	})
	more("held", "partition", func(f *nemesis.Fault) { f.Params.Held = true })
	more("deaf", "partition", func(f *nemesis.Fault) { f.Params.Drop = map[string][]string{"n1": {"n2", "n3"}} })
	more("one link", "loss", func(f *nemesis.Fault) { f.Targets, f.Params.From, f.Params.To = nil, "n2", "n1" })
	for name, f := range all {
		f.ID = name
		all[name] = f
	}
	return all
}

// member is an echo in a group of which all know at once who has left.
type member struct {
	echo
	gone map[string]bool
}

func club() func() node.Node {
	gone := map[string]bool{}
	return func() node.Node { return &member{gone: gone} }
}

func (m *member) Request(env *node.Env, r node.Request) {
	var who string
	_ = r.Decode(&who)
	switch r.F {
	case "leave", "join":
		m.gone[who] = r.F == "leave"
		env.Reply(r, who)
	case "members":
		names := []string{}
		for _, id := range env.Peers {
			if !m.gone[string(id)] {
				names = append(names, string(id))
			}
		}
		env.Reply(r, names)
	default:
		m.echo.Request(env, r)
	}
}

// What is in force is seen, and that it is over; and nothing is where the
// simulator only says so, whatever else is in force.
func TestEvidence(t *testing.T) {
	for name, f := range misfortunes() {
		for _, s := range []Sabotage{"", Idle, Astray, OneWay, Endless} {
			t.Run(name+"/"+string(s), func(t *testing.T) {
				b := cluster(t, 1, 3, func(c *Config) {
					c.Sabotage, c.New = s, club()
					c.Leave, c.Join, c.Members = "leave", "join", "members"
				})
				injected, cured := b.finish(nemesis.InjectOp(f)), b.finish(nemesis.CureOp(f))
				wantInjected, wantCured := histories.OK, histories.OK
				switch {
				case s == Idle, s == Astray, s == OneWay && twoWay(f.Kind):
					wantInjected = histories.Info
				case s == Endless:
					wantCured = histories.Info
				}
				if takesDown(f.Kind) && wantInjected == histories.Info {
					wantCured = histories.Info // who has not died is not back
				}
				if injected.Type != wantInjected || cured.Type != wantCured {
					t.Errorf("injection %s %s\ncure %s %s\nwant %s, %s", injected.Type, injected.Value, cured.Type, cured.Value, wantInjected, wantCured)
				}
				b.run(time.Millisecond)
				if healed := len(b.records("world", "heal")) > 0; healed != (cured.Type == histories.OK) {
					t.Errorf("the cure is %s, and that all is well is recorded: %v", cured.Type, healed)
				}
			})
		}
	}
}

// twoWay tells whether a fault of kind k has a direction.
func twoWay(k nemesis.Kind) bool {
	switch k {
	case nemesis.Partition, nemesis.Client, nemesis.Loss, nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth:
		return true
	}
	return false
}

// Looking changes nothing: of two runs, one in which everything is looked at
// all the time is the same as one in which nothing is.
func TestProbesLeaveNoTrace(t *testing.T) {
	all := misfortunes()
	for seed := range uint64(3) {
		for _, conditions := range []histories.Conditions{{}, far(seed)} {
			one := func(look bool) string {
				b := cluster(t, seed, 3, func(c *Config) { c.Conditions, c.New, c.Members = conditions, club(), "members" })
				kinds := slices.Sorted(maps.Keys(all))
				for i := range 60 {
					f := all[kinds[(i*7+int(seed))%len(kinds)]]
					if f.Kind != nemesis.Membership {
						if b.leases.find(f.ID) < 0 {
							b.Invoke(nemesis.InjectOp(f))
						} else {
							b.Invoke(nemesis.CureOp(f))
						}
					}
					for n, at := range b.Nodes() {
						op := histories.Op{Process: histories.Process(3*i + n), Type: histories.Invoke, Node: at, Value: histories.Encode(i)}
						op.F = []string{"write", "tell", "synced", "draw", "silence"}[(i+n)%5]
						b.Invoke(op)
					}
					for range 2 {
						b.run(15 * time.Millisecond)
						if !look {
							continue
						}
						for _, g := range all {
							b.observe(lease{Fault: g, since: b.Now()}, i%2 == 0)
						}
						for _, m := range b.machines {
							b.members(m)
						}
					}
				}
				var out strings.Builder
				for _, op := range b.log {
					fmt.Fprintf(&out, "%d %s %s %s %s %s\n", op.Time, op.Process, op.Type, op.F, op.Value, op.Error)
				}
				return out.String()
			}
			if blind, seen := one(false), one(true); blind != seen {
				t.Fatalf("%+v, seed %d: probes have changed the run: %d bytes, %d", conditions, seed, len(blind), len(seen))
			}
		}
	}
}

// Of a cut in one direction it is seen that the other is open, unless another
// fault cuts that.
func TestOneWayCut(t *testing.T) {
	f := misfortunes()["deaf"]
	back := fault(nemesis.Partition)
	back.Params.Drop = map[string][]string{"n2": {"n1"}}
	for _, c := range []struct {
		name    string
		prepare func(*bench)
		want    string
	}{
		{"alone", func(*bench) {}, "n1<n2 cut: cut; n2<n1 not cut: handled; n1<n3 cut: cut; n3<n1 not cut: handled"},
		{"with another", func(b *bench) { b.inject(back) }, "n1<n2 cut: cut; n1<n3 cut: cut; n3<n1 not cut: handled; [partition-1]"},
		{"too much", func(b *bench) { b.after(0, func() { b.link(0, 1).fault.cut = true }) },
			"n1<n2 cut: cut; n2<n1 not cut: cut!; n1<n3 cut: cut; n3<n1 not cut: handled"},
	} {
		b := cluster(t, 1, 3, nil)
		c.prepare(b)
		op := b.finish(nemesis.InjectOp(f))
		e, err := histories.Decode[nemesis.Evidence](op)
		if got := short(e); err != nil || got != c.want || e.Verified != !strings.Contains(c.want, "!") {
			t.Errorf("%s: %s %s, want %s", c.name, op.Type, got, c.want)
		}
	}
}

// What another fault hides is not counted as seen to have begun, nor its end as
// amiss.
func TestHiddenByAnother(t *testing.T) {
	b := cluster(t, 1, 2, nil)
	kill, pause := fault(nemesis.Kill, "n1"), fault(nemesis.Pause, "n1")
	b.inject(kill)
	if op := b.finish(nemesis.InjectOp(pause)); op.Type != histories.Info || op.Error != "hidden by kill-1" {
		t.Errorf("a pause of who is down: %s %q %s", op.Type, op.Error, op.Value)
	}
	stop := fault(nemesis.Stop, "n1")
	if op := b.finish(nemesis.InjectOp(stop)); op.Type != histories.Info || op.Error != "hidden by kill-1, pause-1" {
		t.Errorf("a stop of who is down: %s %q %s", op.Type, op.Error, op.Value)
	}
	b.cureFault(stop)
	if e := b.cureFault(kill); short(e) != "[pause-1]" {
		t.Errorf("the end of a kill, while a pause keeps the process from starting: %s", short(e))
	}
	if got := len(b.records("world", "heal")); got != 0 {
		t.Errorf("%d records that all is well, during a pause", got)
	}
	b.cureFault(pause)
	b.run(200 * time.Millisecond)
	if got := b.ask("n1", "read", 0); got.Type != histories.OK {
		t.Errorf("after all cures n1 answers %s %s", got.Type, got.Error)
	}
}

// Who was about to start, and does, was not kept down.
func TestWhoStartsWasNotKilled(t *testing.T) {
	for seed := range uint64(10) {
		b := &bench{TB: t, World: New(Config{
			Seed: seed, Nodes: []string{"n1"}, New: func() node.Node { return &echo{} }, Messages: echoMessages,
			Conditions: histories.Conditions{Late: 50 * time.Millisecond}, Sabotage: Idle,
		})}
		if op := b.finish(nemesis.InjectOp(fault(nemesis.Kill, "n1"))); op.Type != histories.Info {
			t.Errorf("seed %d: a kill that was not done to who was not there yet: %s %s", seed, op.Type, op.Value)
		}
		_ = b.Close()
	}
}

// A process that a pause has kept from starting is waited for.
func TestCureWaitsForAStart(t *testing.T) {
	for seed := range uint64(20) {
		b := cluster(t, seed, 2, nil)
		kill, pause := fault(nemesis.Kill, "n1"), fault(nemesis.Pause, "n1")
		b.inject(kill)
		b.finish(nemesis.InjectOp(pause))
		b.after(190*time.Millisecond, func() { b.Invoke(nemesis.CureOp(pause)) })
		if e := b.cureFault(kill); !e.Verified {
			t.Errorf("seed %d: %s", seed, short(e))
		}
	}
}
