package checker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// Stalls make no verdict, and beyond a share of the run they are told of.
func TestStalls(t *testing.T) {
	const second = 1_000_000_000
	for _, test := range []struct {
		stalls []int // seconds, of a run of 60
		want   string
	}{
		{nil, ""},
		{[]int{3, 3}, ""},
		{[]int{3, 4}, "how nodes fared in 7s of 1m0s: the harness itself stood still"},
	} {
		var b strings.Builder
		for i, s := range test.stalls {
			fmt.Fprintf(&b, `{"time":%d,"process":"world","type":"info","f":"stall","value":{"for":%d}}`+"\n", (i+1)*10*second, s*second)
		}
		fmt.Fprintf(&b, `{"time":%d,"process":"world","type":"info","f":"heal","value":{}}`+"\n", 60*second)
		h, _, err := histories.Read(strings.NewReader(b.String()), "test.jsonl", histories.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r := checker.Stalls().Check(t.Context(), h)
		if got := strings.Join(r.Unchecked, ", "); r.Verdict != checker.Valid || got != test.want {
			t.Errorf("%v: %s, not looked at %q, want %q", test.stalls, r.Verdict, got, test.want)
		}
	}
}
