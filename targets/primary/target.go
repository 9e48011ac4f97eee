package primary

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Target declares primary–replica replication without failover.
var Target = targets.Target{
	Name:   "primary",
	Doc:    "Primary–replica replication: one node orders all writes and ships its log to the others, afterwards unless asked otherwise.",
	Source: "Stonebraker: Concurrency Control and Consistency of Multiple Copies of Data in Distributed INGRES, IEEE TSE SE-5(3), 1979",
	Nodes:  5,

	New:      New,
	Messages: Messages,
	Traffic:  targets.Traffic{PerOperation: 8, PerSecond: 80}, // some three times what it has been seen to need
	Flags: []targets.Flag{
		{Name: "reads", Doc: "who serves reads: the replicas, which may be behind, or the primary alone", Values: []string{"replica", "primary"}},
		{Name: "sync", Doc: "how many replicas must hold a write before it is acknowledged: none, one, or what makes a majority with the primary", Values: []string{"none", "one", "quorum"}},
	},
	Route:   route,
	Faults:  faults,
	Primary: "primary",

	Workloads: []targets.Workload{
		registers("register", "reads and writes of a few registers, no value twice", func(k gen.KeyDist) gen.Generator { return gen.Register(k, 100) }),
		registers("cas", "reads, writes and compare-and-set of a few registers at a time, with few values", func(k gen.KeyDist) gen.Generator { return targets.Repeating(values, gen.CAS(k, 40)) }),
		{
			Name:  "set",
			Doc:   "numbers added to one set, and now and then a read of all of it",
			Ops:   func(targets.Params) gen.Generator { return gen.Sets(0.05) },
			Final: func(p targets.Params, node string) []targets.FinalOp { return inTheEnd(p, node, gen.Op{F: "read"}) },
			Checker: func(p targets.Params) checker.Checker {
				set := checker.SetFull(checker.SetFullOptions{Linearizable: atPrimary(p), Settles: !atPrimary(p)})
				return checker.All("set", replication(p), withoutLogs(set))
			},
		},
		{
			Name:  "append",
			Doc:   "transactions that append to lists and read them, at the primary",
			Ops:   func(p targets.Params) gen.Generator { return gen.Appends(p.KeyDist(gen.Exponential(10, 3)), 128) },
			Final: func(p targets.Params, node string) []targets.FinalOp { return inTheEnd(p, node) },
			Checker: func(p targets.Params) checker.Checker {
				return checker.All("append", replication(p), withoutLogs(checker.Appends(checker.AppendsOptions{EachList: true})))
			},
		},
	},

	Promises: slices.Concat(
		promises("register", "linearizable per key"),
		promises("cas", "linearizable per key"),
		promises("set", "no element lost that was acknowledged, and no read that misses one"),
		promises("append", "each list strict-serializable, and no transaction lost that was acknowledged"),
	),

	Permits: []targets.Permit{{
		Anomaly: "stale-read",
		Doc:     "A replica serves what it has, which may be behind what the primary has acknowledged.",
		When:    map[string]string{"reads": "replica"},
	}},

	Bugs: []targets.Bug{{
		Name:      "ack-before-sync",
		Doc:       "The primary acknowledges a write that is not yet durable, and a loss of power takes it back.",
		Workload:  "register",
		Under:     []nemesis.Kind{nemesis.Power},
		Anomalies: []string{"lost-acknowledged-write"},
		Within:    50,
	}, {
		Name:      "replica-reorders",
		Doc:       "A replica applies entries in the order in which they arrive.",
		Workload:  "register",
		Under:     []nemesis.Kind{nemesis.Reorder, nemesis.Loss},
		Anomalies: []string{"replica-reorder"},
		Within:    10,
	}, {
		Name:      "replica-skips-gap",
		Doc:       "A replica that was down or cut off takes what it is sent first for what comes next, and never has what came between.",
		Workload:  "register",
		Under:     []nemesis.Kind{nemesis.Kill, nemesis.Partition},
		Anomalies: []string{"replica-gap"},
		Within:    20,
	}, {
		Name:      "replica-accepts-writes",
		Doc:       "A replica takes a client's write for its own log instead of refusing it.",
		Workload:  "register",
		Anomalies: []string{"replica-wrote"},
		Within:    5,
	}, {
		Name:      "counts-itself",
		Doc:       "The primary counts itself among the replicas that must hold a write before it is acknowledged.",
		Workload:  "register",
		Flags:     map[string]string{"sync": "quorum"},
		Anomalies: []string{"under-replicated"},
		Within:    5,
	}, {
		Name:      "replica-serves-reads",
		Doc:       "A replica answers the reads that it was told to leave to the primary.",
		Workload:  "register",
		Flags:     map[string]string{"reads": "primary"},
		Anomalies: []string{"not-refused"},
		Within:    5,
	}},
}

// faults are those that the pattern bears, all that it is offered: nobody
// leaves the group.
var faults = []nemesis.Kind{
	nemesis.Partition, nemesis.Kill, nemesis.Stop, nemesis.Power, nemesis.Pause, nemesis.Clock, nemesis.Loss,
	nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth, nemesis.Client,
}

// promises are those of a workload, for either way to read.
func promises(workload, atPrimary string) (all []targets.Promise) {
	const atReplica = "what a node answers is what the primary's log says up to the place that the answer names: a replica serves a prefix of the primary's log, never goes back, and has all of it in the end; no acknowledged write is lost"
	for _, reads := range []string{"primary", "replica"} {
		guarantee := map[string]string{"primary": atPrimary, "replica": atReplica}[reads]
		all = append(all, targets.Promise{
			Workload: workload, Guarantee: guarantee, When: map[string]string{"reads": reads}, Under: faults,
		})
	}
	for _, sync := range []string{"one", "quorum"} {
		guarantee := map[string]string{"one": "one replica", "quorum": "enough replicas to make a majority"}[sync]
		all = append(all, targets.Promise{
			Workload: workload, Guarantee: "a write is on the disks of the primary and of " + guarantee + " before it is acknowledged", When: map[string]string{"sync": sync}, Under: faults,
		})
	}
	return all
}

const (
	keys   = 5 // registers in use at a time
	values = 5 // of those that repeat
)

// registers is a workload of registers that are given up for fresh ones after
// some operations: long histories of one are costly to judge.
func registers(name, doc string, ops func(gen.KeyDist) gen.Generator) targets.Workload {
	return targets.Workload{
		Name: name,
		Doc:  doc,
		Ops:  func(p targets.Params) gen.Generator { return ops(p.KeyDist(gen.Uniform(keys))) },
		Final: func(p targets.Params, node string) []targets.FinalOp {
			var reads []gen.Op
			for k := range keys {
				reads = append(reads, gen.Op{F: "read", Key: json.RawMessage(fmt.Sprintf(`"k%d"`, k))})
			}
			return inTheEnd(p, node, reads...)
		},
		Checker: func(p targets.Params) checker.Checker {
			if !atPrimary(p) {
				return replication(p)
			}
			model := checker.Register(checker.RegisterOptions{Mismatch: "mismatch"})
			return checker.All(name, replication(p), withoutLogs(checker.Linearizable(model, checker.LinearizableOptions{})))
		},
	}
}

// replication promises copies by its own count, not by the node's: one slip
// must not move both.
func replication(p targets.Params) checker.Checker {
	majority := len(p.Nodes)/2 + 1
	o := checker.PrimaryReplicaOptions{Copies: map[string]int{"one": min(1, len(p.Nodes)-1), "quorum": majority - 1}[p.Options.Flag("sync")]}
	if atPrimary(p) {
		o.Reads = "primary"
	}
	return checker.PrimaryReplica(o)
}

// atPrimary tells whether the primary alone serves reads.
func atPrimary(p targets.Params) bool { return p.Options.Flag("reads") == "primary" }

// withoutLogs has c judge what clients did but for asking nodes for their logs,
// which no object has an operation for. Every op keeps its index.
func withoutLogs(c checker.Checker) checker.Checker {
	return checker.Func(func(ctx context.Context, h histories.History) checker.Result {
		var rest histories.Builder
		for _, op := range h.All() {
			if op.F == "final" {
				op.Process, op.Type = histories.World, histories.Info
			}
			if err := rest.Add(op); err != nil {
				return checker.Result{Why: err.Error()} // h would not be a history either
			}
		}
		return c.Check(ctx, rest.History())
	})
}

// inTheEnd are the final operations of a node: the reads, which a replica that
// serves none must refuse, and then its log.
func inTheEnd(p targets.Params, node string, reads ...gen.Op) (all []targets.FinalOp) {
	refusal := ""
	if atPrimary(p) && node != p.Nodes[0] {
		refusal = notPrimary
	}
	for _, r := range reads {
		all = append(all, targets.FinalOp{Op: r, Refusal: refusal})
	}
	return append(all, targets.FinalOp{Op: gen.Op{F: "final"}})
}

// route sends writes to the primary and reads to where they are served, but one
// operation in eight to any node: who must refuse it is to show that it does.
func route(p targets.Params) gen.Route {
	return func(op gen.Op, nodes []string) string {
		replicas := nodes[1:]
		luck := (uint64(op.Time) + uint64(op.Process)) * 0x9e3779b97f4a7c15 >> 32 // Knuth's multiplicative hash
		switch {
		case luck%8 == 0:
			return nodes[luck/8%uint64(len(nodes))]
		case op.F == "read" && !atPrimary(p) && len(replicas) > 0:
			return replicas[int(op.Process)%len(replicas)]
		}
		return nodes[0]
	}
}
