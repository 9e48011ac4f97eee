package histories

import "time"

// ManifestVersion is the version of the format that this package writes. It
// reads all of them.
const ManifestVersion = 1

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
	TimeLimit time.Duration `json:"time_limit"` // of the main phase, ns
	Timeout   time.Duration `json:"timeout"`    // of one operation, ns
	Recovery  time.Duration `json:"recovery"`   // from the last cure to the final operations, at most, ns

	Nemesis  []string      `json:"nemesis,omitempty"`  // kinds of faults
	Targets  string        `json:"targets,omitempty"`  // target expression of the faults
	Interval time.Duration `json:"interval,omitempty"` // mean time between a kind's faults, ns
	Budget   string        `json:"budget,omitempty"`   // how many nodes may be unable to answer at once
	Swarm    bool          `json:"swarm,omitempty"`    // the seed draws the conditions
	Schedule bool          `json:"schedule,omitempty"` // schedule.jsonl holds what was replayed
	End      time.Duration `json:"end,omitempty"`      // how long a replay goes on at least, ns
	Reigns   []Reign       `json:"reigns,omitempty"`   // who led when the schedule was recorded
	Cures    []Cure        `json:"cures,omitempty"`    // when its cures were complete then

	Args     []string  `json:"args,omitempty"`     // the command line
	Revision string    `json:"revision,omitempty"` // of torture's source; "+dirty" if changed
	Build    string    `json:"build,omitempty"`    // of the program: the first digits of its SHA-256
	Started  time.Time `json:"started"`
}

// Cure says when the cure of a fault was complete: what began later knew of it.
// A fault that was cured more than once has as many.
type Cure struct {
	Fault string `json:"fault"` // its id
	At    Time   `json:"at"`    // ns
}

// Reign says who led from a time on, until the next reign.
type Reign struct {
	From    Time     `json:"from"` // ns
	Leaders []string `json:"leaders,omitempty"`
}
