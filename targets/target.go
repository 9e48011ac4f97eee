// Package targets declares what is put to the test: one package per pattern,
// each exporting one Target.
package targets

import (
	"cmp"
	"time"

	"github.com/torture-harness/torture/checker"
	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// Target is a pattern under test.
type Target struct {
	Name   string // as on the command line: "raft"
	Doc    string // one sentence
	Source string // the paper or manual it follows
	Nodes  int    // cluster size by default

	New      func(node.Options) node.Node
	Messages node.Codec
	Traffic  Traffic
	// Logs are regular expressions of lines that no healthy node writes into its
	// log, beside those that none of any target does (checker.LogPatterns).
	Logs  []string
	Flags []Flag

	// Route is the rule by which clients choose a node; nil: process mod n.
	Route func(Params) gen.Route

	// Faults are the kinds that the target offers; a nemesis of another kind
	// is a usage error.
	Faults []nemesis.Kind
	// Primary is the role (node.Env.Role) of a node that leads: "leader".
	Primary string
	// Leave and Join are the operations that nemesis membership asks of the
	// nodes, with the node's name as value; empty if there are none.
	Leave, Join string
	// Members is the operation that has a node list the members that it knows
	// of, by name, and changes nothing; there is one if nodes can leave.
	Members string

	Workloads []Workload // the first is the default
	// Kinds are those of anomalies that the workloads' own checkers report,
	// beside those of package checker.
	Kinds    []string
	Promises []Promise
	Permits  []Permit
	Bugs     []Bug
}

// Traffic bounds the messages between nodes: within any ten seconds, for each
// node, PerOperation for each operation that is under way and PerSecond for
// each second. Who sends more is in a message storm. Either has a default, in
// place of 0.
type Traffic struct{ PerOperation, PerSecond float64 }

// OrDefault is t with the defaults, which leave room for an algorithm whose
// nodes all speak to each other several times for an operation, and in each
// tick of some 100 ms.
func (t Traffic) OrDefault() Traffic {
	return Traffic{cmp.Or(t.PerOperation, 20), cmp.Or(t.PerSecond, 100)}
}

// Flag is an option of a target, typed by the values it can have.
type Flag struct {
	Name   string   `json:"name"`
	Doc    string   `json:"doc"`
	Values []string `json:"values"` // all that are allowed, the default first
}

// Params is what a run has been asked to be.
type Params struct {
	Options  node.Options
	Nodes    []string
	Clients  int
	Rate     float64       // operations per second, all clients together
	Recovery time.Duration // promised time from the last cure to normal service
	Keys     string        // which keys operations are about: a distribution's name; none: the workload's own
}

// KeyDist is the distribution that was asked for, over as many keys as own has,
// or else own.
func (p Params) KeyDist(own gen.KeyDist) gen.KeyDist {
	if p.Keys == "" {
		return own
	}
	d, err := gen.Distribution(p.Keys, own.N)
	if err != nil {
		panic(err) // a trial is not made of a name that is none
	}
	return d
}

// Workload drives a target and judges what came of it.
type Workload struct {
	Name, Doc string
	// Ops is what clients do for as long as the run lasts. It sets no pace.
	Ops func(Params) gen.Generator
	// Final are the operations that a node is asked after the last cure and the
	// recovery, in their order. A node that is up and belongs to the group must
	// answer every one of them. nil: none, and whether nodes recover is not
	// checked.
	Final func(p Params, node string) []FinalOp
	// Checker judges the pattern's own promises; what holds for every run
	// (vacuity, panics) is judged beside it.
	Checker func(Params) checker.Checker
	// MinOps is how many operations must succeed, in all and while each kind of
	// fault is in force, for a verdict to mean anything: a run with fewer is
	// vacuous.
	MinOps MinOps
}

// MinOps is a number of operations for each world. 0 stands for 100 in the
// simulator and 20 in containers, where time is dear. A target that rightly
// refuses much while faults last asks for fewer.
type MinOps struct {
	Sim        int `json:"sim"`
	Containers int `json:"containers"`
}

// In is the number for a world, "sim" or another.
func (m MinOps) In(world string) int {
	if world == "sim" {
		return cmp.Or(m.Sim, 100)
	}
	return cmp.Or(m.Containers, 20)
}

// Promise is a guarantee: under these faults, and any of them together, the
// workload's checker must find the history valid.
type Promise struct {
	Workload  string            `json:"workload"`
	Guarantee string            `json:"guarantee"`      // "linearizable per key"
	When      map[string]string `json:"when,omitempty"` // flags that it needs, e.g. reads=primary; nil: any
	Under     []nemesis.Kind    `json:"under,omitempty"`
}

// Permit is an anomaly that the pattern's definition allows. A run in which the
// workload's checker finds it, and no other, is valid, and says so. It is the
// narrowest that explains itself: what would also tell of a graver fault must
// not be permitted.
type Permit struct {
	Anomaly string            `json:"anomaly"` // its kind, as checkers report it
	Doc     string            `json:"doc"`
	When    map[string]string `json:"when,omitempty"`  // flags under which it is allowed; nil: any
	Under   []nemesis.Kind    `json:"under,omitempty"` // faults of which one must have been injected before; nil: none
}

// Bug is a defect planted on purpose, selected by name when a node is made.
// The harness must find it, or is not to be trusted.
type Bug struct {
	Name      string            `json:"name"`
	Doc       string            `json:"doc"` // what is wrong and what it breaks
	Workload  string            `json:"workload"`
	Flags     map[string]string `json:"flags,omitempty"` // flags that it needs; nil: defaults
	Under     []nemesis.Kind    `json:"under,omitempty"` // faults that provoke it
	Anomalies []string          `json:"anomalies"`       // kinds that it causes: one of them must be found
	Within    int               `json:"within"`          // simulated runs, of successive seeds, that find it
}
