package targets_test

import (
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
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

// A target's own patterns come after those of all, and one that is none is named.
func TestLogPatterns(t *testing.T) {
	got, err := targets.Target{Logs: []string{"gave up"}}.LogPatterns()
	if n := len(checker.LogPatterns); err != nil || len(got) != n+1 || got[n].String() != "gave up" {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = targets.Target{Name: "x", Logs: []string{"fine", "a(", "b["}}.LogPatterns()
	if err == nil || !strings.Contains(err.Error(), `target x: pattern of log lines "a("`) || !strings.Contains(err.Error(), `"b["`) {
		t.Errorf("error %v, want one that names both", err)
	}
}
