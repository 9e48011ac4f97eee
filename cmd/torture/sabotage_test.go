package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/sim"
)

// impossible are the kinds of faults that cannot be sabotaged in a way, and why:
// what is done then is what was asked for.
var impossible = map[sim.Sabotage]map[nemesis.Kind]string{
	sim.OneWay: {
		nemesis.Kill:       "a process has no direction",
		nemesis.Stop:       "a process has no direction",
		nemesis.Power:      "a machine has no direction",
		nemesis.Pause:      "a process has no direction",
		nemesis.Clock:      "a clock has no direction",
		nemesis.Membership: "who has left has left in both directions",
	},
}

// A simulator that only says that it harms, harms others, harms in one
// direction or does not cure makes a run worth nothing, whatever the fault; one
// that does what it says does not.
func TestSabotage(t *testing.T) {
	for _, kind := range nemesis.Kinds {
		for _, s := range []sim.Sabotage{"", sim.Idle, sim.Astray, sim.OneWay, sim.Endless} {
			t.Run(string(kind)+"/"+string(s), func(t *testing.T) {
				var out, errs bytes.Buffer
				a := &app{stdout: &out, stderr: &errs, simulated: s, args: []string{
					"run", "raft", "--world", "sim", "--seed", "1", "--nemesis", string(kind), "--targets", "n1",
					"--interval", "1s", "--time-limit", "8s", "--recovery", "3s", "--store", t.TempDir(), "--json",
				}}
				code := a.execute()
				o := decode[outcome](t, done{a.args, code, out.String(), errs.String()})
				why := impossible[s][kind]
				switch {
				case s == "" || why != "":
					if code != exitValid {
						t.Errorf("exit %d: %s; want a valid run %s", code, o.Result.Why, why)
					}
				case code != exitVacuous || o.Verdict != checker.Vacuous:
					t.Errorf("exit %d, %s: %s", code, o.Verdict, o.Result.Why)
				default:
					want := "fault-not-verified:" + string(kind)
					if s == sim.Endless {
						want = "fault-not-cured:" + string(kind)
					}
					kinds := kindsOf(o.Result)
					if !slices.Contains(kinds, want) {
						t.Errorf("%s, and not %s", strings.Join(kinds, ", "), want)
					}
				}
			})
		}
	}
}

func kindsOf(r checker.Result) (kinds []string) {
	for _, a := range r.Anomalies {
		kinds = append(kinds, a.Kind)
	}
	return kinds
}
