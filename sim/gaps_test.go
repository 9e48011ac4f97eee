package sim

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// died is where n1 dies by a kill, while a client has it write.
func died(t *testing.T, seed uint64, at map[string][]nemesis.Place, f string) (b *bench, places []nemesis.Place) {
	b = cluster(t, seed, 2, nil)
	kill := fault(nemesis.Kill, "n1")
	kill.Params.At = at
	b.Invoke(nemesis.InjectOp(kill))
	for i := range 30 {
		b.Invoke(histories.Op{Process: histories.Process(i), Type: histories.Invoke, F: f, Node: "n1", Value: histories.Encode(i)})
		b.run(10 * time.Millisecond)
	}
	b.run(time.Second)
	b.cureFault(kill)
	for _, record := range b.records("n1", "crash") {
		var crash struct {
			Fault string
			At    nemesis.Place
		}
		if err := json.Unmarshal([]byte(record), &crash); err != nil || crash.Fault != "kill-1" {
			t.Fatalf("seed %d: crash record %s: %v", seed, record, err)
		}
		places = append(places, crash.At)
	}
	return b, places
}

// Most crashes fall beside a write, a sync or a message; the record of a crash
// says where it was, and a fault that says so has it there again.
func TestCrashesFallIntoSharpGaps(t *testing.T) {
	sharp, again, classes := 0, 0, []Gap(nil)
	for seed := range uint64(60) {
		b, places := died(t, seed, nil, "synced")
		for _, g := range b.Gaps() {
			if g.Crashed > 0 && g.Sharp {
				sharp++
			}
		}
		classes = AddGaps(classes, b.Gaps())
		if len(places) > 1 {
			again++
		}
		if _, repeated := died(t, seed, map[string][]nemesis.Place{"n1": places}, "synced"); !reflect.DeepEqual(places, repeated) {
			t.Fatalf("seed %d: n1 died at %+v, and told to die there at %+v", seed, places, repeated)
		}
	}
	if sharp < 40 || again < 5 {
		t.Errorf("%d of 60 crashes were beside a write, a sync or a message, and %d more while starting: want most, and some", sharp, again)
	}
	crashed := map[string]bool{}
	for _, g := range classes {
		if g.Crashed > 0 {
			crashed[g.After+" "+g.Before] = true
		}
	}
	for _, want := range []string{"begin write", "write write", "write sync", "sync answer"} {
		if !crashed[want] {
			t.Errorf("no crash between %s: %v", want, crashed)
		}
	}
}

// Where a schedule has lost what led to a place, the node dies by the time.
func TestCrashElseByTime(t *testing.T) {
	at := nemesis.Place{Handler: "request synced", After: "write", Before: "sync", Nth: 1, Within: nemesis.Duration(7 * time.Millisecond)}
	_, places := died(t, 1, map[string][]nemesis.Place{"n1": {at}}, "read")
	if len(places) != 1 || places[0].Handler != "" || places[0].Within < at.Within || places[0].Within > at.Within+nemesis.Duration(time.Millisecond) {
		t.Errorf("n1 died at %+v, want between two steps after 7ms", places)
	}
	// The third gap of a class, of a step that has many.
	at = nemesis.Place{Handler: "request many", After: "write", Before: "write", Nth: 30, Within: nemesis.Duration(time.Second)}
	_, places = died(t, 1, map[string][]nemesis.Place{"n1": {at}}, "many")
	if len(places) != 1 || places[0].Handler != at.Handler || places[0].Nth != 30 {
		t.Errorf("n1 died at %+v, want at %+v", places, at)
	}
}
