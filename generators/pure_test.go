package generators

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A generator that answers differently when it is asked again is named: as the
// innermost function that does, or the whole that it is part of.
func TestAskTwice(t *testing.T) {
	ctx := NewContext(1, []string{"n1", "n2"}, 4, nil, nil)
	n := 0
	count := func(Context) any { n++; return n }
	rename := func(op Op) Op { n++; op.F = fmt.Sprint("f", n); return op }
	sound := Mix(Func("draw", func(ctx Context) any { return ctx.Rand().Uint64() }), Map(func(op Op) Op { op.F = "add"; return op }, Count("w", 1)))
	in := func(g Generator) Generator { return Clients(TimeLimit(time.Second, Rate(10, Seq(g, sound)))) }
	for _, test := range []struct {
		g    Generator
		want string // "": it is pure
	}{
		{nil, ""},
		{in(sound), ""},
		{in(Func("w", count)), "generator Func(w): asked twice at 0s, it first answered "},
		{in(Map(rename, Count("w", 1))), "generator Map(Count(w, 1)): asked twice at 0s, it first answered process "},
		{in(&fickle{}), "generator Clients(TimeLimit(1s, "},
		{&fickle{}, "generator *generators.fickle: asked twice at 0s, it first answered process 2 w 1 at n1 (at 0s) and then process 2 w 2 at n1 (at 0s)"},
		{&fickle{n: 3}, "generator *generators.fickle: asked again at 0s, it panicked: once too often"},
	} {
		_, _, err := AskTwice(test.g, ctx)
		if err == nil && test.want == "" {
			continue
		}
		var broken *Broken
		if !errors.As(err, &broken) || test.want == "" || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", Describe(test.g), err, test.want)
		}
	}
}

// fickle counts how often it is asked.
type fickle struct{ n int }

func (f *fickle) Op(ctx Context) (*Op, Generator) {
	if f.n++; f.n == 5 {
		panic("once too often")
	}
	return ctx.Fill(Op{F: "w", Value: integer(int64(f.n))}), f
}

func (f *fickle) Update(Context, Op) Generator { return f }
