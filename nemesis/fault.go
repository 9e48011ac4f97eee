// Package nemesis is the vocabulary of faults and the schedules that inject
// them. It describes; a world (package sim, package docker) carries out.
package nemesis

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Kind is a fault's name, the same word everywhere.
type Kind string

const (
	Partition  Kind = "partition"  // messages between nodes are cut, by Drop
	Kill       Kind = "kill"       // SIGKILL; the page cache is kept
	Stop       Kind = "stop"       // asked to end, and let
	Power      Kind = "power"      // killed, and what was not synced is lost
	Pause      Kind = "pause"      // does not run, and keeps its memory
	Clock      Kind = "clock"      // the node's own clocks jump, strobe or drift
	Loss       Kind = "loss"       // messages to it are lost with Probability
	Delay      Kind = "delay"      // messages to it take Delay ± Jitter longer
	Duplicate  Kind = "duplicate"  // messages to it arrive twice with Probability
	Reorder    Kind = "reorder"    // messages to it are overtaken with Probability
	Bandwidth  Kind = "bandwidth"  // messages from it pass at Rate bytes a second
	Client     Kind = "client"     // clients and the node do not hear each other
	Membership Kind = "membership" // the node leaves the group, and joins again
)

// Kinds lists every kind, sorted by name.
var Kinds = []Kind{Bandwidth, Client, Clock, Delay, Duplicate, Kill, Loss, Membership, Partition, Pause, Power, Reorder, Stop}

// Process is the process under which faults of kind k are injected and cured.
func (k Kind) Process() histories.Process { return histories.Named("nemesis/" + string(k)) }

// Fault is a misfortune with a name: a lease. It is in force from its
// injection to its cure; faults of one kind may overlap, and a world holds the
// union of what is in force.
type Fault struct {
	ID      string   `json:"id"` // unique in a run, e.g. partition-3
	Kind    Kind     `json:"kind"`
	Targets []string `json:"targets,omitempty"` // the victims, by name
	Params  Params   `json:"params,omitzero"`
}

// Params are the settings of a fault; each kind has its own, see paramsOf.
type Params struct {
	// Shape says how a partition's Drop or a clock's fault was chosen:
	// halves, ring, …; jump, strobe, drift. A world reads it for clock only.
	Shape string `json:"shape,omitempty"`
	// Drop maps a node to those it does not hear (partition). Jepsen calls
	// this a grudge.
	Drop map[string][]string `json:"drop,omitempty"`
	// Held messages of a partition wait for the cure and then arrive, as TCP
	// has it; otherwise they are lost. In containers TCP decides.
	Held bool `json:"held,omitempty"`
	// From and To aim a fault at the messages of one node to another, in place
	// of targets (loss, delay, duplicate, reorder, bandwidth).
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// At says of each victim where it dies, and where once more while it starts
	// again (kill, power; simulator only). nil: the world chooses.
	At map[string][]Place `json:"at,omitempty"`
	// Probability, in [0, 1], per message (loss, duplicate, reorder).
	Probability float64 `json:"probability,omitempty"`
	// Delay and Jitter lengthen a message's way (delay), uniformly in
	// Delay ± Jitter; Delay is how long an overtaken message is held (reorder).
	Delay  Duration `json:"delay,omitempty"`
	Jitter Duration `json:"jitter,omitempty"`
	// Rate is in bytes per second (bandwidth).
	Rate int64 `json:"rate,omitempty"`
	// Offset is how far the wall clock jumps, or swings (clock).
	Offset Duration `json:"offset,omitempty"`
	// Period is how long a strobing clock stays at either end (clock).
	Period Duration `json:"period,omitempty"`
	// Drift is how much faster the clocks run, 0.1 being 10 % (clock).
	Drift float64 `json:"drift,omitempty"`
}

// Duration is a time.Duration that is written as "1.5s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes d as "1.5s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "1.5s".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// ActsOn tells whether f is a fault of links, and acts on the messages that the
// node from sends the node to.
func (f Fault) ActsOn(from, to string) bool {
	victim := to
	switch f.Kind {
	case Partition:
		return from != to && slices.Contains(f.Params.Drop[to], from)
	case Bandwidth:
		victim = from
	case Loss, Delay, Duplicate, Reorder:
	default:
		return false
	}
	if f.Params.From != "" {
		return f.Params.From == from && f.Params.To == to
	}
	return from != to && slices.Contains(f.Targets, victim)
}

// Renamed is f with name(n) in place of each node n.
func (f Fault) Renamed(name func(string) string) Fault {
	all := func(nodes []string) []string {
		nodes = slices.Clone(nodes)
		for i, n := range nodes {
			nodes[i] = name(n)
		}
		return nodes
	}
	f.Targets = all(f.Targets)
	if f.Params.Drop != nil {
		drop := map[string][]string{}
		for n, from := range f.Params.Drop { // the order makes no difference
			drop[name(n)] = all(from)
		}
		f.Params.Drop = drop
	}
	if f.Params.At != nil {
		at := map[string][]Place{}
		for n, places := range f.Params.At { // the order makes no difference
			at[name(n)] = places
		}
		f.Params.At = at
	}
	if f.Params.From != "" {
		f.Params.From, f.Params.To = name(f.Params.From), name(f.Params.To)
	}
	return f
}

// Same tells whether f and g do the same to the same nodes, in whatever order
// they name them, and wherever these die.
func (f Fault) Same(g Fault) bool {
	for _, p := range []*Fault{&f, &g} {
		*p = p.Renamed(func(n string) string { return n }) // a copy, to be sorted
		slices.Sort(p.Targets)
		p.Params.At = nil
		for _, from := range p.Params.Drop {
			slices.Sort(from)
		}
	}
	return reflect.DeepEqual(f, g)
}

// Evidence is what a world saw at the victims after it injected or cured a
// fault. It is the value of the nemesis' completion.
type Evidence struct {
	ID       string  `json:"id"`
	Kind     Kind    `json:"kind"`
	Verified bool    `json:"verified"` // every check came out as it should
	Checks   []Check `json:"checks,omitempty"`
	// Holders are other faults that keep a cured one's effect in force, or
	// hide the effect of an injected one, so that there was nothing to see.
	Holders []string `json:"holders,omitempty"`
}

// Check is one observation at a victim.
type Check struct {
	Node string `json:"node"`
	Peer string `json:"peer,omitempty"` // the other end of a link
	Want string `json:"want"`           // "unreachable", "down", "offset 2s"
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// Conclude sets Verified: there are checks, and every one is as it should be;
// or, for a cure, others hold the effect in force.
func (e Evidence) Conclude() Evidence {
	e.Verified = len(e.Checks) > 0 || len(e.Holders) > 0
	for _, c := range e.Checks {
		e.Verified = e.Verified && c.OK
	}
	return e
}

// The two operations of a nemesis. The value of inject is a Fault, that of
// cure names one; both complete with Evidence: ok if in force (or over),
// fail if certainly not, info if unknown.
const (
	Inject = "inject"
	Cure   = "cure"
)

// InjectOp is the invocation that puts f into force.
func InjectOp(f Fault) histories.Op {
	return histories.Op{Process: f.Kind.Process(), Type: histories.Invoke, F: Inject, Value: histories.Encode(f)}
}

// CureOp is the invocation that ends f.
func CureOp(f Fault) histories.Op {
	return histories.Op{Process: f.Kind.Process(), Type: histories.Invoke, F: Cure, Value: histories.Encode(Fault{ID: f.ID, Kind: f.Kind})}
}

// Decode reads the fault of a nemesis op. Of a cure, ID and Kind are set.
func Decode(op histories.Op) (Fault, error) {
	f, err := histories.Decode[Fault](op)
	if err != nil {
		return f, err
	}
	if err := f.Validate(); err != nil && op.F == Inject {
		return f, fmt.Errorf("op %d: %w", op.Index, err)
	}
	if f.ID == "" {
		return f, fmt.Errorf("op %d: %s: the fault has no id", op.Index, op.F)
	}
	return f, nil
}

// UnmarshalJSON refuses fields that no fault has, so that a slip in a schedule
// written by hand is not taken for a harmless fault.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var given struct {
		Kind   Kind
		Params json.RawMessage
	}
	if err := json.Unmarshal(b, &given); err != nil {
		return err
	}
	if err := given.Kind.foreign(given.Params); err != nil {
		return err
	}
	type plain Fault
	return strictly(b, (*plain)(f))
}

var _ json.Unmarshaler = (*Fault)(nil)
