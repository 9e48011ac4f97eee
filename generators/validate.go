package generators

import (
	"errors"
	"fmt"

	"github.com/torture-harness/torture/histories"
)

// Check tells what is wrong with op as an answer to a question asked with ctx,
// if anything: all problems, joined. The run loop checks what it is about to
// take.
func Check(ctx Context, op Op) error {
	var errs []error
	problem := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch op.Type {
	case histories.Invoke:
		if op.F == "" {
			problem("f is empty: name the operation")
		}
	case Sleeping:
		if d, err := histories.Decode[int64](op); err != nil || d < 0 {
			problem("sleep for %s: want nanoseconds, 0 or more", op.Value)
		}
	case Logging:
		if _, err := histories.Decode[string](op); err != nil {
			problem("log %s: want a string", op.Value)
		}
	default:
		problem("type is %s: want invoke, Sleeping or Logging", op.Type)
	}
	switch i, ok := ctx.thread(op.Process); {
	case !ok:
		problem("process %s is not among those that the generator was asked about", op.Process)
	case ctx.processes[i] != op.Process:
		problem("process %s has crashed; its thread runs process %s now", op.Process, ctx.processes[i])
	case !ctx.free.has(i):
		problem("process %s is busy", op.Process)
	}
	if op.Time < 0 {
		problem("time %v is before the run's beginning", op.Time)
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("operation %s of process %s at %v: %w", op.F, op.Process, op.Time, errors.Join(errs...))
}

// Broken is what Validate panics with: a generator that is a bug in the
// program.
type Broken struct {
	Generator string // as Describe has it
	Err       error
}

func (b *Broken) Error() string { return fmt.Sprintf("generator %s: %v", b.Generator, b.Err) }

func (b *Broken) Unwrap() error { return b.Err }

// Validate passes g's operations on if Check has nothing against them, and
// panics with *Broken otherwise. A panic of g itself becomes one too, so that
// it says which generator it was.
func Validate(g Generator) Generator {
	if g == nil {
		return nil
	}
	return &validate{g}
}

type validate struct{ g Generator }

func (v *validate) with(g Generator) Generator {
	if same(g, v.g) {
		return v
	}
	return Validate(g)
}

func (v *validate) Op(ctx Context) (*Op, Generator) {
	defer v.blame("asked", ctx)
	op, rest := v.g.Op(ctx)
	if op != nil {
		if err := Check(ctx, *op); err != nil {
			panic(&Broken{Describe(v.g), err})
		}
	}
	return op, v.with(rest)
}

func (v *validate) Update(ctx Context, ev Op) Generator {
	defer v.blame("told of "+ev.F, ctx)
	return v.with(v.g.Update(ctx, ev))
}

// blame turns a panic of the generator into one that names it.
func (v *validate) blame(doing string, ctx Context) {
	switch cause := recover().(type) {
	case nil:
	case *Broken:
		panic(cause)
	case error:
		panic(&Broken{Describe(v.g), fmt.Errorf("panic when %s at %v: %w", doing, ctx.Time, cause)})
	default:
		panic(&Broken{Describe(v.g), fmt.Errorf("panic when %s at %v: %v", doing, ctx.Time, cause)})
	}
}

func (v *validate) String() string { return describe("Validate", v.g) }
