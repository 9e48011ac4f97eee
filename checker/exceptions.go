package checker

import (
	"context"

	"github.com/torture-harness/torture/histories"
)

// Exceptions groups the operations of unknown outcome by the class of the
// exception that ended them, a field of Jepsen's, or else by their error, and
// counts them. It is always Valid: the table is for people.
func Exceptions() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("unhandled-exceptions")
		type class struct {
			Count   int `json:"count"`
			Example int `json:"example"` // the first op
		}
		classes := map[string]*class{}
		eachCall(h, func(begin, end int, outcome histories.Type) {
			if outcome != histories.Info || end == never {
				return
			}
			name := keyName(string(field(h.Ext(end, "exception"), "class")))
			if name == "" {
				name = h.Error(end)
			}
			if name == "" {
				return
			}
			if classes[name] == nil {
				classes[name] = &class{Example: end}
			}
			classes[name].Count++
		})
		f.stats["classes"] = classes
		return f.result("")
	})
}
