package targets

import (
	"encoding/json"
	"fmt"

	gen "github.com/torture-harness/torture/generators"
)

// Repeating has the writes and compare-and-sets of g, whose values are numbers,
// use the numbers below n alone, over and over. Who tells an operation from
// another by its value, or a register that changed and changed back from one
// that did not, is found out by that and by nothing else.
func Repeating(n int, g gen.Generator) gen.Generator {
	return gen.Map(func(op gen.Op) gen.Op {
		var one int
		var pair [2]int
		switch {
		case op.F == "write" && json.Unmarshal(op.Value, &one) == nil:
			op.Value = json.RawMessage(fmt.Sprint(one % n))
		case op.F == "cas" && json.Unmarshal(op.Value, &pair) == nil:
			op.Value = json.RawMessage(fmt.Sprintf("[%d,%d]", pair[0]%n, pair[1]%n))
		}
		return op
	}, g)
}
