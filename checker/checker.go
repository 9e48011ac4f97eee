// Package checker judges histories.
package checker

import (
	"context"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// Verdict is what a checker concludes. The zero Verdict is Unknown, so that a
// checker that forgets to conclude has not passed anything.
type Verdict int

const (
	Unknown Verdict = iota // ran out of budget, or could not judge
	Valid                  // what was promised was kept
	Invalid                // it was not: there are anomalies
	Vacuous                // too little happened for a verdict to mean anything
)

var verdictNames = [...]string{"unknown", "valid", "invalid", "vacuous"}

// String is the verdict's name: unknown, valid, invalid or vacuous.
func (v Verdict) String() string { return verdictNames[v] }

// MarshalText writes the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the name.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, name := range verdictNames {
		if name == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: want one of %v", b, verdictNames)
}

// rank orders verdicts for composition.
func (v Verdict) rank() int { return [...]int{Valid: 0, Vacuous: 1, Unknown: 2, Invalid: 3}[v] }

// Worse returns the graver of two verdicts: invalid, then unknown, vacuous,
// valid. What could not be judged outranks what had too little to be judged, or
// a checker that fails would hide behind a run that was too short.
func Worse(a, b Verdict) Verdict {
	if a.rank() >= b.rank() {
		return a
	}
	return b
}

// Anomaly is one piece of evidence against a history.
type Anomaly struct {
	Kind string `json:"kind"`           // the field's name for it: "G1c", "lost-write"
	Ops  []int  `json:"ops,omitempty"`  // indices of the ops involved, in the order Why tells of them
	Why  string `json:"why"`            // one sentence, in terms of those ops
	Key  string `json:"key,omitempty"`  // the independent object, if there are several
	File string `json:"file,omitempty"` // a drawing of it, in the run's directory
	// Part is the part of a composed Result that found it, a path of checkers'
	// names: "register/linearizable". Empty: the Result's own checker.
	Part string `json:"part,omitempty"`
}

// Result is a verdict with its reasons. It is the same for the same history.
type Result struct {
	Checker   string         `json:"checker"`
	Verdict   Verdict        `json:"verdict"`
	Anomalies []Anomaly      `json:"anomalies,omitempty"` // not empty if Invalid; at most CasesMax of a kind
	Truncated map[string]int `json:"truncated,omitempty"` // kind to the number of cases left out
	Permitted []Anomaly      `json:"permitted,omitempty"` // those that the promise allows, likewise
	Why       string         `json:"why,omitempty"`       // if Unknown or Vacuous
	Stats     map[string]any `json:"stats,omitempty"`
	Table     [][]string     `json:"table,omitempty"`     // of what was counted, for people; the first row names the columns
	Checked   []string       `json:"checked,omitempty"`   // what was looked at
	Unchecked []string       `json:"unchecked,omitempty"` // what was not, and somebody might think was
	Parts     []Result       `json:"parts,omitempty"`     // without what All moves up from them
	// Files are drawings and lists to be kept in the run's directory, by name.
	Files map[string][]byte `json:"-"`

	// otherwise is the verdict without any anomaly.
	otherwise    Verdict
	whyOtherwise string
}

// CasesMax bounds the anomalies of one kind in a Result. Of more, those are kept
// whose last op comes first.
const CasesMax = 16

// Checker judges a whole history. It does not modify it, does no I/O, and is
// deterministic. When ctx ends it returns Unknown.
type Checker interface {
	Check(ctx context.Context, h histories.History) Result
}

// Func makes a Checker of a function.
type Func func(ctx context.Context, h histories.History) Result

// Check calls f.
func (f Func) Check(ctx context.Context, h histories.History) Result { return f(ctx, h) }
