package raft

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/targets"
)

// Target declares consensus by Raft.
var Target = targets.Target{
	Name:   "raft",
	Doc:    "Consensus: etcd's Raft library replicates registers, a set and lists.",
	Source: "Ongaro and Ousterhout: In Search of an Understandable Consensus Algorithm, USENIX ATC 2014",
	Nodes:  5,

	New:      New,
	Messages: Messages,
	// An operation is sent five times at most before it is forgotten, and each
	// time costs a node four messages at most: a heartbeat or an append with its
	// answer, and an append with its answer to who turns out to be behind. Each
	// second has ten heartbeats, twice as many with leases; where links double
	// half of their messages, and all are behind, two messages become eight.
	Traffic: targets.Traffic{PerOperation: 20, PerSecond: 140},
	Flags: []targets.Flag{
		{Name: "reads", Doc: "how a read is made sure to be fresh: through the log, by a read index, or by the leader's lease", Values: []string{"log", "index", "lease"}},
		{Name: "snapshot-every", Doc: "entries from one snapshot of the state, and compaction of the log, to the next", Values: []string{"200", "20", "50", "1000", "10000"}},
		{Name: "pre-vote", Doc: "whether a node asks if it could win before it begins an election", Values: []string{"on", "off"}},
	},

	Faults:  nemesis.Kinds,
	Primary: "leader",
	Leave:   Leave,
	Join:    Join,
	Members: Members,

	Workloads: []targets.Workload{
		registers("register", "reads and writes of a few registers, no value twice", func(k gen.KeyDist) gen.Generator { return gen.Register(k, 0) }),
		registers("cas", "reads, writes and compare-and-set of a few registers at a time, with few values", func(k gen.KeyDist) gen.Generator { return targets.Repeating(values, gen.CAS(k, 40)) }),
		{
			Name:    "set",
			Doc:     "adds to a set, and reads of all of it",
			Ops:     func(targets.Params) gen.Generator { return gen.Sets(0.1) },
			Final:   asked(gen.Op{F: "read"}),
			Checker: check("set", checker.Set(), checker.SetFull(checker.SetFullOptions{Linearizable: true})),
		},
		{
			Name:    "append",
			Doc:     "transactions that append to lists and read them",
			Ops:     func(p targets.Params) gen.Generator { return gen.Appends(p.KeyDist(gen.Uniform(keys)), 100) },
			Final:   asked(gen.Op{F: "txn", Value: json.RawMessage(`[["r",0,null],["r",1,null],["r",2,null],["r",3,null],["r",4,null]]`)}),
			Checker: check("append", checker.Appends(checker.AppendsOptions{EachList: true})),
		},
	},
	Promises: slices.Concat(
		promises("register", "linearizable per key"),
		promises("cas", "linearizable per key"),
		promises("set", "linearizable"),
		promises("append", "each list strict-serializable"),
	),
	Permits: []targets.Permit{{
		Anomaly: "stale-read",
		Doc:     "Where clocks drift apart by more than a lease allows for, a deposed leader may serve old values for a while.",
		When:    map[string]string{"reads": "lease"},
		Under:   []nemesis.Kind{nemesis.Clock},
	}},
	Bugs: bugs,
}

const (
	keys   = 5 // registers or lists at a time
	values = 5 // of those that repeat
)

// registers is a workload of registers. Where values repeat, to judge one takes
// a search, and so it is given up for a fresh one after some operations.
func registers(name, doc string, ops func(gen.KeyDist) gen.Generator) targets.Workload {
	return targets.Workload{
		Name:    name,
		Doc:     doc,
		Ops:     func(p targets.Params) gen.Generator { return ops(p.KeyDist(gen.Uniform(keys))) },
		Final:   asked(finalReads()...),
		Checker: check(name, checker.Linearizable(checker.Register(checker.RegisterOptions{Mismatch: "mismatch"}), checker.LinearizableOptions{})),
	}
}

// finalReads are reads of all registers.
func finalReads() (reads []gen.Op) {
	for k := range keys {
		reads = append(reads, gen.Op{F: "read", Key: json.RawMessage(fmt.Sprintf(`"k%d"`, k))})
	}
	return reads
}

// asked has every node asked ops in the end.
func asked(ops ...gen.Op) func(targets.Params, string) []targets.FinalOp {
	return func(targets.Params, string) (all []targets.FinalOp) {
		for _, op := range ops {
			all = append(all, targets.FinalOp{Op: op})
		}
		return all
	}
}

// check judges what clients saw, and Raft's own properties.
func check(workload string, parts ...checker.Checker) func(targets.Params) checker.Checker {
	return func(p targets.Params) checker.Checker {
		raft := checker.Raft(checker.RaftOptions{Recovery: p.Recovery})
		return checker.All(workload, append(slices.Clone(parts), raft)...)
	}
}

// promises are those of a workload, for each way to read. A lease is as good as
// the clocks.
func promises(workload, guarantee string) (all []targets.Promise) {
	for _, reads := range []string{"log", "index", "lease"} {
		under := nemesis.Kinds
		if reads == "lease" {
			under = slices.DeleteFunc(slices.Clone(under), func(k nemesis.Kind) bool { return k == nemesis.Clock })
		}
		all = append(all, targets.Promise{
			Workload: workload, Guarantee: guarantee, When: map[string]string{"reads": reads}, Under: under,
		})
	}
	return all
}

var bugs = []targets.Bug{{
	Name:      "local-reads",
	Doc:       "Every node answers reads from what it has applied itself, so that they miss writes which others have acknowledged.",
	Workload:  "register",
	Under:     []nemesis.Kind{nemesis.Partition},
	Anomalies: []string{"stale-read"},
	Within:    10,
}, {
	Name:      "ack-before-sync",
	Doc:       "Entries and votes are written and not synced before they are acknowledged, so that a loss of power takes back what was promised.",
	Workload:  "register",
	Under:     []nemesis.Kind{nemesis.Power},
	Anomalies: []string{"committed-truncated", "durability-lost", "leader-completeness", "nonlinearizable", "stale-read"},
	Within:    50,
}, {
	Name:      "vote-not-persisted",
	Doc:       "Term and vote are kept in memory only, so that a node that restarts votes again in a term, for another.",
	Workload:  "register",
	Flags:     map[string]string{"pre-vote": "off"},
	Under:     []nemesis.Kind{nemesis.Kill, nemesis.Partition},
	Anomalies: []string{"double-vote", "two-leaders-in-term"},
	Within:    100,
}, {
	Name:      "ack-before-commit",
	Doc:       "A leader acknowledges a write once it is in its own log, so that one which is cut off acknowledges what its successor overwrites.",
	Workload:  "register",
	Under:     []nemesis.Kind{nemesis.Partition},
	Anomalies: []string{"nonlinearizable", "stale-read"},
	Within:    50,
}, {
	Name:      "snapshot-drops-keys",
	Doc:       "A snapshot lacks every second register, so that who starts from it does too.",
	Workload:  "register",
	Flags:     map[string]string{"snapshot-every": "20"}, // the more there are, the less it takes to show
	Under:     []nemesis.Kind{nemesis.Kill, nemesis.Partition},
	Anomalies: []string{"state-machine-safety", "nonlinearizable", "stale-read"},
	Within:    20,
}, {
	Name:      "retry-applies-twice",
	Doc:       "A command that is in the log twice, since its sender was not answered in time, is applied twice.",
	Workload:  "append",
	Under:     []nemesis.Kind{nemesis.Partition, nemesis.Loss},
	Anomalies: []string{"duplicate-elements"},
	Within:    20,
}, {
	Name:      "read-index-skips-quorum",
	Doc:       "A leader gives out its commit index without asking whether it still leads, so that one which is cut off serves old values.",
	Workload:  "register",
	Flags:     map[string]string{"reads": "index"},
	Under:     []nemesis.Kind{nemesis.Partition},
	Anomalies: []string{"stale-read"},
	Within:    50,
}, {
	Name:      "lease-by-ticks",
	Doc:       "The library's own lease is used, by which a leader that is cut off serves reads until CheckQuorum notices, which takes longer than an election.",
	Workload:  "register",
	Flags:     map[string]string{"reads": "lease"},
	Under:     []nemesis.Kind{nemesis.Partition},
	Anomalies: []string{"stale-read"},
	Within:    100,
}}
