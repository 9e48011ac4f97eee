package histories

import (
	"bytes"
	"fmt"
	"time"
)

// ManifestVersion is the version of the format that this package writes. It
// reads all of them.
const ManifestVersion = 2

// modern is a manifest of any version as the present one has it: version 1
// called the time limit time_limit.
func modern(manifest []byte) []byte {
	return bytes.Replace(manifest, []byte(`"time_limit":`), []byte(`"time-limit":`), 1)
}

// Manifest is all it takes to do a run again. It is run.json of the run's
// directory.
type Manifest struct {
	Version  int               `json:"version"` // of the format: ManifestVersion
	ID       string            `json:"id"`      // the run's name, and its directory's
	Target   string            `json:"target"`
	Workload string            `json:"workload"`
	Bug      string            `json:"bug,omitempty"`
	Flags    map[string]string `json:"flags,omitempty"` // the target's own, e.g. reads=index
	World    string            `json:"world"`           // sim or docker
	Seed     uint64            `json:"seed"`
	Nodes    int               `json:"nodes"`
	Clients  int               `json:"clients"`

	Rate      float64       `json:"rate"`       // operations per second, all clients together
	TimeLimit time.Duration `json:"time-limit"` // of the main phase, ns
	Timeout   time.Duration `json:"timeout"`    // of one operation, ns
	Recovery  time.Duration `json:"recovery"`   // from the last cure to the final operations, at most, ns

	Load []Phase `json:"load,omitempty"` // phases of the rate, again and again; none: steady
	Keys string  `json:"keys,omitempty"` // which keys operations are about: the name of a distribution; none: the workload's own

	Nemesis    []string      `json:"nemesis,omitempty"`    // kinds of faults
	Targets    string        `json:"targets,omitempty"`    // target expression of the faults
	Interval   time.Duration `json:"interval,omitempty"`   // mean time between a kind's faults, ns
	Budget     string        `json:"budget,omitempty"`     // how many nodes may be unable to answer at once
	Swarm      bool          `json:"swarm,omitempty"`      // the seed has drawn what was not given
	Conditions *Conditions   `json:"conditions,omitempty"` // of simulated links and clocks; none: those of a quiet rack
	Schedule   bool          `json:"schedule,omitempty"`   // schedule.jsonl holds what was replayed
	End        time.Duration `json:"end,omitempty"`        // how long a replay goes on at least, ns
	Reigns     []Reign       `json:"reigns,omitempty"`     // who led when the schedule was recorded
	Done       []Done        `json:"done,omitempty"`       // when its faults were in force then, and over

	Args     []string  `json:"args,omitempty"`     // the command line
	Revision string    `json:"revision,omitempty"` // of torture's source; "+dirty" if changed
	Build    string    `json:"build,omitempty"`    // of the program: the first digits of its SHA-256
	Started  time.Time `json:"started"`
}

// Done says when an injection or a cure was complete: what began later met a
// fault that was in force, or was over. A fault that was cured more than once has
// as many.
type Done struct {
	F     string `json:"f"`     // inject or cure
	Fault string `json:"fault"` // its id
	At    Time   `json:"at"`    // ns
}

// Phase is a stretch of a run's load.
type Phase struct {
	For   time.Duration `json:"for"`             // ns
	Rate  float64       `json:"rate"`            // operations per second
	Reads bool          `json:"reads,omitempty"` // only operations that change nothing
}

// Conditions are the nature of simulated links and clocks, faults apart. Each
// link and each clock has its own within them, by the run's seed.
type Conditions struct {
	Floor  time.Duration `json:"floor"`           // delay of the quickest link at least, ns
	Mean   time.Duration `json:"mean"`            // delay on top of that, exponential, ns
	Spread float64       `json:"spread"`          // the slowest link's delays against the quickest's
	Loss   float64       `json:"loss,omitempty"`  // probability per message
	Twice  float64       `json:"twice,omitempty"` // probability that a message arrives twice
	FIFO   bool          `json:"fifo,omitempty"`  // links keep the order, as a TCP connection does
	Skew   time.Duration `json:"skew,omitempty"`  // of the time of day, at most, ns
	Drift  float64       `json:"drift"`           // of a clock, at most: 0.0001 is 100 ppm
	Late   time.Duration `json:"late,omitempty"`  // when the last node starts at most, ns
}

// nodeNames are the names of the run's nodes.
func (m Manifest) nodeNames() (names []string) {
	for i := range m.Nodes {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	return names
}

// Reign says who led from a time on, until the next reign.
type Reign struct {
	From    Time     `json:"from"` // ns
	Leaders []string `json:"leaders,omitempty"`
}
