package histories

import (
	"fmt"
	"testing"
)

func TestIntervals(t *testing.T) {
	kill, cut := Named("nemesis/kill"), Named("nemesis/partition")
	fault := func(id, kind string) []byte { return Encode(map[string]string{"id": id, "kind": kind}) }
	seen := func(yes bool) []byte { return Encode(map[string]bool{"verified": yes}) }
	h, err := Of(
		Op{Process: kill, Type: Invoke, F: "inject", Value: fault("k1", "kill")},
		Op{Process: cut, Type: Invoke, F: "inject", Value: fault("p1", "partition")},
		Op{Process: kill, Type: OK, F: "inject", Value: seen(true)},
		Op{Process: cut, Type: OK, F: "inject", Value: seen(false)},
		Op{Process: 0, Type: Invoke, F: "inject", Value: fault("x", "kill")}, // a client's own affair
		Op{Process: kill, Type: Invoke, F: "cure", Value: fault("k1", "kill")},
		Op{Process: kill, Type: OK, F: "cure", Value: seen(true)},
		Op{Process: cut, Type: Invoke, F: "cure", Value: fault("p1", "partition")},
		Op{Process: cut, Type: Info, F: "cure"},
		Op{Process: kill, Type: Invoke, F: "inject", Value: fault("k2", "kill")},
		Op{Process: kill, Type: Fail, F: "inject", Value: seen(false)},
		Op{Process: kill, Type: Invoke, F: "cure", Value: fault("never", "kill")},
		Op{Process: kill, Type: OK, F: "cure", Value: seen(true)},
		Op{Process: kill, Type: Invoke, F: "inject", Value: fault("k3", "kill")},
		Op{Process: cut, Type: Invoke, F: "cure", Value: fault("p1", "partition")}, // once more: it had not been seen to be over
		Op{Process: cut, Type: OK, F: "cure", Value: seen(true)},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"k1 kill 0 2 5 6 true true",
		"p1 partition 1 3 7 15 false true",
		"k2 kill 9 -1 -1 -1 false false",
		"k3 kill 13 -1 -1 -1 false false",
	}
	all := h.Intervals()
	if len(all) != len(want) {
		t.Fatalf("got %+v", all)
	}
	for i, iv := range all {
		got := fmt.Sprintln(iv.ID, iv.Kind, iv.Inject, iv.InForce, iv.Cure, iv.Over, iv.Verified, iv.CuredWell)
		if got != want[i]+"\n" {
			t.Errorf("got  %swant %s", got, want[i])
		}
		if string(iv.Value) != string(h.Value(iv.Inject)) {
			t.Errorf("%s: got value %s", iv.ID, iv.Value)
		}
	}
}
