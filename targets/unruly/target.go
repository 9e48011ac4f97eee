package unruly

import (
	"bytes"
	"context"
	"fmt"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Target declares nodes that echo.
var Target = targets.Target{
	Name:   "unruly",
	Doc:    "Nodes that echo: torture tests itself with their bugs.",
	Source: "none",
	Nodes:  3,

	New:      New,
	Messages: Messages,
	Logs:     []string{`\bunruly: gave up\b`},
	Faults:   faults,

	Workloads: []targets.Workload{{
		Name: "echo",
		Doc:  "numbers, each of which must come back",
		Ops:  func(targets.Params) gen.Generator { return gen.Count("echo", 1) },
		Final: func(targets.Params, string) []targets.FinalOp {
			return []targets.FinalOp{{Op: gen.Op{F: "echo", Value: histories.Encode(0)}}}
		},
		Checker: func(targets.Params) checker.Checker { return checker.Func(echoes) },
	}},

	Promises: []targets.Promise{{Workload: "echo", Guarantee: "what comes back is what was sent", Under: faults}},

	Bugs: []targets.Bug{{
		Name:      "deaf-after-restart",
		Doc:       "A node that was down comes back and answers nobody.",
		Workload:  "echo",
		Under:     []nemesis.Kind{nemesis.Kill},
		Anomalies: []string{"no-recovery"},
		Within:    5,
	}, {
		Name:      "answers-twice",
		Doc:       "A node answers each request again in its next tick.",
		Workload:  "echo",
		Anomalies: []string{"answered-twice"},
		Within:    5,
	}, {
		Name:      "takes-back",
		Doc:       "A node refuses a request and then answers it.",
		Workload:  "echo",
		Anomalies: []string{"answered-twice"},
		Within:    5,
	}, {
		Name:      "answers-anybody",
		Doc:       "A node answers requests that it was never given.",
		Workload:  "echo",
		Anomalies: []string{"answered-unasked"},
		Within:    5,
	}, {
		Name:      "bounces",
		Doc:       "Each message is answered by another, for ever.",
		Workload:  "echo",
		Anomalies: []string{"message-storm"},
		Within:    5,
	}, {
		Name:      "chatters",
		Doc:       "Each message is answered by another, for ever, and each request again in the next tick.",
		Workload:  "echo",
		Anomalies: []string{"message-storm", "answered-twice"},
		Within:    5,
	}, {
		Name:      "breeds",
		Doc:       "Each message is answered by one to everybody, so that they breed.",
		Workload:  "echo",
		Anomalies: []string{"message-storm"},
		Within:    5,
	}, {
		Name:      "never-rests",
		Doc:       "A timer sets itself anew for now, for ever.",
		Workload:  "echo",
		Anomalies: []string{"livelock"},
		Within:    5,
	}, {
		Name:      "loops",
		Doc:       "A message is handled for ever.",
		Workload:  "echo",
		Anomalies: []string{"livelock"},
		Within:    5,
	}, {
		Name:      "panics",
		Doc:       "A timer reads beyond the end of a list.",
		Workload:  "echo",
		Anomalies: []string{"node-panic"},
		Within:    5,
	}},
}

var faults = []nemesis.Kind{nemesis.Partition, nemesis.Kill, nemesis.Pause, nemesis.Loss, nemesis.Client}

// echoes checks that every answer is the question.
func echoes(_ context.Context, h histories.History) checker.Result {
	r := checker.Result{Checker: "echo", Verdict: checker.Valid, Checked: []string{"that answers are what was asked"}}
	for _, c := range h.Calls() {
		if c.Complete.Type == histories.OK && !bytes.Equal(c.Complete.Value, c.Invoke.Value) {
			r.Verdict = checker.Invalid
			r.Anomalies = append(r.Anomalies, checker.Anomaly{
				Kind: "garbled", Ops: []int{c.Invoke.Index, c.Complete.Index},
				Why: fmt.Sprintf("op %d sent %s, and op %d brought back %s", c.Invoke.Index, c.Invoke.Value, c.Complete.Index, c.Complete.Value),
			})
		}
	}
	return r
}
