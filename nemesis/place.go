package nemesis

import (
	"fmt"
	"slices"
	"strings"
)

// A Place is where a simulated node dies, by a fault that says so: between two
// effects of a step, or else, if it does not come to that in time, between two
// steps.
type Place struct {
	// Handler names the step: "start", "request write", "receive append",
	// "timer tick". None: the node dies between two steps.
	Handler string `json:"handler,omitempty"`
	// After and Before name the effects, of Effects, or the step's begin or end.
	After  string `json:"after,omitempty"`
	Before string `json:"before,omitempty"`
	// Nth counts such places, from 1 at the injection.
	Nth int `json:"nth,omitempty"`
	// Within is how long after the injection the node dies at the latest. A node
	// that dies once more, while it starts again, does so or not at all.
	Within Duration `json:"within,omitempty"`
}

// Begin and End of a step stand for the effects before its first and after its
// last.
const (
	Begin = "begin"
	End   = "end"
)

// Effects are the words for what a node does in a step.
var Effects = []string{"send", "answer", "timer", "write", "sync", "record", "role"}

func (p Place) validate() error {
	known := func(word, edge string) bool { return word == edge || slices.Contains(Effects, word) }
	switch {
	case p.Within < 0 || p.Within == 0 && p.Handler == "":
		return fmt.Errorf("a place needs within, how long after the injection the node dies at the latest")
	case p.Handler == "" && (p.After != "" || p.Before != "" || p.Nth != 0):
		return fmt.Errorf("a place with after, before or nth needs the handler of the step")
	case p.Handler == "":
	case !known(p.After, Begin) || !known(p.Before, End):
		return fmt.Errorf("a place is after begin or an effect and before an effect or end, not after %q and before %q: effects are %s", p.After, p.Before, strings.Join(Effects, ", "))
	case p.Nth < 1:
		return fmt.Errorf("a place needs nth, counted from 1, not %d", p.Nth)
	}
	return nil
}
