package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// clock is the node's two clocks: a monotonic one, which may drift, and the
// time of day made from it, which may also jump and strobe. Anybody may read both
// at any time; no reading waits for the file.
//
// The faults in force are a union of leases. They are kept in a file, with how
// far the clock has drifted, since a machine's clock does not care which
// process reads it; so the monotonic clock goes on over restarts too.
type clock struct {
	path  string
	fsync bool
	began time.Time // of this process, with Go's monotonic reading
	epoch int64     // the machine's time of day then, ns

	changing sync.Mutex // held by a change, until it is in the file
	mu       sync.Mutex // guards state, and is held while the machine's clock is read for it
	state    *clockState
}

// clockState is immutable. Times of the machine are ns since the Unix epoch,
// as of this process' start and monotonic from there.
type clockState struct {
	Since  int64   `json:"since"` // of the machine, when
	Local  int64   `json:"local"` // the node's monotonic clock showed this
	Leases []lease `json:"leases"`

	rate float64 // product of the drifts: 1 is right
}

// lease is a clock fault in force.
type lease struct {
	ID     string   `json:"id"`
	Shape  string   `json:"shape"` // jump, strobe or drift
	Offset duration `json:"offset,omitzero"`
	Period duration `json:"period,omitzero"`
	Drift  float64  `json:"drift,omitempty"`
	Since  int64    `json:"since,omitempty"` // of the machine; set by the clock
}

func (l lease) validate() error {
	switch {
	case l.ID == "":
		return errors.New(`a clock fault needs an id, such as {"id":"clock-1","shape":"jump","offset":"2s"}`)
	case l.Shape == "jump" && l.Offset != 0:
	case l.Shape == "strobe" && l.Offset != 0 && l.Period > 0:
	case l.Shape == "drift" && l.Drift > -0.9 && l.Drift <= 10 && l.Drift != 0:
	default:
		return fmt.Errorf("clock fault %s: want shape jump with offset, strobe with offset and period, or drift with drift in (-0.9, 10]", l.ID)
	}
	return nil
}

// openClock reads the faults left in force by earlier lives, if any.
func openClock(path string, fsync bool) (*clock, error) {
	began := time.Now()
	epoch := began.UnixNano()
	s := &clockState{Since: epoch, Local: epoch}
	b, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(b, s); err != nil {
			return nil, fmt.Errorf("clock file %s: %w", path, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s.setRate()
	return &clock{path: path, fsync: fsync, began: began, epoch: epoch, state: s}, nil
}

func (s *clockState) setRate() {
	s.rate = 1
	for _, l := range s.Leases {
		if l.Shape == "drift" {
			s.rate *= 1 + l.Drift
		}
	}
}

// machine is the machine's clock at t: its time of day when this process began,
// and monotonic since.
func (c *clock) machine(t time.Time) int64 { return c.epoch + int64(t.Sub(c.began)) }

// now is the node's monotonic clock.
func (c *clock) now() time.Duration { return c.read().Now }

func (s *clockState) now(machine int64) time.Duration {
	elapsed := machine - s.Since
	if s.rate != 1 {
		elapsed = int64(float64(elapsed) * s.rate)
	}
	return time.Duration(s.Local + elapsed)
}

// until is how long the machine's clock runs until the node's shows at.
func (c *clock) until(at time.Duration) time.Duration {
	r := c.read()
	d := at - r.Now
	if r.Rate != 1 {
		d = time.Duration(float64(d)/r.Rate) + 1
	}
	return d
}

// reading is both of the node's clocks and the machine's, read at one instant.
type reading struct {
	Now      time.Duration `json:"now"`
	Wall     time.Duration `json:"wall"`
	TrueWall time.Duration `json:"true_wall"`
	Offset   time.Duration `json:"offset"`  // Wall - TrueWall
	Drifted  time.Duration `json:"drifted"` // the part of it that drift has left
	Rate     float64       `json:"rate"`
	Leases   []lease       `json:"leases"`
}

func (c *clock) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := time.Now()
	return c.state.read(c.machine(t), time.Duration(t.UnixNano()))
}

// read makes the node's clocks of the machine's: its monotonic one and its time
// of day, which somebody may have set since the process began.
func (s *clockState) read(machine int64, wall time.Duration) reading {
	r := reading{Now: s.now(machine), TrueWall: wall, Rate: s.rate, Leases: s.Leases}
	r.Drifted = r.Now - time.Duration(machine)
	r.Offset = r.Drifted
	for _, l := range s.Leases {
		switch l.Shape {
		case "jump":
			r.Offset += time.Duration(l.Offset)
		case "strobe":
			if (machine-l.Since)/int64(l.Period)%2 == 1 {
				r.Offset += time.Duration(l.Offset)
			}
		}
	}
	r.Wall = r.TrueWall + r.Offset
	return r
}

// change puts the leases that edit makes of those in force into force instead.
// The monotonic clock goes on from where it is, so the change takes effect before
// it is in the file: while that is written the clock is read.
func (c *clock) change(edit func([]lease) []lease) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	s := c.state.change(c.machine(time.Now()), edit)
	c.state = s
	c.mu.Unlock()
	b, err := json.Marshal(s)
	if err == nil {
		err = writeFile(c.path, append(b, '\n'), c.fsync)
	}
	if err != nil {
		return fmt.Errorf("clock file: %w: the change is in force, but in this life only", err)
	}
	return nil
}

func (s *clockState) change(machine int64, edit func([]lease) []lease) *clockState {
	next := &clockState{Since: machine, Local: int64(s.now(machine)), Leases: edit(slices.Clone(s.Leases))}
	for i := range next.Leases {
		if next.Leases[i].Since == 0 {
			next.Leases[i].Since = machine
		}
	}
	next.setRate()
	return next
}

// duration is a time.Duration that JSON has as "1.5s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}
