package checker

import (
	"slices"

	"github.com/torture-harness/torture/histories"
)

// replicaKey is one key at one node, or with key everything its whole log.
type replicaKey struct {
	node string
	key  int
}

const everything = -1

// newest is the newest version that a read which has ended returned.
type newest struct {
	idx int64
	by  int // the read
}

// answers judges what nodes told clients by when they did: a node that serves
// only what is durable never goes back, each key is linearizable but for stale
// reads, who is to refuse does, and in the end nobody is behind. It counts how
// many reads were stale, and by how much.
func (p *replication) answers() error {
	type call struct {
		at    replicaKey
		life  int
		floor newest // of the reads of the key here that had ended when it began
		whole newest // and of the node's log
		acked int64  // newest write of the key acknowledged then
	}
	var (
		lives = map[string]int{} // of a node, how often it may have forgotten
		seen  = map[replicaKey]newest{}
		acked = map[int]int64{}
		open  = map[int]call{} // by invocation
		calls []versioned
		stale []int64
		total int
		final newest // of all that was acknowledged before the final phase
		plain = true // the objects are registers
	)
	begin := func(i int) {
		at := replicaKey{p.h.Node(i), p.h.KeyID(i)}
		open[i] = call{at, lives[at.node], seen[at], seen[replicaKey{at.node, everything}], acked[at.key]}
	}
	// back compares what a node serves with what it had served.
	back := func(i int, at replicaKey, idx int64, floor newest, what string) {
		if idx < floor.idx {
			p.addf("non-monotonic-read", []int{floor.by, i}, "op %d: %s served version %d of %s, after version %d in op %d",
				i, at.node, idx, what, floor.idx, floor.by)
		}
		if idx > seen[at].idx {
			seen[at] = newest{idx, i}
		}
	}
	end := func(i, invoked int) error {
		c := open[invoked]
		delete(open, invoked)
		if p.h.Type(i) != histories.OK {
			return nil
		}
		f := p.h.F(i)
		p.refuses(i, invoked, f)
		idx, ok := integer(p.h.Ext(i, "idx"))
		if raw := p.h.Ext(i, "idx"); !ok && raw != nil {
			return missing(p.h.At(i), "want a whole number as idx, not "+string(raw))
		}
		whole, by, placed := p.place(i)
		if placed && int64(whole) > final.idx && i < p.end.from {
			final = newest{int64(whole), i}
		}
		if by == "at" {
			if c.at.node != "" && lives[c.at.node] == c.life {
				back(i, replicaKey{c.at.node, everything}, int64(whole), c.whole, "its log")
			}
			if p.end.judged && p.h.Final(invoked) && f == "read" && int64(whole) < final.idx {
				p.addf("no-convergence", []int{final.by, i}, "op %d: the final read of %s is of the log up to %d, though op %d had shown that it goes up to %d", i, c.at.node, whole, final.by, final.idx)
			}
		}
		if !ok {
			return nil
		}
		if f != "txn" { // which is about several keys
			calls = append(calls, versioned{key: c.at.key, begin: invoked, end: i, write: f != "read", version: idx, value: p.written(i, invoked)})
		}
		plain = plain && oneOf("", f, []string{"read", "write", "cas"}) == nil
		if f != "read" {
			acked[c.at.key] = max(acked[c.at.key], idx)
			return nil
		}
		if total++; idx < c.acked {
			stale = append(stale, c.acked-idx)
		}
		if c.at.node != "" && lives[c.at.node] == c.life {
			back(i, c.at, idx, c.floor, keyName(string(p.h.Key(invoked))))
		}
		return nil
	}
	for i := range p.h.Len() {
		who := p.h.Process(i)
		var err error
		switch {
		case who.Client() && p.h.Type(i) == histories.Invoke:
			begin(i)
		case who.Client() && p.h.Pair(i) < 0:
			begin(i)
			err = end(i, i)
		case who.Client():
			err = end(i, p.h.Pair(i))
		case p.forgets(i):
			node := who.String()
			lives[node]++
			for at := range seen {
				if at.node == node {
					delete(seen, at)
				}
			}
		}
		if err != nil {
			return err
		}
	}
	p.stats["reads"], p.stats["stale-reads"] = total, len(stale)
	if len(stale) > 0 {
		slices.Sort(stale)
		p.stats["staleness"] = map[string]int64{"0.5": Quantile(stale, 0.5), "0.99": Quantile(stale, 0.99), "1": Quantile(stale, 1)}
	}
	for i := range calls {
		if !plain { // a read of a set does not return what one add wrote
			calls[i].value = ""
		}
	}
	if p.primaries > 1 && p.o.Reads != "primary" {
		p.skipped("versions: more than one node was the primary, and what a new one does not have is numbered anew")
		return nil
	}
	p.looked("the versions of each key, in the order of time")
	checkVersions(p.findings, calls)
	return nil
}

// forgets tells whether i takes from its node what it may have served: if it
// serves what is not durable, all but the end of the process alone.
func (p *replication) forgets(i int) bool {
	if !p.o.Unsynced || p.h.F(i) != "crash" {
		return false
	}
	kind := string(field(p.h.Value(i), "kind"))
	return kind != `"kill"` && kind != `"stop"`
}

// refuses: only the primary does what only it may.
func (p *replication) refuses(i, invoked int, f string) {
	node := p.h.Node(invoked)
	only := p.o.Reads == "primary" && f == "read" || oneOf("", f, []string{"write", "cas", "add", "txn"}) == nil
	if !only || !p.announce {
		return
	}
	if n := p.nodes.named(node); n != notNode && (p.copies[n].led < 0 || p.copies[n].led > i) {
		p.addf("not-refused", []int{i}, "op %d: %s, which is not the primary, answered a %s that only the primary may answer", i, node, f)
	}
}

// written is the value of the key after call i, as text.
func (p *replication) written(i, invoked int) string {
	switch p.h.F(i) {
	case "read":
		return text(p.h.Value(i))
	case "cas":
		var new string
		elements(p.h.Value(invoked), func(e []byte) { new = text(e) })
		return new
	}
	return text(p.h.Value(invoked))
}
