package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// raftRun is a run of Raft that goes right, as nodes would record it: they
// elect, append, replicate, commit, apply, crash before the last thing they did
// is on record, and send each other snapshots.
type raftRun struct {
	r      *rand.Rand
	bug    string // what goes wrong, if anything
	nodes  []*raftMember
	term   int
	leader *raftMember // of term, as long as it is up
	ops    []histories.Op
}

type raftMember struct {
	name                  string
	up                    bool
	log                   []plainEntry
	base                  int // the log up to here is in a snapshot
	commit, applied, done int
	silent                bool // what it does is not on record: it is about to crash
}

func (g *raftRun) record(m *raftMember, f, format string, args ...any) {
	if !m.silent {
		g.ops = append(g.ops, histories.Op{Process: histories.Named(m.name), Type: histories.Info, F: f, Value: raw(format, args...)})
	}
}

func (g *raftRun) append(m *raftMember, e plainEntry) {
	m.log = append(slices.Clip(m.log), e)
	g.record(m, "append", `{"term":%d,"idx":%d,"op":%q}`, e.term, len(m.log), e.op)
}

// elect lets m win if a majority finds its log no worse than its own.
func (g *raftRun) elect(m *raftMember) {
	last := func(m *raftMember) [2]int {
		if len(m.log) == 0 {
			return [2]int{}
		}
		return [2]int{m.log[len(m.log)-1].term, len(m.log)}
	}
	var voters []*raftMember
	for _, v := range g.nodes {
		if a, b := last(m), last(v); v.up && (g.bug == "elects anybody" || a[0] > b[0] || a[0] == b[0] && a[1] >= b[1]) {
			voters = append(voters, v)
		}
	}
	g.term++
	for _, v := range voters {
		g.record(v, "vote", `{"term":%d,"for":%q}`, g.term, m.name)
		if g.bug == "votes twice" && g.r.IntN(20) == 0 {
			g.record(v, "vote", `{"term":%d,"for":"nobody"}`, g.term)
		}
	}
	if g.leader = nil; len(voters) > len(g.nodes)/2 {
		g.leader = m
		g.record(m, "leader", `{"term":%d}`, g.term)
	}
}

// replicate makes m's log that of the leader, or begins to.
func (g *raftRun) replicate(m *raftMember) {
	l := g.leader
	same := m.base
	for same < min(len(m.log), len(l.log)) && m.log[same] == l.log[same] {
		same++
	}
	if len(l.log) < m.base { // a leader that should not be
		return
	}
	if same < l.base { // the leader has no such entries any more
		m.log, m.base = slices.Clone(l.log[:l.base]), l.base
		m.commit, m.applied, m.done = max(m.commit, l.base), l.base, l.base
		g.record(m, "snapshot", `{"idx":%d,"hash":"%x"}`, m.base, fmt.Sprint(m.log))
		return
	}
	if len(m.log) > same && len(l.log) > same {
		m.log = m.log[:same]
		g.record(m, "truncate", `{"idx":%d}`, same)
	}
	for _, e := range l.log[same:] {
		g.append(m, e)
		if g.r.IntN(4) == 0 {
			return
		}
	}
	if len(m.log) <= len(l.log) && l.commit > m.commit && slices.Equal(m.log, l.log[:len(m.log)]) {
		m.commit = max(m.commit, min(l.commit, len(m.log)))
		g.record(m, "commit", `{"idx":%d}`, m.commit)
	}
}

func (g *raftRun) commit() {
	l := g.leader
	for idx := len(l.log); idx > l.commit && l.log[idx-1].term == g.term; idx-- {
		have := 0
		for _, m := range g.nodes {
			if len(m.log) >= idx && slices.Equal(m.log[:idx], l.log[:idx]) {
				have++
			}
		}
		if have > len(g.nodes)/2 || g.bug == "commits alone" {
			l.commit = idx
			g.record(l, "commit", `{"idx":%d}`, idx)
			return
		}
	}
}

func (g *raftRun) crash(m *raftMember) {
	m.silent = false
	g.record(m, "crash", `{"kind":"kill"}`)
	m.up = false
	if n := len(m.log); g.bug == "does not sync" && n > m.base {
		m.log = m.log[:m.base+g.r.IntN(n-m.base)]
	}
	if m == g.leader {
		g.leader = nil
	}
}

func (g *raftRun) restart(m *raftMember) {
	g.record(m, "restart", `{}`)
	m.up, m.commit, m.applied = true, m.base, m.base
	if g.r.IntN(2) == 0 {
		g.record(m, "truncate", `{"idx":%d}`, len(m.log)) // where the log ends
	}
}

func (g *raftRun) step() {
	m := g.nodes[g.r.IntN(len(g.nodes))]
	switch k := g.r.IntN(32); {
	case !m.up:
		if k < 16 {
			g.restart(m)
		}
	case k == 0:
		g.crash(m)
	case k == 1: // it does one thing more than it records
		m.silent = true
		if g.leader != nil && m != g.leader {
			g.replicate(m)
		}
		g.crash(m)
	case k == 2, g.leader == nil:
		g.elect(m)
	case m == g.leader && k < 16:
		g.append(m, plainEntry{g.term, fmt.Sprint("e", len(g.ops))})
	case m == g.leader:
		g.commit()
	case k < 20:
		g.replicate(m)
	case k < 22 && m.applied > m.base && m.applied <= len(m.log):
		m.base = m.applied
		state := fmt.Sprint(m.log[:m.base])
		if g.bug == "drops state from snapshots" {
			state = m.name
		}
		g.record(m, "snapshot", `{"idx":%d,"hash":"%x"}`, m.base, state)
	case m.applied < min(m.commit, len(m.log)):
		m.applied++
		m.done = max(m.done, m.applied)
		op := m.log[m.applied-1].op
		if g.bug == "applies what it likes" && g.r.IntN(20) == 0 {
			op = "x"
		}
		g.record(m, "apply", `{"idx":%d,"op":%q}`, m.applied, op)
	}
}

func newRaftRun(r *rand.Rand, bug string) *raftRun {
	g := &raftRun{r: r, bug: bug}
	for i := range 3 {
		g.nodes = append(g.nodes, &raftMember{name: fmt.Sprint("n", i+1), up: true})
	}
	for range 30 + r.IntN(150) {
		g.step()
	}
	return g
}

func TestRaftAcceptsRightRuns(t *testing.T) {
	records := map[string]int{}
	random(t, 1500, func(t *testing.T, r *rand.Rand) {
		g := newRaftRun(r, "")
		for _, op := range g.ops {
			records[op.F]++
		}
		h := historyOf(t, g.ops)
		if res := Raft(RaftOptions{}).Check(t.Context(), h); len(res.Anomalies) > 0 || res.Verdict == Unknown {
			t.Errorf("%v %s %+v%s", res.Verdict, res.Why, res.Anomalies, show(h))
		}
	})
	t.Log(records)
	if len(records) != 9 {
		t.Errorf("not every kind of record was made: %v", records)
	}
}

// A node that does one thing wrong, all along, is found, and by its name.
func TestRaftFindsWhatWentWrong(t *testing.T) {
	for _, test := range []struct {
		bug   string
		kinds []string // at least one is found
	}{
		{"votes twice", []string{"double-vote"}},
		{"applies what it likes", []string{"state-machine-safety"}},
		{"drops state from snapshots", []string{"state-machine-safety"}},
		{"does not sync", []string{"durability-lost", "leader-completeness", "committed-truncated", "state-machine-safety", "log-matching"}},
		{"elects anybody", []string{"log-matching", "leader-completeness", "committed-truncated", "state-machine-safety", "durability-lost"}},
		{"commits alone", []string{"log-matching", "leader-completeness", "committed-truncated", "state-machine-safety", "durability-lost"}},
	} {
		found := map[string]int{}
		random(t, 200, func(t *testing.T, r *rand.Rand) {
			h := historyOf(t, newRaftRun(r, test.bug).ops)
			res := Raft(RaftOptions{}).Check(t.Context(), h)
			found[res.Verdict.String()]++
			named := false
			for _, kind := range kindsIn(res) {
				found[kind]++
				named = named || slices.Contains(test.kinds, kind)
			}
			if res.Verdict != Valid && !named {
				t.Errorf("%s: %+v%s", test.bug, res.Anomalies, show(h))
			}
			for _, a := range res.Anomalies {
				checkAnomaly(t, res, a, h)
			}
		})
		if t.Log(test.bug, found); found["invalid"] < 20 {
			t.Errorf("%s: found %v", test.bug, found)
		}
	}
}
