package targets_test

import (
	"strings"
	"testing"

	"github.com/torture-harness/torture/targets"
)

// A name that no checker reports is a slip, which would leave a bug unfound or
// an anomaly unpermitted.
func TestCheckKinds(t *testing.T) {
	target := targets.Target{
		Name: "mine", Kinds: []string{"above-limit"},
		Bugs:    []targets.Bug{{Name: "b", Anomalies: []string{"above-limit", "stale-read", "stale-raed"}}},
		Permits: []targets.Permit{{Anomaly: "G1a"}, {Anomaly: "stale-reads"}},
	}
	err := target.CheckKinds()
	if err == nil {
		t.Fatal("two slips went unnoticed")
	}
	for _, want := range []string{`target mine, bug b: no checker reports an anomaly "stale-raed"`, `target mine, permit: no checker reports an anomaly "stale-reads"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "no checker"); n != 2 {
		t.Errorf("%d slips, want 2: %v", n, err)
	}
}
