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
	far := histories.Conditions{Floor: time.Millisecond, Mean: 5 * time.Millisecond, Spread: 2, Loss: 0.02, Twice: 0.05, Skew: time.Second, Drift: 1e-4}
	for _, conditions := range []histories.Conditions{{}, far} {
		for seed := range uint64(3) {
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
						op.F = []string{"write", "tell", "synced", "draw"}[(i+n)%4]
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
