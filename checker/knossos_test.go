package checker

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// The histories of Knossos' data folder, with the verdicts that its two
// algorithms give. They are not part of the project: TORTURE_CORPUS names the
// folder that holds them.
func TestKnossosCorpus(t *testing.T) {
	corpus := os.Getenv("TORTURE_CORPUS")
	if corpus == "" {
		t.Skip("TORTURE_CORPUS does not name a folder with knossos.csv and its histories")
	}
	f, err := os.Open(filepath.Join(corpus, "knossos.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		file, model := row[column["file"]], row[column["workload"]]
		h, _, err := histories.ReadFile(filepath.Join(corpus, file), histories.ReadOptions{})
		if err != nil {
			t.Error(err)
			continue
		}
		h, succeeded := withoutNilReads(t, h)
		opts := map[string]json.RawMessage{"model": raw("%q", model)}
		if init := row[column["init"]]; init != "" && model != "mutex" {
			opts["init"] = json.RawMessage(init)
		}
		c, err := ByName("linearizable", opts)
		if err != nil {
			t.Error(err)
			continue
		}
		r := c.Check(t.Context(), h)
		want := Valid
		switch {
		case row[column["expected_valid"]] == "false":
			want = Invalid
		case !succeeded: // Knossos finds nothing wrong, we find nothing
			want = Vacuous
		}
		if r.Verdict != want {
			t.Errorf("%s: %v %s, want %v", file, r.Verdict, r.Why, want)
		}
		if n := r.Stats["configurations"].(int); n > 1<<16 {
			t.Logf("%s: %d configurations", file, n)
		}
		for _, a := range r.Anomalies {
			t.Logf("%s: %v %s", file, a.Ops, a.Why)
			checkAnomaly(t, r, a, h)
		}
	}
}

// withoutNilReads leaves out the reads that returned nil. For Knossos that is
// an answer which is not known, as there is no nil in its registers; for us it
// is the value null.
func withoutNilReads(t *testing.T, h histories.History) (_ histories.History, succeeded bool) {
	var ops []histories.Op
	for i, op := range h.All() {
		if op.F == "read" && op.Type == histories.OK && op.Value == nil {
			op.Type = histories.Fail
		}
		succeeded = succeeded || op.Type == histories.OK && h.Pair(i) >= 0
		ops = append(ops, op)
	}
	return historyOf(t, ops), succeeded
}
