package generators

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Describe renders g as the calls that made it, in short, for people: in a
// trace, or when g is at fault.
func Describe(g Generator) string {
	switch g := g.(type) {
	case nil:
		return "nil"
	case fmt.Stringer:
		return g.String()
	}
	return fmt.Sprintf("%T", g)
}

const (
	describedArgsMax  = 8
	describedBytesMax = 400
)

// describe renders a call. Who has many children shows the first few.
func describe(name string, args ...any) string {
	var b strings.Builder
	b.WriteString(name + "(")
	for i, a := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == describedArgsMax || b.Len() > describedBytesMax {
			b.WriteString("…")
			break
		}
		switch a := a.(type) {
		case Generator:
			b.WriteString(Describe(a))
		case json.RawMessage:
			if a == nil {
				a = json.RawMessage("null")
			}
			b.Write(a)
		case nil:
			b.WriteString("nil")
		default:
			fmt.Fprint(&b, a)
		}
	}
	b.WriteString(")")
	return b.String()
}

// described is gs as arguments of describe.
func described(gs []Generator) []any {
	args := make([]any, 0, describedArgsMax+1)
	for _, g := range gs[:min(len(gs), describedArgsMax+1)] {
		args = append(args, g)
	}
	return args
}

// same tells whether a and b are certainly the same generator, so that who
// holds a may stay as it is. Generators that are no pointers might not be
// comparable, and count as different.
func same(a, b Generator) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return pointer(a) && pointer(b) && a == b
}

func pointer(g Generator) bool { return reflect.TypeOf(g).Kind() == reflect.Pointer }
