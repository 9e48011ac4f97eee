package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// plainRaft is the definition of Raft's properties for nodes that do not
// crash: it keeps whole logs and compares them.
type plainRaft struct {
	logs      map[string][]plainEntry
	named     map[raftID][]plainEntry // the first log that ends in an entry of that name
	committed [][]plainEntry          // of an index, the log that ends there
	known     map[string]int
	applied   map[int]string
	votes     map[string]string
	leaders   map[int]string
	safeTerm  []int // of an index, the greatest term of a leader when it was committed
	termMax   int
	found     map[string]bool
}

type plainEntry struct {
	term int
	op   string
}

func (p *plainRaft) append(n string, term int, op string) {
	p.logs[n] = append(slices.Clip(p.logs[n]), plainEntry{term, op})
	id := raftID{uint64(len(p.logs[n])), uint64(term)}
	if p.named[id] == nil {
		p.named[id] = p.logs[n]
	} else if !slices.Equal(p.named[id], p.logs[n]) {
		p.found["log-matching"] = true
	}
}

func (p *plainRaft) truncate(n string, idx int) {
	switch next := p.logs[n][:idx+1]; {
	case idx < p.known[n], idx < len(p.committed) && slices.Equal(next, p.committed[idx]):
		p.found["committed-truncated"] = true
	}
	p.logs[n] = p.logs[n][:idx]
}

func (p *plainRaft) commit(n string, idx int) {
	if idx < p.known[n] {
		p.found["commit-regressed"] = true
	}
	if idx > 0 && idx <= len(p.committed) && !slices.Equal(p.committed[idx-1], p.logs[n][:idx]) {
		p.found["state-machine-safety"] = true
	}
	for k := len(p.committed) + 1; k <= idx; k++ {
		p.committed = append(p.committed, p.logs[n][:k])
		p.safeTerm = append(p.safeTerm, p.termMax)
	}
	p.known[n] = max(p.known[n], idx)
}

func (p *plainRaft) apply(idx int, op string) {
	if p.applied[idx] == "" {
		p.applied[idx] = op
	} else if p.applied[idx] != op {
		p.found["state-machine-safety"] = true
	}
}

func (p *plainRaft) vote(n string, term int, who string) {
	key := fmt.Sprint(n, term)
	if p.votes[key] == "" {
		p.votes[key] = who
	} else if p.votes[key] != who {
		p.found["double-vote"] = true
	}
}

func (p *plainRaft) lead(n string, term int) {
	if p.leaders[term] == "" {
		p.leaders[term] = n
	} else if p.leaders[term] != n {
		p.found["two-leaders-in-term"] = true
	}
	last := 0
	for i := range p.committed {
		if p.safeTerm[i] < term {
			last = i + 1
		}
	}
	if last > 0 && (len(p.logs[n]) < last || !slices.Equal(p.logs[n][:last], p.committed[last-1])) {
		p.found["leader-completeness"] = true
	}
	p.termMax = max(p.termMax, term)
}

func TestRaftAgreesWithDefinition(t *testing.T) {
	seen := map[string]int{}
	random(t, 5000, func(t *testing.T, r *rand.Rand) {
		p := plainRaft{logs: map[string][]plainEntry{}, named: map[raftID][]plainEntry{}, known: map[string]int{},
			applied: map[int]string{}, votes: map[string]string{}, leaders: map[int]string{}, found: map[string]bool{}}
		nodes := []string{"n1", "n2", "n3"}
		var ops []histories.Op
		record := func(n, f, format string, args ...any) {
			ops = append(ops, histories.Op{Process: histories.Named(n), Type: histories.Info, F: f, Value: raw(format, args...)})
		}
		rare := func() bool { return r.IntN(40) == 0 }
		for range 6 + r.IntN(20) {
			n := nodes[r.IntN(len(nodes))]
			log := p.logs[n]
			switch r.IntN(9) {
			case 0, 1, 2: // an entry as another node has it, or a new one
				i := len(log)
				from := p.logs[nodes[r.IntN(len(nodes))]]
				e := plainEntry{p.termMax, fmt.Sprint("e", len(ops))}
				if i < len(from) && (slices.Equal(from[:i], log) || rare()) {
					e = from[i]
				} else if p.leaders[p.termMax] != n && !rare() {
					continue
				}
				if rare() {
					e.op = "x"
				}
				p.append(n, e.term, e.op)
				record(n, "append", `{"term":%d,"idx":%d,"op":%q}`, e.term, i+1, e.op)
			case 3:
				if idx := r.IntN(len(log) + 1); idx < len(log) && (idx >= p.known[n] || rare()) {
					p.truncate(n, idx)
					record(n, "truncate", `{"idx":%d}`, idx)
				}
			case 4, 5:
				if idx := r.IntN(len(log) + 1); idx >= p.known[n] || rare() {
					p.commit(n, idx)
					record(n, "commit", `{"idx":%d}`, idx)
				}
			case 6:
				if k := p.known[n]; k > 0 && k <= len(log) {
					op := log[k-1].op
					p.apply(k, op)
					record(n, "apply", `{"idx":%d,"op":%q}`, k, op)
				}
			case 7:
				term, who := p.termMax+r.IntN(2), nodes[r.IntN(3)]
				p.vote(n, term, who)
				record(n, "vote", `{"term":%d,"for":%q}`, term, who)
			case 8:
				term := p.termMax + 1
				if rare() {
					term--
				}
				p.lead(n, term)
				record(n, "leader", `{"term":%d}`, term)
			}
		}
		h := historyOf(t, ops)
		res := Raft(RaftOptions{}).Check(t.Context(), h)
		got := kindsIn(res)
		for _, a := range res.Anomalies {
			checkAnomaly(t, res, a, h)
		}
		for _, kind := range Kinds("raft") {
			if kind == "no-progress" || kind == "durability-lost" {
				continue
			}
			seen[fmt.Sprint(kind, " ", p.found[kind])]++
			if slices.Contains(got, kind) != p.found[kind] {
				t.Errorf("found %v, but %s is %v by definition%s", got, kind, p.found[kind], show(h))
			}
		}
	})
	t.Log(seen)
	if len(seen) != 14 {
		t.Errorf("not every property was violated and kept: %v", seen)
	}
}
