package checker

import (
	"context"
	"slices"
	"strconv"

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
			name := exceptionClass(h.Ext(end, "exception"))
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
		f.looked("nothing: this checker counts")
		names := sortedKeys(classes)
		slices.SortStableFunc(names, func(a, b string) int { return classes[b].Count - classes[a].Count })
		f.table = [][]string{{"class", "count", "first op"}}
		for _, name := range names {
			f.table = append(f.table, []string{name, strconv.Itoa(classes[name].Count), strconv.Itoa(classes[name].Example)})
		}
		return f.result("")
	})
}

// exceptionClass is the class of an exception as Jepsen has it: its field
// class, or the type of the first of its causes.
func exceptionClass(exception []byte) (name string) {
	if name = keyName(string(field(exception, "class"))); name == "" {
		elements(field(exception, "via"), func(cause []byte) {
			if name == "" {
				name = keyName(string(field(cause, "type")))
			}
		})
	}
	return name
}
