package checker

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// Contract finds nodes that broke their contract with the world, of which
// worlds keep records:
//
//	answered-twice   {"request","type",…}  an answer to a request that has one
//	answered-unasked {"request","type",…}  an answer to no request
//	answered-amiss   {"op","why"}          an answer to another operation
//	livelock         {"handler","times"}   a handler that is called for ever or,
//	                                       without times, that does not return
func Contract() Checker {
	return Func(func(_ context.Context, h histories.History) Result {
		f := find("contract")
		f.looked("that nodes answer a request once, and what it asked for")
		for i := range h.Len() {
			if h.Process(i).Client() || h.Process(i).Nemesis() {
				continue
			}
			switch h.F(i) {
			case "answered-twice", "answered-unasked":
				op := h.At(i)
				again, which := "a request again that had its answer", "request "+string(field(op.Value, "request"))
				if op.F == "answered-unasked" {
					again = "a request that it was never given"
				}
				f.addf(op.F, []int{i}, "op %d: %s answered %s (%s, now with %s)", i, op.Process, again, which, secondAnswer(op.Value))
			case "answered-amiss":
				op := h.At(i)
				var told struct {
					Op  *int
					Why string
				}
				if err := json.Unmarshal(op.Value, &told); err != nil {
					told.Why = string(op.Value)
				}
				ops, asked := []int{i}, "an operation"
				if n := told.Op; n != nil && *n >= 0 && *n < i {
					ops, asked = []int{*n, i}, fmt.Sprintf("op %d", *n)
				}
				f.addf("answered-amiss", ops, "op %d: %s answered %s with %s", i, blamed(op), asked, told.Why)
			case "livelock":
				op := h.At(i)
				f.addf("livelock", []int{i}, "op %d: %s is caught in a livelock: %s", i, blamed(op), livelock(op.Value))
			}
		}
		return f.result("")
	})
}

// blamed is the node that a record of it, or of the world about it, tells of.
func blamed(op histories.Op) string {
	if op.Process == histories.World && op.Node != "" {
		return op.Node
	}
	return op.Process.String()
}

func secondAnswer(value json.RawMessage) string {
	kind := keyName(string(field(value, "type")))
	for _, name := range []string{"value", "error"} {
		if v := field(value, name); v != nil {
			return fmt.Sprintf("%s %.80s", kind, v)
		}
	}
	return kind
}

func livelock(value json.RawMessage) string {
	handler := keyName(string(field(value, "handler")))
	if times, ok := integer(field(value, "times")); ok {
		return fmt.Sprintf("%s was called %d times within a second", handler, times)
	}
	return handler + " does not return"
}
