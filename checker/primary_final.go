package checker

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// finals are the nodes with a final log.
func (p *replication) finals() (which []int) {
	for n, log := range p.copies {
		if log.final != nil {
			which = append(which, n)
		}
	}
	return which
}

// silent are the nodes that are up and left no final log, although others did.
func (p *replication) silent() (names []string) {
	for n, log := range p.copies {
		if log.final == nil && !log.down && len(p.finals()) > 0 {
			names = append(names, p.nodes.names[n])
		}
	}
	return names
}

// undecided says what the final logs leave open that are there, if all faults
// were over and all nodes could have left theirs.
func (p *replication) undecided() string {
	silent := p.silent()
	if len(silent) == 0 || p.end.from == p.h.Len() {
		return ""
	}
	open := fmt.Sprintf("whether the log of %s is that of the others", strings.Join(silent, " and "))
	if n, _ := p.stats["lost-undecided"].(int); n > 0 {
		open += fmt.Sprintf(", and what became of %d acknowledged writes that are in none of the others'", n)
	}
	if p.end.judged {
		return open + ": it left no final log, and was up"
	}
	p.skipped(open + ": it left no final log")
	return ""
}

// lost: every acknowledged write is in some final log. If the history has a
// final phase, a node that held the write, is up and left no final log leaves
// the question open.
func (p *replication) lost() {
	finals := p.finals()
	if len(finals) == 0 {
		p.skipped("whether acknowledged writes were kept: no node left a final log")
		return
	}
	p.looked("that each acknowledged write is in a final log")
	kept := map[int32]bool{}
	from := uint64(1)
	for _, n := range finals {
		f := p.copies[n].final
		if f.hash != nil {
			p.skipped("whether acknowledged writes were kept: of a final log there is a hash alone")
			return
		}
		from = max(from, f.from)
		for _, op := range f.ops {
			kept[op] = true
		}
	}
	phase := p.end.from < p.h.Len()
	lost, open := 0, 0
	eachCall(p.h, func(_, end int, outcome histories.Type) {
		if outcome != histories.OK || p.h.F(end) == "read" {
			return
		}
		name := p.h.Ext(end, "op")
		if null(name) {
			return
		}
		op := p.ops.of(name)
		place := p.places.get(uint64(op)) // plus 1
		if kept[op] || end > p.firstFinal(finals) || from > 1 && place < from+1 {
			return
		}
		ops := []int{end}
		fate := "no node recorded it"
		for n, log := range p.copies {
			by := log.held.get(uint64(op)) - 1
			if by < 0 {
				continue
			}
			if phase && log.final == nil && !log.down {
				open++
				return
			}
			ops = append(ops, by)
			fate = fmt.Sprintf("%s had it in op %d", p.nodes.names[n], by)
		}
		lost++
		p.addf("lost-acknowledged-write", ops, "op %d acknowledged %s, and no final log has it; %s", end, p.ops.name(op), fate)
	})
	p.stats["lost"], p.stats["lost-undecided"] = lost, open
}

func (p *replication) firstFinal(finals []int) int {
	first := p.h.Len()
	for _, n := range finals {
		first = min(first, p.copies[n].final.by)
	}
	return first
}

// converged: the final logs are equal, and hold nothing that the last
// primary's has not.
func (p *replication) converged() {
	finals := p.finals()
	if len(finals) < 2 || !p.end.judged && p.end.from < p.h.Len() {
		p.skipped("whether all logs are equal in the end: there are not two final logs, or a fault was never cured")
		return
	}
	p.looked("that the final logs are equal")
	// They are compared with the primary's, or else the longest.
	reference := slices.MaxFunc(finals, func(a, b int) int {
		return cmp.Compare(len(p.copies[a].final.ops), len(p.copies[b].final.ops))
	})
	survived := p.primary != notNode && p.copies[p.primary].final != nil
	if survived {
		reference = int(p.primary)
	}
	want := p.copies[reference].final
	has := map[int32]bool{}
	for _, op := range want.ops {
		has[op] = true
	}
	for _, n := range finals {
		got := p.copies[n].final
		if n == reference || got.hash != nil && want.hash != nil && bytes.Equal(got.hash, want.hash) {
			continue
		}
		if (got.hash == nil) != (want.hash == nil) {
			p.skipped("whether all logs are equal in the end: of some there is a hash alone")
			continue
		}
		who, other, ops := p.nodes.names[n], p.nodes.names[reference], []int{got.by, want.by}
		if got.hash != nil {
			p.addf("no-convergence", ops, "the final logs of %s (op %d) and %s (op %d) differ: hash %s and %s", who, got.by, other, want.by, got.hash, want.hash)
			continue
		}
		a, b := from(got, max(got.from, want.from)), from(want, max(got.from, want.from))
		i := diverge(a, b)
		if i == len(a) && i == len(b) {
			continue
		}
		p.addf("no-convergence", ops, "the final logs of %s (op %d) and %s (op %d) differ: at %d they have %s and %s", who, got.by, other, want.by,
			uint64(i)+max(got.from, want.from), p.entry(a, i), p.entry(b, i))
		for _, op := range a {
			if survived && want.from == 1 && !has[op] {
				p.addf("no-truncate", ops, "the final log of %s (op %d) has %s, which that of the primary, %s (op %d), has not", who, got.by, p.ops.name(op), other, want.by)
				break
			}
		}
	}
}

// from is what of f lies at idx and behind.
func from(f *finalLog, idx uint64) []int32 {
	return f.ops[min(uint64(len(f.ops)), idx-f.from):]
}

func (p *replication) entry(log []int32, i int) string {
	if i < len(log) {
		return p.ops.name(log[i])
	}
	return "nothing"
}
