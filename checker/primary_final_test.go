package checker

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// plainReplica is a node of randomFinals: what it had, and what it said in the
// end.
type plainReplica struct {
	held  []string // of the log as on record
	down  bool
	said  int // index of its final log, or -1
	from  int
	final []string
	hash  string
}

// finals is a history of logs that are in the end as they like, with what is
// wrong with them by definition.
type finals struct {
	ops       []histories.Op
	lost      int
	undecided int
	diverged  bool // no-convergence
	kept      bool // no-truncate
	phase     bool // there is a final one
	judged    bool // in which no fault is in force
	silent    bool // a node that was up left no final log, others did
}

func randomFinals(r *rand.Rand) (f finals) {
	names := []string{"n1", "n2", "n3"}
	nodes := []*plainReplica{{said: -1}, {said: -1}, {said: -1}}
	record := func(n int, f1, format string, args ...any) {
		f.ops = append(f.ops, histories.Op{Process: histories.Named(names[n]), Type: histories.Info, F: f1, Value: raw(format, args...)})
	}
	client := func(op histories.Op) {
		f.ops = append(f.ops, op)
		op.Type = histories.OK
		f.ops = append(f.ops, op)
	}
	acks := map[string]int{} // op to the index of its ack
	ack := func(op string) {
		if _, again := acks[op]; again {
			return
		}
		client(histories.Op{Process: 0, Type: histories.Invoke, F: "write", Ext: map[string]json.RawMessage{"op": raw("%q", op)}})
		acks[op] = len(f.ops) - 1
	}
	record(0, "role", `{"role":"primary"}`)
	total := 2 + r.IntN(4)
	for i := range total {
		op := fmt.Sprint("o", i+1)
		record(0, "append", `{"idx":%d,"op":%q}`, i+1, op)
		for n, m := range nodes {
			if n == 0 {
				m.held = append(m.held, op)
			} else if len(m.held) == i && r.IntN(3) > 0 {
				record(n, "apply", `{"idx":%d,"op":%q}`, i+1, op)
				m.held = append(m.held, op)
			}
		}
		if r.IntN(3) > 0 {
			ack(op)
		}
	}
	if r.IntN(8) == 0 {
		ack("nobody's")
	}
	for n, m := range nodes {
		if r.IntN(5) == 0 {
			m.down = true
			record(n, "crash", `{"kind":"kill"}`)
		}
	}
	phase, judged := r.IntN(2) == 0, false
	if phase {
		judged = r.IntN(2) == 0
		if !judged { // a fault is never cured
			f.ops = append(f.ops, histories.Op{Process: histories.Named("nemesis/x"), Type: histories.Invoke, F: "inject", Value: raw(`{"id":"f","kind":"loss"}`)})
		}
		client(histories.Op{Process: 1, Type: histories.Invoke, F: "read", Final: true})
	}
	for n, m := range nodes {
		if r.IntN(4) == 0 {
			continue
		}
		m.from, m.final = 1, slices.Clone(nodes[0].held)
		switch k := r.IntN(8); {
		case k == 0:
			m.final = m.final[:r.IntN(total)]
		case k == 1:
			m.final[r.IntN(total)] = "other"
		case k == 2:
			m.final = append(m.final, "more")
		case k == 3:
			m.from = 1 + r.IntN(total)
			if m.final = m.final[m.from-1:]; r.IntN(2) == 0 {
				m.final[0] = "other"
			}
		}
		m.said = len(f.ops)
		if r.IntN(8) == 0 {
			m.hash = []string{`"h1"`, `"h2"`}[r.IntN(2)]
			record(n, "final-log", `{"hash":%s}`, m.hash)
		} else {
			record(n, "final-log", `{"from":%d,"ops":["%s"]}`, m.from, strings.Join(m.final, `","`))
			if len(m.final) == 0 {
				f.ops[m.said].Value = raw(`{"from":%d,"ops":[],"hash":"none"}`, m.from)
			}
		}
		if r.IntN(6) == 0 {
			ack("o1")
		}
	}

	var said []*plainReplica
	first, from, hashed := len(f.ops), 1, false
	for _, m := range nodes {
		if m.said >= 0 {
			said = append(said, m)
			first, from, hashed = min(first, m.said), max(from, m.from), hashed || m.hash != ""
		}
	}
	for op, at := range acks {
		var idx int
		if _, err := fmt.Sscanf(op, "o%d", &idx); err != nil {
			idx = 0
		}
		is := func(m *plainReplica) bool { return slices.Contains(m.final, op) }
		if len(said) == 0 || hashed || at > first || slices.ContainsFunc(said, is) || from > 1 && idx < from {
			continue
		}
		if phase && slices.ContainsFunc(nodes, func(m *plainReplica) bool { return m.said < 0 && !m.down && slices.Contains(m.held, op) }) {
			f.undecided++
		} else {
			f.lost++
		}
	}
	f.phase, f.judged = phase, judged
	f.silent = len(said) > 0 && slices.ContainsFunc(nodes, func(m *plainReplica) bool { return m.said < 0 && !m.down && len(m.held) > 0 })
	if len(said) < 2 || phase && !judged {
		return f
	}
	reference, survived := said[0], nodes[0].said >= 0
	for _, m := range said {
		if m.hash == "" && len(m.final) > len(reference.final) || reference.hash != "" && m.hash == "" && len(m.final) > 0 {
			reference = m
		}
	}
	if survived {
		reference = nodes[0]
	}
	for _, m := range said {
		switch {
		case m == reference, (m.hash == "") != (reference.hash == ""):
		case m.hash != "":
			f.diverged = f.diverged || m.hash != reference.hash
		default:
			both := max(m.from, reference.from)
			tail := func(m *plainReplica) []string { return m.final[min(both-m.from, len(m.final)):] }
			if slices.Equal(tail(m), tail(reference)) {
				continue
			}
			f.diverged = true
			for _, op := range tail(m) {
				f.kept = f.kept || survived && reference.from == 1 && !slices.Contains(reference.final, op)
			}
		}
	}
	return f
}

func TestFinalLogsAgreeWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 4000, func(t *testing.T, r *rand.Rand) {
		f := randomFinals(r)
		h := historyOf(t, f.ops)
		res := PrimaryReplica(PrimaryReplicaOptions{}).Check(t.Context(), h)
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		got := kindsIn(res)
		if open := f.phase && f.judged && f.silent; open && res.Verdict == Valid || !open && res.Verdict == Unknown {
			t.Errorf("%v (%s), though a node that was up left no final log: %v%s", res.Verdict, res.Why, open, show(h))
		}
		lost, _ := res.Stats["lost"].(int)
		undecided, _ := res.Stats["lost-undecided"].(int)
		if lost != f.lost || undecided != f.undecided {
			t.Errorf("%d lost and %d undecided, by definition %d and %d%s", lost, undecided, f.lost, f.undecided, show(h))
		}
		for kind, is := range map[string]bool{"lost-acknowledged-write": f.lost > 0, "no-convergence": f.diverged, "no-truncate": f.kept} {
			seen[fmt.Sprint(kind, is)]++
			if slices.Contains(got, kind) != is {
				t.Errorf("found %v, but %s is %v by definition%s", got, kind, is, show(h))
			}
		}
		allowed := PrimaryReplica(PrimaryReplicaOptions{MayLose: true}).Check(t.Context(), h)
		all := slices.Concat(allowed.Anomalies, allowed.Permitted)
		if (allowed.Verdict == Invalid) != (f.diverged || f.kept) || !slices.Equal(kindsOfAll(all), got) {
			t.Errorf("where losses are allowed: %v %v%s", allowed.Verdict, kindsIn(allowed), show(h))
		}
		seen[fmt.Sprint("undecided", f.undecided > 0)]++
	})
	t.Log(seen)
	if len(seen) != 8 {
		t.Errorf("%v", seen)
	}
}
