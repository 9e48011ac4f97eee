package total

import (
	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Target declares total order broadcast with a fixed sequencer.
var Target = targets.Target{
	Name:   "total",
	Doc:    "Total order broadcast: a fixed sequencer numbers the messages, and all deliver in the order of the numbers.",
	Source: "Défago, Schiper, Urbán: Total order broadcast and multicast algorithms, ACM Computing Surveys 36(4), 2004",
	Nodes:  5,

	New:      New,
	Messages: Messages,
	Traffic:  targets.Traffic{PerOperation: 4, PerSecond: 40}, // some three times what it has been seen to need
	Faults:   faults,
	Primary:  "sequencer",

	Workloads: []targets.Workload{{
		Name: "broadcast",
		Doc:  "broadcasts of numbers, and now and then a read of all that a node has delivered",
		Ops:  func(targets.Params) gen.Generator { return gen.Broadcasts(0.05) },
		Final: func(targets.Params, string) []targets.FinalOp {
			return []targets.FinalOp{{Op: gen.Op{F: "read"}}}
		},
		Checker: func(targets.Params) checker.Checker {
			return checker.Broadcast(checker.BroadcastOptions{Order: "total", Acks: true})
		},
	}},

	Promises: []targets.Promise{{
		Workload:  "broadcast",
		Guarantee: "uniform total order broadcast: all nodes deliver the same messages in the same order, each once, and none is lost that was acknowledged",
		Under:     faults,
	}},

	Bugs: []targets.Bug{{
		Name:      "deliver-gap",
		Doc:       "A node that misses a number delivers the next one all the same, so that its log is not the others'.",
		Workload:  "broadcast",
		Under:     []nemesis.Kind{nemesis.Partition, nemesis.Kill},
		Anomalies: []string{"order-gap"},
		Within:    20,
	}, {
		Name:      "local-first",
		Doc:       "A node delivers its own messages at once, before they have a number, and so in another order than the others.",
		Workload:  "broadcast",
		Anomalies: []string{"total-order"},
		Within:    5,
	}, {
		Name:      "sequencer-reuses-numbers",
		Doc:       "The sequencer stores the numbers it gave a moment later, and after a crash gives the last of them to other messages.",
		Workload:  "broadcast",
		Under:     []nemesis.Kind{nemesis.Kill},
		Anomalies: []string{"durability-lost", "total-order"},
		Within:    50,
	}},
}

// faults are those that the pattern bears, all that it is offered: nobody
// leaves the group.
var faults = []nemesis.Kind{
	nemesis.Partition, nemesis.Kill, nemesis.Stop, nemesis.Power, nemesis.Pause, nemesis.Clock, nemesis.Loss,
	nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth, nemesis.Client,
}
