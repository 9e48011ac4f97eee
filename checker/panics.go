package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// Panics finds the nodes that died of themselves: those that recorded a panic,
// and those that crashed otherwise than by a fault.
//
// It reads panic {"error", "stack"}, the stack innermost first, and crash {"kind"}, whose kind is kill, power or
// stop if a nemesis was at work, panic if the node panicked, external or oom if
// somebody else ended it, which makes the verdict unknown, and anything else if
// nobody knows why.
func Panics() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("panics")
		f.looked("panics, and crashes that no fault asked for")
		told := map[histories.Process]bool{} // of a node, that this life's panic was reported
		crashes, foreign := 0, ""
		for i := range h.Len() {
			if h.Process(i).Client() {
				continue
			}
			switch op := h.At(i); op.F {
			case "panic":
				told[op.Process] = true
				f.addf("node-panic", []int{i}, "op %d: %s panicked: %s", i, op.Process, lastWords(op))
			case "restart":
				delete(told, op.Process)
			case "crash":
				crashes++
				kind := ""
				if raw := field(op.Value, "kind"); raw != nil {
					kind = strings.Trim(string(raw), `"`)
				}
				switch kind {
				case "", "kill", "power", "stop":
				case "panic":
					if !told[op.Process] {
						f.addf("node-panic", []int{i}, "op %d: %s panicked", i, op.Process)
					}
				case "external", "oom":
					if foreign == "" {
						foreign = fmt.Sprintf("op %d: %s was ended by neither torture nor itself: %s", i, op.Process, kind)
					}
				default:
					f.addf("unplanned-crash", []int{i}, "op %d: %s ended, and no fault asked it to: %s", i, op.Process, kind)
				}
			}
		}
		f.stats["crashes"] = crashes
		return f.result(foreign)
	})
}

// lastWords is what a panic was about, and where it was: the innermost frames.
func lastWords(panic histories.Op) string {
	var v struct {
		Error string          `json:"error"`
		Stack json.RawMessage `json:"stack"`
	}
	if json.Unmarshal(panic.Value, &v) != nil {
		return firstLine(string(panic.Value))
	}
	words := firstLine(v.Error)
	var stack []string
	if json.Unmarshal(v.Stack, &stack) == nil && len(stack) > 0 {
		words += ", in " + strings.Join(stack[:min(len(stack), 3)], " < ")
	}
	return words
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line[:min(len(line), 200)]
}
