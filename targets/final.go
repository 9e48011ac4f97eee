package targets

import (
	"time"

	gen "github.com/torture-harness/torture/generators"
)

// AtEach runs op at each of nodes until it has succeeded there, one operation
// at a time, in an order left to chance: a node that does not answer does not
// keep the others waiting. It is for final operations; who runs it limits its
// time.
func AtEach(nodes []string, op gen.Op) gen.Generator {
	var each []gen.Generator
	for _, n := range nodes {
		op.Node = n
		each = append(each, gen.UntilOK(gen.Delay(100*time.Millisecond, gen.Repeat(gen.Of(op)))))
	}
	return gen.ConcurrencyLimit(1, gen.Mix(each...))
}
