package histories

import "time"

// StallRecord is the name of the record by which a world of real time tells that
// the harness itself stood still, and has just come to itself. Its value is a
// Stall.
const StallRecord = "stall"

// Stall is for how long, in ns.
type Stall struct {
	For time.Duration `json:"for"`
}

// Stalls tells for how long of a history the harness stood still, in all, and how
// often. It was not the nodes that clients waited for meanwhile.
func Stalls(h History) (total time.Duration, times int) {
	for i := range h.Len() {
		if h.Process(i) != World || h.F(i) != StallRecord {
			continue
		}
		if s, err := Decode[Stall](h.At(i)); err == nil && s.For > 0 {
			total += s.For
			times++
		}
	}
	return total, times
}
