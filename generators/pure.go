package generators

import (
	"fmt"
	"reflect"
)

// AskTwice is Ask for a g that may break its word, to give the same answer to the
// same question. It asks again, in doubt: then functions that g was given are
// called twice too, so that the error, a *Broken, names the innermost of those
// that are known by Describe.
func AskTwice(g Generator, ctx Context) (op *Op, rest Generator, err error) {
	op, rest = Ask(g, ctx)
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Broken:
			err = p
		default:
			err = &Broken{Describe(g), fmt.Errorf("asked again at %v, it panicked: %v", ctx.Time, p)}
		}
	}()
	ctx.doubt = true
	if again, _ := Ask(g, ctx); !reflect.DeepEqual(op, again) {
		err = &Broken{Describe(g), impure(ctx, answer(op), answer(again))}
	}
	return op, rest, err
}

func impure(ctx Context, first, second string) error {
	return fmt.Errorf("asked twice at %v, it first answered %s and then %s: an answer must follow from the context alone, not from a variable, a clock, randomness of its own or the order of a map", ctx.Time, first, second)
}

// answer is what a generator said, in short.
func answer(op *Op) string {
	if op == nil {
		return "nothing"
	}
	s := fmt.Sprintf("process %s %s %.100s", op.Process, op.F, value(*op))
	if op.Key != nil {
		s += fmt.Sprintf(" key %.100s", op.Key)
	}
	if op.Node != "" {
		s += " at " + op.Node
	}
	return fmt.Sprintf("%s (at %v)", s, op.Time)
}
