package main

import (
	"fmt"

	"github.com/torture-harness/torture/sim"
)

// gapTally are the classes of gaps that nodes came by in a hunt, by kill or power
// the place of a crash or not: before and after which effects of which handlers.
type gapTally struct {
	Occurred int       `json:"occurred"` // classes
	Crashed  int       `json:"crashed"`  // of these, with a crash in them
	Sharp    int       `json:"sharp"`    // beside a write, a sync or a message
	SharpHit int       `json:"sharp-crashed"`
	Classes  []sim.Gap `json:"classes"`
}

// add adds the classes of a seed.
func (g *gapTally) add(seed []sim.Gap) {
	g.Classes = sim.AddGaps(g.Classes, seed)
	g.Occurred, g.Crashed, g.Sharp, g.SharpHit = len(g.Classes), 0, 0, 0
	for _, c := range g.Classes {
		if c.Crashed > 0 {
			g.Crashed++
		}
		if c.Sharp {
			g.Sharp++
			if c.Crashed > 0 {
				g.SharpHit++
			}
		}
	}
}

func (g *gapTally) String() string {
	return fmt.Sprintf("crashes came in %d of the %d classes of gaps between effects that occurred; beside a write, a sync or a message in %d of %d",
		g.Crashed, g.Occurred, g.SharpHit, g.Sharp)
}
