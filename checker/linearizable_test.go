package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/torture-harness/torture/histories"
)

// linearizable is the definition: it tries every order.
func linearizable[S comparable, C any](m Model[S, C], part []span[C], state S, placed []bool) bool {
	done := true
	for i, s := range part {
		done = done && (placed[i] || s.open())
	}
	if done {
		return true
	}
next:
	for i, s := range part {
		if placed[i] {
			continue
		}
		for j, o := range part {
			if !placed[j] && o.end < s.begin {
				continue next
			}
		}
		if state, ok := m.Step(state, s.call); ok {
			placed[i] = true
			if linearizable(m, part, state, placed) {
				return true
			}
			placed[i] = false
		}
	}
	return false
}

// randomRegister is a history of a register, right or with one answer changed.
// Values are unique, or few.
func randomRegister(r *rand.Rand, n int, unique bool, init string) []histories.Op {
	state, last := init, 0
	value := func() string {
		if unique {
			last++
			return fmt.Sprint(last)
		}
		return fmt.Sprint(r.IntN(3))
	}
	guess := func() string { // a value that is perhaps there
		if r.IntN(3) > 0 {
			return state
		}
		return fmt.Sprint(r.IntN(last + 3))
	}
	invoke := func() (string, json.RawMessage) {
		switch r.IntN(3) {
		case 0:
			return "read", nil
		case 1:
			return "write", json.RawMessage(value())
		}
		return "cas", raw("[%s,%s]", guess(), value())
	}
	ops := clients(r, n, invoke, func(f string, v json.RawMessage) (json.RawMessage, bool) {
		switch f {
		case "read":
			return json.RawMessage(state), true
		case "write":
			state = string(v)
			return v, true
		}
		var pair []json.RawMessage
		if err := json.Unmarshal(v, &pair); err != nil {
			panic(err)
		}
		if string(pair[0]) != state {
			return nil, false
		}
		state = string(pair[1])
		return v, true
	})
	for i, op := range ops {
		if op.Type == histories.OK && op.F == "read" && r.IntN(6) == 0 {
			ops[i].Value = json.RawMessage(guess())
		}
		if op.Type == histories.Fail && r.IntN(12) == 0 { // a cas that claims to have matched
			ops[i].Type, ops[i].Error = histories.OK, ""
		}
	}
	return ops
}

func TestLinearizableAgreesWithDefinition(t *testing.T) {
	invalid, shaped, searched := 0, 0, 0
	random(t, 3000, func(t *testing.T, r *rand.Rand) {
		init := []string{"null", "1"}[r.IntN(2)]
		ops := randomRegister(r, 1+r.IntN(7), r.IntN(2) == 0, init)
		if r.IntN(4) == 0 { // failures that say nothing
			for i := range ops {
				ops[i].Error = ""
			}
		}
		h := historyOf(t, ops)
		m := Register(RegisterOptions{Init: raw("%s", init), Mismatch: []Mismatch{"", "mismatch"}[r.IntN(2)]})
		_, parts, err := m.split(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			want := linearizable(m, part, m.Init, make([]bool, len(part)))
			if !want {
				invalid++
			}
			if w, fits := m.shape(part); fits {
				shaped++
				if (w == nil) != want {
					t.Errorf("chains: %+v, by definition %v%s", w, want, show(h))
				}
			}
			searched++
			if out := newSearch(m, part, 1<<20).run(t.Context()); !out.decided || (out.stuck < 0) != want {
				t.Errorf("search: %+v, by definition %v%s", out, want, show(h))
			}
			if out := newSearch(m, m.useful(part), 1<<20).run(t.Context()); !out.decided || (out.stuck < 0) != want {
				t.Errorf("search without useless calls: %+v, by definition %v%s", out, want, show(h))
			}
			if got, decided := depthFirst(t.Context(), m, part, 1<<20); !decided || got != want {
				t.Errorf("porcupine: %v, by definition %v%s", got, want, show(h))
			}
			checkWitness(t, m, judge(t.Context(), m, part, 1<<20), h)
		}
	})
	if invalid < searched/20 || shaped < searched/10 {
		t.Errorf("%d histories, %d invalid, %d of the shape of chains: too few to mean anything", searched, invalid, shaped)
	}
}

// checkWitness: the calls of a witness cannot be put in order whatever the
// others, as far as they had begun, did: those may take effect at any time, or
// never.
func checkWitness[S comparable, C any](t *testing.T, m Model[S, C], j judgement[C], h histories.History) {
	t.Helper()
	if j.found == nil {
		return
	}
	a, last := Anomaly{Kind: "nonlinearizable", Why: j.found.why}, 0
	for _, i := range j.found.spans {
		a.Ops = append(a.Ops, j.part[i].op())
		last = max(last, j.part[i].op())
	}
	checkAnomaly(t, Result{}, a, h)
	var trial []span[C]
	for i, s := range j.part {
		switch {
		case s.begin > last: // it came too late to matter
			continue
		case slices.Contains(j.found.spans, i):
		case m.Reads(s.call):
			continue
		default:
			s.begin, s.end = -1, never
		}
		trial = append(trial, s)
	}
	if linearizable(m, trial, m.Init, make([]bool, len(trial))) {
		t.Errorf("the witness %v (%s) can be put in order%s", j.found.spans, j.found.why, show(h))
	}
}

func TestObjectsAgreeWithDefinition(t *testing.T) {
	verdicts := map[bool]int{}
	random(t, 1500, func(t *testing.T, r *rand.Rand) {
		var held []string
		stack := r.IntN(2) == 0
		m, put, take := Queue(), "enqueue", "dequeue"
		if stack {
			m, put, take = Stack(), "push", "pop"
		}
		n := 0
		ops := clients(r, 1+r.IntN(6), func() (string, json.RawMessage) {
			if r.IntN(2) == 0 {
				n++
				return put, raw("%d", n)
			}
			return take, nil
		}, func(f string, v json.RawMessage) (json.RawMessage, bool) {
			switch {
			case f == put:
				held = append(held, string(v))
				return v, true
			case len(held) == 0:
				return nil, true
			case stack:
				v = json.RawMessage(held[len(held)-1])
				held = held[:len(held)-1]
			default:
				v = json.RawMessage(held[0])
				held = held[1:]
			}
			return v, true
		})
		for i := range ops {
			if ops[i].Type == histories.OK && ops[i].F == take && r.IntN(5) == 0 {
				ops[i].Value = raw("%d", 1+r.IntN(n+1))
			}
		}
		h := historyOf(t, ops)
		_, parts, err := m.split(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			want := linearizable(m, part, m.Init, make([]bool, len(part)))
			verdicts[want]++
			j := judge(t.Context(), m, part, 1<<20)
			if !j.decided || (j.found == nil) != want {
				t.Errorf("%+v, by definition %v%s", j.found, want, show(h))
			}
		}
	})
	if verdicts[true] < 100 || verdicts[false] < 100 {
		t.Errorf("%v histories: too few of a kind", verdicts)
	}
}

// Calls of unknown outcome that are the same but for who made them are counted,
// not told apart: otherwise there would be 2^40 sets of them.
func TestCallsOfUnknownOutcomeAreCounted(t *testing.T) {
	for _, test := range []struct {
		calls           histories.Process
		model, f, value string
		then            string // what a process reads in the end, one after another
		take            string
		want            Verdict
	}{
		{40, "counter", "add", "1", "20 21 40", "read", Valid},
		{40, "counter", "add", "1", "20 19", "read", Invalid},
		{40, "counter", "add", "1", "41", "read", Invalid},
		{300, "counter", "add", "1", "20 290 300", "read", Valid},
		{300, "counter", "add", "1", "20 290 301", "read", Invalid},
		{40, "queue", "enqueue", "7", "7 7 7 null 7", "dequeue", Valid},
		{40, "queue", "enqueue", "7", "7 8", "dequeue", Invalid},
	} {
		b := histories.Builder{Compact: true}
		add := func(op histories.Op) {
			if err := b.Add(op); err != nil {
				t.Fatal(err)
			}
		}
		for p := range test.calls {
			add(histories.Op{Process: p, Type: histories.Info, F: test.f, Value: raw("%s", test.value)})
		}
		for v := range strings.FieldsSeq(test.then) {
			add(histories.Op{Process: 99, Type: histories.OK, F: test.take, Value: raw("%s", v)})
		}
		c, err := ByName("linearizable", options{"model": raw("%q", test.model)})
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Check(t.Context(), b.History()); r.Verdict != test.want {
			t.Errorf("%s, %s: %v %s, want %v", test.model, test.then, r.Verdict, r.Why, test.want)
		}
	}
}

// Porcupine and the search agree on histories that are too long to try every
// order.
func TestSearchAgreesWithPorcupine(t *testing.T) {
	verdicts := map[bool]int{}
	random(t, 60, func(t *testing.T, r *rand.Rand) {
		ops := randomRegister(r, 60, false, "null")
		for i := range ops { // few wrong answers
			if ops[i].F == "cas" && ops[i].Type == histories.OK && r.IntN(2) == 0 {
				ops[i].Type = histories.Info
			}
		}
		var renamed []histories.Op // a process that ended info is not used again
		alias := map[histories.Process]histories.Process{}
		next := histories.Process(100)
		for _, op := range ops {
			p, ok := alias[op.Process]
			if !ok {
				p = next
				next++
				alias[op.Process] = p
			}
			was := op.Process
			op.Process = p
			if op.Type == histories.Info {
				delete(alias, was)
			}
			renamed = append(renamed, op)
		}
		h := historyOf(t, renamed)
		m := Register(RegisterOptions{})
		_, parts, err := m.split(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			out := newSearch(m, m.useful(part), 1<<20).run(t.Context())
			want, decided := depthFirst(t.Context(), m, part, 1<<22)
			if !decided || !out.decided {
				continue
			}
			verdicts[want]++
			if (out.stuck < 0) != want {
				t.Errorf("search: %+v, porcupine %v%s", out, want, show(h))
			}
		}
	})
	t.Logf("%v", verdicts)
	if verdicts[true]+verdicts[false] < 30 {
		t.Errorf("%v decided: too few", verdicts)
	}
}

// A call that took no time begins and ends at one index, and in this order.
func TestSearchOfCallsThatTookNoTime(t *testing.T) {
	verdicts := map[bool]int{}
	random(t, 400, func(t *testing.T, r *rand.Rand) {
		ops := randomRegister(r, 40, false, "null")
		b := histories.Builder{Compact: true}
		for i, op := range ops {
			if i+1 < len(ops) && op.Type == histories.Invoke && op.Process == ops[i+1].Process && op.F != "cas" {
				continue // leaves the completion
			}
			if err := b.Add(op); err != nil {
				t.Fatal(err)
			}
		}
		h := b.History()
		m := Register(RegisterOptions{})
		_, parts, err := m.split(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			out := newSearch(m, m.useful(part), 1<<20).run(t.Context())
			want, decided := depthFirst(t.Context(), m, part, 1<<22)
			if !decided || !out.decided {
				continue
			}
			verdicts[want]++
			if (out.stuck < 0) != want {
				t.Errorf("search: %+v, porcupine %v%s", out, want, show(h))
			}
		}
	})
	if verdicts[true] < 20 || verdicts[false] < 20 {
		t.Errorf("%v histories: too few of a kind", verdicts)
	}
}

// A search is decided with as many configurations as it visits, and not with
// one less.
func TestBudgetIsExact(t *testing.T) {
	m := Register(RegisterOptions{})
	h := historyOf(t, manyWrites(12))
	_, parts, err := m.split(h)
	if err != nil {
		t.Fatal(err)
	}
	full := newSearch(m, parts[0], 1<<30)
	if out := full.run(t.Context()); !out.decided {
		t.Fatal("not decided")
	}
	if full.visited < 100 {
		t.Fatalf("only %d configurations: the history is too easy", full.visited)
	}
	for _, budget := range []int{full.visited, full.visited - 1} {
		s := newSearch(m, parts[0], budget)
		if out := s.run(t.Context()); out.decided != (budget == full.visited) {
			t.Errorf("budget %d of %d: decided %v", budget, full.visited, out.decided)
		}
	}
	r := Linearizable(m, LinearizableOptions{Budget: 1}).Check(t.Context(), h)
	if r.Verdict != Unknown || !strings.Contains(r.Why, "not decided") {
		t.Errorf("a budget of 1: %v %s", r.Verdict, r.Why)
	}
}

// manyWrites is n writes at once, of two values only, then reads that see them
// change n times.
func manyWrites(n int) (ops []histories.Op) {
	for i := range n {
		ops = append(ops, histories.Op{Process: histories.Process(i), Type: histories.Invoke, F: "write", Value: raw("%d", i%3)})
	}
	for i := range n {
		p := histories.Process(n)
		ops = append(ops, histories.Op{Process: p, Type: histories.Invoke, F: "read"}, histories.Op{Process: p, Type: histories.OK, F: "read", Value: raw("%d", i*2%3)})
	}
	for i := range n {
		ops = append(ops, histories.Op{Process: histories.Process(i), Type: histories.OK, F: "write", Value: raw("%d", i%3)})
	}
	return ops
}

func TestPorcupineGivesUp(t *testing.T) {
	m := Register(RegisterOptions{})
	_, parts, err := m.split(historyOf(t, manyWrites(12)))
	if err != nil {
		t.Fatal(err)
	}
	if _, decided := depthFirst(t.Context(), m, parts[0], 3); decided {
		t.Error("decided within 3 steps")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, decided := depthFirst(ctx, m, parts[0], 1<<30); decided && !ok {
		t.Error("a context that has ended made it decide that the history is not linearizable")
	}
}

// Where the search gives up, porcupine may come to a verdict: it goes depth
// first.
func TestPorcupineDecides(t *testing.T) {
	var ops []histories.Op
	for _, typ := range []histories.Type{histories.Invoke, histories.OK} {
		for p := range histories.Process(14) {
			ops = append(ops, histories.Op{Process: p, Type: typ, F: "write", Value: raw("%d", p/2)})
		}
	}
	h := historyOf(t, ops)
	m := Register(RegisterOptions{})
	_, parts, err := m.split(h)
	if err != nil {
		t.Fatal(err)
	}
	if out := newSearch(m, parts[0], 500).run(t.Context()); out.decided {
		t.Fatal("the history is too easy")
	}
	if r := Linearizable(m, LinearizableOptions{Budget: 500}).Check(t.Context(), h); r.Verdict != Valid {
		t.Errorf("%v %s", r.Verdict, r.Why)
	}
}

// Of many undecided objects the first are named, and the others counted.
func TestManyUndecidedObjects(t *testing.T) {
	for _, n := range []int{CasesMax, CasesMax + 3} {
		var ops []histories.Op
		for k := range n {
			for _, op := range manyWrites(6) {
				op.Process += histories.Process(10 * k)
				op.Key = raw(`"k%d"`, k)
				ops = append(ops, op)
			}
		}
		r := Linearizable(Register(RegisterOptions{}), LinearizableOptions{Budget: 1}).Check(t.Context(), historyOf(t, ops))
		if r.Verdict != Unknown || strings.Contains(r.Why, "and 3 more") != (n > CasesMax) || strings.Contains(r.Why, "and 0 more") || strings.Count(r.Why, "not decided") != CasesMax {
			t.Errorf("%d objects: %v %s", n, r.Verdict, r.Why)
		}
	}
}

func TestDrawing(t *testing.T) {
	h := historyOf(t, []histories.Op{
		{Process: 0, Type: histories.Invoke, F: "write", Value: raw("1"), Key: raw(`"a/b"`)},
		{Process: 0, Type: histories.OK, F: "write", Value: raw("1"), Key: raw(`"a/b"`)},
		{Process: 0, Type: histories.Invoke, F: "read", Key: raw(`"a/b"`)},
		{Process: 0, Type: histories.OK, F: "read", Key: raw(`"a/b"`)},
	})
	r := Linearizable(Register(RegisterOptions{}), LinearizableOptions{}).Check(t.Context(), h)
	if len(r.Anomalies) != 1 || r.Anomalies[0].Key != "a/b" || r.Anomalies[0].File != "linearizability-a_b.html" {
		t.Fatalf("%+v", r.Anomalies)
	}
	page := string(r.Files["linearizability-a_b.html"])
	for _, want := range []string{"<html", "write 1", "read → null"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// The objects 1 and "1" have one name, and each its own drawing.
func TestDrawingOfTheObjectThatIsWrong(t *testing.T) {
	var ops []histories.Op
	for _, key := range []string{"1", `"1"`} {
		read := histories.Op{Process: 0, Type: histories.Invoke, F: "read", Key: raw("%s", key)}
		ops = append(ops, read)
		if read.Type = histories.OK; key != "1" {
			read.Value = raw("77")
		}
		ops = append(ops, read)
	}
	r := Linearizable(Register(RegisterOptions{}), LinearizableOptions{}).Check(t.Context(), historyOf(t, ops))
	if page := string(r.Files["linearizability-1.html"]); !strings.Contains(page, "read → 77") {
		t.Errorf("%+v: a page of %d bytes, and not of the read of 77", r.Anomalies, len(page))
	}
}

// Transactions must be what they are said to be: a part too few is no null.
func TestMalformedTransactions(t *testing.T) {
	for _, value := range []string{`[["r",1]]`, `[["w",1,5,7]]`, `[["x",1,5]]`, `["r",1,5]`, `{}`, `7`, `null`} {
		h := historyOf(t, []histories.Op{{Process: 0, Type: histories.Invoke, F: "txn", Value: raw("%s", value)}, {Process: 0, Type: histories.OK, F: "txn", Value: raw("%s", value)}})
		r := Linearizable(MultiRegister(), LinearizableOptions{}).Check(t.Context(), h)
		if r.Verdict != Unknown || !strings.Contains(r.Why, "op 1 (txn)") {
			t.Errorf("%s: %v %s", value, r.Verdict, r.Why)
		}
	}
}

// testdata/register.txt is in a small language: 0w1 is process 0 invoking a
// write of 1, 0r a read, 0c1,2 a cas; 0! completes it, 0=1 a read with 1, 0?
// leaves it open, 0x fails it with a mismatch.
func TestRegisterTranscripts(t *testing.T) {
	datadriven.RunTest(t, "testdata/register.txt", func(t *testing.T, d *datadriven.TestData) string {
		h := historyOf(t, parseRegister(t, d.Input))
		m := Register(RegisterOptions{Mismatch: map[bool]Mismatch{true: "mismatch"}[d.HasArg("mismatch")]})
		r := Linearizable(m, LinearizableOptions{}).Check(t.Context(), h)
		out := r.Verdict.String()
		if r.Why != "" {
			out += ": " + r.Why
		}
		for _, a := range r.Anomalies {
			out += fmt.Sprintf("\n%v %s", a.Ops, a.Why)
		}
		return out + "\n"
	})
}

func parseRegister(t testing.TB, text string) (ops []histories.Op) {
	t.Helper()
	open := map[histories.Process]histories.Op{}
	for word := range strings.FieldsSeq(text) {
		p := histories.Process(word[0] - '0')
		rest := word[2:]
		op := open[p]
		switch word[1] {
		case 'w':
			op = histories.Op{Process: p, Type: histories.Invoke, F: "write", Value: raw("%s", rest)}
		case 'r':
			op = histories.Op{Process: p, Type: histories.Invoke, F: "read"}
		case 'c':
			op = histories.Op{Process: p, Type: histories.Invoke, F: "cas", Value: raw("[%s]", rest)}
		case '!':
			op.Type = histories.OK
		case '=':
			op.Type, op.Value = histories.OK, raw("%s", rest)
		case '?':
			op.Type = histories.Info
		case 'x':
			op.Type, op.Error = histories.Fail, "mismatch"
		default:
			t.Fatalf("%q is not understood", word)
		}
		open[p] = op
		ops = append(ops, op)
	}
	return ops
}
