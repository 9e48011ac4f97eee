package checker

import (
	"fmt"
	"strings"

	"github.com/torture-harness/torture/histories"
)

// holds takes a held record: the node has the log on disk up to idx. It never
// has less than before, but what a loss of power took that was not durable.
func (p *replication) holds(i int, n int32, log *replicaLog, idx uint64) {
	if idx < log.durable && !log.forgot {
		p.addf("durability-lost", []int{log.by, i}, "op %d: %s has the log up to %d, though it had it on disk up to %d in op %d", i, p.nodes.names[n], idx, log.durable, log.by)
	}
	if idx > log.durable || log.forgot {
		log.durable, log.by = idx, i
	}
	log.forgot = false
	p.holdings++
}

// completed judges an answer by what was on record when it was given.
func (p *replication) completed(i int) {
	if p.h.Type(i) != histories.OK {
		return
	}
	idx, by, ok := p.place(i)
	if !ok {
		return
	}
	if p.h.F(i) == "read" {
		p.dirty(i, idx, by)
	}
	p.shown = further(p.shown, i, idx)
	if by == "idx" && p.h.F(i) != "read" {
		p.replicated(i, idx)
	}
}

// dirty: a node serves what it has recorded to be in its log.
func (p *replication) dirty(i int, at uint64, by string) {
	n := p.nodes.named(p.h.Node(i))
	if by != "at" || n == notNode {
		return
	}
	if has := max(p.copies[n].last, p.copies[n].durable); at > has {
		p.addf("dirty-read", []int{i}, "op %d: %s served the log up to %d, of which it had recorded it up to %d", i, p.h.Node(i), at, has)
	}
}

// replicated: when a write is acknowledged, enough nodes beside the primary
// have said that they hold it.
func (p *replication) replicated(i int, idx uint64) {
	if p.o.Copies == 0 {
		return
	}
	var with []string
	for n, log := range p.copies {
		if !log.primary && log.durable >= idx {
			with = append(with, p.nodes.names[n])
		}
	}
	if len(with) < p.o.Copies {
		who := "no node"
		if len(with) > 0 {
			who = "only " + strings.Join(with, " and ")
		}
		p.addf("under-replicated", []int{i}, "op %d acknowledged entry %d, which %s beside the primary had recorded to hold: want %d", i, idx, who, p.o.Copies)
	}
}

// sayCopies says whether the number of copies could be judged.
func (p *replication) sayCopies() {
	switch {
	case p.o.Copies == 0:
		p.skipped("how many nodes held a write when it was acknowledged: none was promised")
	default:
		p.looked(fmt.Sprintf("that %d nodes beside the primary held each write when it was acknowledged", p.o.Copies))
	}
}
