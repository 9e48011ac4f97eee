package checker

import (
	"slices"

	"github.com/torture-harness/torture/histories"
)

// replicaKey is one key at one node.
type replicaKey struct {
	node string
	key  int
}

// newest is the newest version that a read which has ended returned.
type newest struct {
	idx int64
	by  int // the read
}

// reads judges what clients read: at one node, versions do not go back from
// one crash to the next; and if only the primary serves reads, each key is
// linearizable. It counts how many reads were stale, and by how much.
func (p *replication) reads() error {
	type read struct {
		at    replicaKey
		life  int
		floor newest // of the reads that had ended when it began
		acked int64  // newest write of the key acknowledged then
	}
	var (
		lives = map[string]int{}
		seen  = map[replicaKey]newest{}
		acked = map[int]int64{}
		open  = map[int]read{} // by invocation
		calls []versioned
		stale []int64
		total int
		plain = true // the objects are registers
	)
	begin := func(i int) {
		at := replicaKey{p.h.Node(i), p.h.KeyID(i)}
		open[i] = read{at, lives[at.node], seen[at], acked[at.key]}
	}
	end := func(i, invoked int) error {
		r := open[invoked]
		delete(open, invoked)
		if p.h.Type(i) != histories.OK {
			return nil
		}
		idx, ok := integer(p.h.Ext(i, "idx"))
		if !ok {
			if raw := p.h.Ext(i, "idx"); raw != nil {
				return missing(p.h.At(i), "want a whole number as idx, not "+string(raw))
			}
			return nil
		}
		f := p.h.F(i)
		if f != "txn" { // which is about several keys
			calls = append(calls, versioned{key: r.at.key, begin: invoked, end: i, write: f != "read", version: idx, value: p.written(i, invoked)})
		}
		plain = plain && oneOf("", f, []string{"read", "write", "cas"}) == nil
		if f != "read" {
			acked[r.at.key] = max(acked[r.at.key], idx)
			return nil
		}
		if total++; idx < r.acked {
			stale = append(stale, r.acked-idx)
		}
		if r.at.node == "" || lives[r.at.node] != r.life {
			return nil
		}
		if idx < r.floor.idx {
			p.addf("non-monotonic-read", []int{r.floor.by, i}, "op %d: %s served version %d of %s, after version %d in op %d",
				i, r.at.node, idx, keyName(string(p.h.Key(invoked))), r.floor.idx, r.floor.by)
		}
		if idx > seen[r.at].idx {
			seen[r.at] = newest{idx, i}
		}
		return nil
	}
	for i := range p.h.Len() {
		who := p.h.Process(i)
		var err error
		switch f := p.h.F(i); {
		case who.Client() && p.h.Type(i) == histories.Invoke:
			begin(i)
		case who.Client() && p.h.Pair(i) < 0:
			begin(i)
			err = end(i, i)
		case who.Client():
			err = end(i, p.h.Pair(i))
		case f == "crash" || f == "restart":
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
		p.stats["staleness"] = map[string]int64{"0.5": quantile(stale, 0.5), "0.99": quantile(stale, 0.99), "1": quantile(stale, 1)}
	}
	for i := range calls {
		if !plain { // a read of a set does not return what one add wrote
			calls[i].value = ""
		}
	}
	if p.o.Reads == "primary" {
		checkVersions(p.findings, calls)
	}
	return nil
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
