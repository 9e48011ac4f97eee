package generators

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/torture-harness/torture/histories"
)

// Of runs op once. Process, time, node and type are filled in where op has
// none; an op with a time waits for it, an op of a named process for that
// process.
func Of(op Op) Generator { return &once{op} }

// Once runs f(value) once.
func Once(f string, value any) Generator {
	op := Op{F: f}
	if value != nil {
		op.Value = histories.Encode(value)
	}
	return &once{op}
}

// Sleep has one process do nothing for d.
func Sleep(d time.Duration) Generator {
	return &once{Op{F: "sleep", Type: Sleeping, Value: integer(int64(d))}}
}

// Log hands message to the run's log, once.
func Log(message string) Generator {
	return &once{Op{F: "log", Type: Logging, Value: histories.Encode(message)}}
}

type once struct{ op Op }

func (o *once) Op(ctx Context) (*Op, Generator) {
	if op := ctx.Fill(o.op); op != nil {
		return op, nil
	}
	return nil, o
}

func (o *once) Update(Context, Op) Generator { return o }

func (o *once) String() string {
	switch o.op.Type {
	case Sleeping:
		return describe("Sleep", o.op.Value)
	case Logging:
		return describe("Log", o.op.Value)
	}
	return describe("Once", o.op.F, o.op.Value)
}

// Func runs f(value(ctx)) for ever. value must depend on ctx alone; ctx.Rand()
// differs from one operation to the next.
func Func(f string, value func(Context) any) Generator { return &fn{f, value, 0} }

type fn struct {
	f     string
	value func(Context) any
	n     uint64 // operations so far
}

func (g *fn) Op(ctx Context) (*Op, Generator) {
	ctx = ctx.At(g.n)
	op := ctx.Fill(Op{F: g.f})
	if op == nil {
		return nil, g
	}
	op.Value = g.encoded(ctx)
	if ctx.doubt {
		if again := g.encoded(ctx); !bytes.Equal(op.Value, again) {
			panic(&Broken{Describe(g), impure(ctx, fmt.Sprintf("%.100s", op.Value), fmt.Sprintf("%.100s", again))})
		}
	}
	return op, &fn{g.f, g.value, g.n + 1}
}

func (g *fn) encoded(ctx Context) json.RawMessage {
	if v := g.value(ctx); v != nil {
		return histories.Encode(v)
	}
	return nil
}

func (g *fn) Update(Context, Op) Generator { return g }

func (g *fn) String() string { return describe("Func", g.f) }

// Count runs f(first), f(first+1), … for ever.
func Count(f string, first int) Generator { return &count{f, first} }

type count struct {
	f string
	n int
}

func (g *count) Op(ctx Context) (*Op, Generator) {
	op := ctx.At(uint64(g.n)).Fill(Op{F: g.f})
	if op == nil {
		return nil, g
	}
	op.Value = integer(int64(g.n))
	return op, &count{g.f, g.n + 1}
}

func (g *count) Update(Context, Op) Generator { return g }

func (g *count) String() string { return describe("Count", g.f, g.n) }

// integer is histories.Encode for what is hot.
func integer(n int64) json.RawMessage {
	var digits [20]byte
	return slices.Clone(strconv.AppendInt(digits[:0], n, 10))
}

// operation tells whether op is an operation: something of the history, not a
// matter between generator and loop.
func operation(op *Op) bool { return op.Type == histories.Invoke }
