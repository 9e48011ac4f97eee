package docker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/nemesis"
)

// What follows is the contract with package host, as its documentation has it,
// and the command lines with which the image's program is started.

// Ports of a node in its own network namespace; the agents' probes use the UDP
// port after peerPort.
const (
	httpPort = 8000 // clients and control
	peerPort = 7000 // messages between nodes
)

const (
	pathOp     = "/op"
	pathHealth = "/health"
	pathClock  = "/clock"
	pathPower  = "/power"

	// powerFile, when it lies in a node's directory, has the next life take
	// back what was not synced.
	powerFile = "power"

	exitKilled = 137 // by SIGKILL
	exitPanic  = 134 // of a node that panicked
	exitGo     = 2   // of a Go program that panicked
)

// stopGrace is how long a node may take to end when it is asked to. A test sets
// it.
var stopGrace = 5 * time.Second

// nodeCommand starts the node name of the cluster.
func (w *World) nodeCommand(name string) []string {
	var peers []string
	for _, m := range w.members {
		peers = append(peers, fmt.Sprintf("%s=%s:%d", m.name, m.ip, peerPort))
	}
	options, err := json.Marshal(w.cfg.Options)
	if err != nil {
		panic(err) // strings only
	}
	return []string{
		"node", "--target", w.cfg.Target, "--id", name, "--peers", strings.Join(peers, ","),
		"--data", dataDir, "--http", fmt.Sprintf(":%d", httpPort), "--peer", fmt.Sprintf(":%d", peerPort),
		"--options", string(options),
	}
}

func agentCommand() []string { return []string{"agent"} }

// health is what a node says of itself.
type health struct {
	ID    string `json:"id"`
	Ready bool   `json:"ready"`
}

// request is a client's operation on its way.
type request struct {
	F       string          `json:"f"`
	Key     json.RawMessage `json:"key,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
	Lamport uint64          `json:"lamport,omitempty"`
}

// clockLease is a fault of a node's clocks.
type clockLease struct {
	ID     string           `json:"id"`
	Shape  string           `json:"shape"`
	Offset nemesis.Duration `json:"offset,omitzero"`
	Period nemesis.Duration `json:"period,omitzero"`
	Drift  float64          `json:"drift,omitempty"`
}

// clockSetting is all the faults of a node's clocks.
type clockSetting struct {
	Leases []clockLease `json:"leases"`
}

// clockReading is a node's clocks and the machine's, at one instant; in ns.
type clockReading struct {
	Now      time.Duration `json:"now"`       // monotonic
	Wall     time.Duration `json:"wall"`      // the time of day
	TrueWall time.Duration `json:"true_wall"` // the machine's
	Drifted  time.Duration `json:"drifted"`   // of Now, what drift has left behind
}

// clocks is the setting that the leases make for node.
func (ls leases) clocks(node string) clockSetting {
	s := clockSetting{Leases: []clockLease{}}
	for _, l := range ls.on(node, nemesis.Clock) {
		p := l.Params
		s.Leases = append(s.Leases, clockLease{ID: l.ID, Shape: p.Shape, Offset: p.Offset, Period: p.Period, Drift: p.Drift})
	}
	return s
}

func (s clockSetting) equal(o clockSetting) bool { return slices.Equal(s.Leases, o.Leases) }
