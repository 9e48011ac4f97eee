package generators

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"time"

	"github.com/torture-harness/torture/histories"
)

// names are what an expression of a transcript may speak of, beside literals.
// They are Go expressions, as in Clients(Limit(3, Once("read", nil))).
func (s *simulation) names() map[string]any {
	return map[string]any{
		"Of": Of, "Once": Once, "Func": Func, "Count": Count, "Sleep": Sleep, "Log": Log,
		"Seq": Seq, "Synchronize": Synchronize, "Phases": Phases, "Then": Then,
		"Mix": Mix, "MixWeighted": MixWeighted, "Any": Any, "ShortestAny": ShortestAny, "FlipFlop": FlipFlop,
		"Limit": Limit, "ProcessLimit": ProcessLimit, "ConcurrencyLimit": ConcurrencyLimit,
		"Repeat": Repeat, "RepeatN": RepeatN, "Cycle": Cycle, "CycleN": CycleN,
		"TimeLimit": TimeLimit, "CycleTimes": CycleTimes,
		"Stagger": Stagger, "Delay": Delay, "Rate": Rate, "RateFixed": RateFixed, "Load": Load,
		"OnThreads": OnThreads, "Clients": Clients, "Nemesis": Nemesis, "Reserve": Reserve,
		"EachThread": EachThread, "EachProcess": EachProcess,
		"UntilOK": UntilOK, "Until": Until, "OnUpdate": OnUpdate, "IgnoreUpdates": IgnoreUpdates,
		"Map": Map, "FMap": FMap, "Filter": Filter, "Final": Final,
		"Validate": Validate, "Trace": Trace, "Cache": Cache,
		"SequentialKeys": SequentialKeys, "ConcurrentKeys": ConcurrentKeys, "KeysNamed": KeysNamed, "KeysOf": KeysOf,
		"Uniform": Uniform, "Zipfian": Zipfian, "Exponential": Exponential, "Sequential": Sequential,
		"Register": Register, "CAS": CAS, "Sets": Sets, "Appends": Appends, "Broadcasts": Broadcasts,
		"Replay": Replay,

		// phases are 500 ns of ten a microsecond, as many of two, and of ten again
		// that are reads.
		"phases": []histories.Phase{{For: 500, Rate: 1e7}, {For: 500, Rate: 2e6}, {For: 500, Rate: 1e7, Reads: true}},

		"nil": nil, "ns": time.Nanosecond, "ms": time.Millisecond, "s": time.Second,
		"log": s.hint,
		"doubled": func(op Op) Op {
			n, _ := strconv.Atoi(string(op.Value))
			op.Value = integer(int64(2 * n))
			return op
		},
		"even":    func(op Op) bool { n, _ := strconv.Atoi(string(op.Value)); return n%2 == 0 },
		"failed":  func(op Op) bool { return op.Type == histories.Fail },
		"odd":     func(t Thread) bool { return t.Index%2 == 1 },
		"dice":    func(ctx Context) any { return 1 + ctx.Rand().IntN(6) },
		"clock":   func(ctx Context) any { return int64(ctx.Time) },
		"swapped": map[string]string{"a": "b", "b": "a"},
		// tryOf goes on until it succeeds.
		"tryOf": func(any) Generator { return UntilOK(Count("try", 1)) },
		"twoOf": func(any) Generator { return Limit(2, Count("w", 1)) },
		// Of noneOf it shows only when it is asked that there is nothing to do.
		"noneOf": func(any) Generator { return Filter(func(Op) bool { return false }, Once("never", nil)) },
		"oneUnlessB": func(key any) Generator {
			return Filter(func(Op) bool { return key != "b" }, Once("w", nil))
		},
		// angry does something else after a failure.
		"angry": func(g Generator, ctx Context, ev Op) Generator {
			if ev.Type.String() == "fail" {
				return Count("angry", 1)
			}
			return Tell(g, ctx, ev)
		},
		// cautious ends with the first event that is a failure.
		"cautious": func(g Generator, ctx Context, ev Op) Generator {
			if ev.Type.String() == "fail" {
				return nil
			}
			return Tell(g, ctx, ev)
		},
		// recorded was made with two clients; client 0 crashed at 30, and a read
		// of 2, which followed it, is longer ago than the write of 1.
		"recorded": []Op{
			{Time: 5, Process: 0, Type: histories.Invoke, F: "write", Value: integer(1), Key: keyName(3), Node: "n9"},
			{Time: 5, Process: 1, Type: histories.Invoke, F: "read"},
			{Time: 8, Process: 1, Type: histories.OK, F: "read"},
			{Time: 9, Process: histories.Named("n1"), Type: histories.Info, F: "role"},
			{Time: 10, Process: histories.Named("nemesis/kill"), Type: histories.Invoke, F: "inject", Value: histories.Encode("x")},
			{Time: 30, Process: 0, Type: histories.Info, F: "write"},
			{Time: 33, Process: 2, Type: histories.Invoke, F: "write", Value: integer(2)},
			{Time: 34, Process: 2, Type: histories.OK, F: "write"},
			{Time: 35, Process: 2, Type: histories.Invoke, F: "read", Final: true},
			{Time: 36, Process: 1, Type: histories.Invoke, F: "write", Value: integer(3)},
		},
		"at100": Op{F: "late", Time: 100, Value: integer(7)},
	}
}

// parse makes the generator that text says.
func (s *simulation) parse(text string) (Generator, error) {
	expr, err := parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	v, err := s.eval(expr, reflect.TypeFor[Generator]())
	if err != nil {
		return nil, err
	}
	g, _ := v.Interface().(Generator)
	return g, nil
}

// eval evaluates e as a value of type want.
func (s *simulation) eval(e ast.Expr, want reflect.Type) (reflect.Value, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return literal(e, want)
	case *ast.Ident:
		v, ok := s.names()[e.Name]
		if !ok {
			return reflect.Value{}, fmt.Errorf("%s: no such name", e.Name)
		}
		return as(reflect.ValueOf(v), want)
	case *ast.BinaryExpr: // 3*ms
		n, err := s.eval(e.X, want)
		if err != nil || e.Op != token.MUL {
			return n, err
		}
		unit, err := s.eval(e.Y, want)
		if err != nil {
			return n, err
		}
		return reflect.ValueOf(n.Int() * unit.Int()).Convert(want), nil
	case *ast.CompositeLit:
		pair := reflect.New(want).Elem()
		for i, el := range e.Elts {
			v, err := s.eval(el, pair.Field(i).Type())
			if err != nil {
				return v, err
			}
			pair.Field(i).Set(v)
		}
		return pair, nil
	case *ast.CallExpr:
		return s.call(e, want)
	}
	return reflect.Value{}, fmt.Errorf("%T: not of this language", e)
}

func (s *simulation) call(e *ast.CallExpr, want reflect.Type) (reflect.Value, error) {
	name := fmt.Sprint(e.Fun)
	f := reflect.ValueOf(s.names()[name])
	if !f.IsValid() || f.Kind() != reflect.Func {
		return f, fmt.Errorf("%s: no such function", name)
	}
	var args []reflect.Value
	for i, a := range e.Args {
		in := f.Type().In(min(i, f.Type().NumIn()-1))
		if f.Type().IsVariadic() && i >= f.Type().NumIn()-1 {
			in = in.Elem()
		}
		v, err := s.eval(a, in)
		if err != nil {
			return v, fmt.Errorf("%s, argument %d: %w", name, i+1, err)
		}
		args = append(args, v)
	}
	return as(f.Call(args)[0], want)
}

func literal(e *ast.BasicLit, want reflect.Type) (reflect.Value, error) {
	var v any
	var err error
	switch e.Kind {
	case token.STRING:
		v, err = strconv.Unquote(e.Value)
	case token.INT:
		v, err = strconv.Atoi(e.Value)
	case token.FLOAT:
		v, err = strconv.ParseFloat(e.Value, 64)
	}
	if err != nil {
		return reflect.Value{}, err
	}
	return as(reflect.ValueOf(v), want)
}

func as(v reflect.Value, want reflect.Type) (reflect.Value, error) {
	switch {
	case !v.IsValid():
		return reflect.Zero(want), nil
	case v.Type().AssignableTo(want):
		return v, nil
	case v.CanConvert(want) && want.Kind() != reflect.String && want.Kind() != reflect.Interface:
		return v.Convert(want), nil
	}
	return v, fmt.Errorf("%v: want %s", v, want)
}
