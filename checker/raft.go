package checker

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"time"

	"github.com/torture-harness/torture/histories"
)

// RaftOptions say what was promised.
type RaftOptions struct {
	// Recovery is the time from heal, or from the first operation after it if
	// that is later, to the first commit or successful operation, in
	// nanoseconds; 0: no bound but the end of the history.
	Recovery time.Duration `json:"recovery,omitempty"`
}

// Raft checks the properties of Raft's logs: those of figure 3 of Ongaro and
// Ousterhout, "In Search of an Understandable Consensus Algorithm", USENIX ATC
// 2014, and what they rest on. It reads the nodes' records
//
//	leader    {"term"}               the node leads in term
//	vote      {"term", "for"}        it votes
//	append    {"term", "idx", "op"}  it puts an entry into its log
//	truncate  {"idx"}                it drops the entries after idx; after a
//	                                 crash: this is where its log ends
//	commit    {"idx"}                it knows the entries up to idx to be committed
//	apply     {"idx", "op"}          its machine executes an entry
//	snapshot  {"idx", "hash"}        its state after idx, machine and members, installed or made
//
// and crash and restart. A record tells of what is durable. A node may die
// between an action and its record: what of its log was not committed when it
// crashed may since have been replaced, or have got more entries. What cannot
// be known for that reason is not held against it.
func Raft(o RaftOptions) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		r := raftCheck{
			findings: find("raft"), h: h, seed: raftSeed,
			entries: map[raftID]raftEntry{}, leaders: map[uint64]raftLeader{},
			applied: map[uint64]raftEntry{}, snapshots: map[uint64]int{},
		}
		if err := r.read(ctx); err != nil {
			return unknown("raft", err)
		}
		r.progress(o.Recovery)
		r.stats["nodes"], r.stats["records"] = len(r.nodes.names), r.records
		r.stats["terms"], r.stats["committed"], r.stats["applied"] = len(r.leaders), r.committed.last(), len(r.applied)
		res := r.result("")
		if r.records == 0 {
			res.vacuous("no node recorded anything of its log")
		}
		return res
	})
}

// raftSeed is of the hashes that stand for ops and logs: they are compared
// with each other, and never shown.
var raftSeed = maphash.MakeSeed()

// raftID is an entry's name.
type raftID struct{ idx, term uint64 }

// raftEntry is an entry, or none if by is 0.
type raftEntry struct {
	term  uint64
	op    uint64 // hash of the op
	chain uint64 // hash of the log up to here; 0: not known
	by    int    // 1 + the record
}

type raftLeader struct {
	node int32
	by   int
}

type raftCheck struct {
	*findings
	h         histories.History
	seed      maphash.Seed
	nodes     nodes
	members   []*raftNode
	entries   map[raftID]raftEntry // the first with that name
	committed raftLog
	commits   []raftCommit // how far was committed before a term began, ascending
	leaders   map[uint64]raftLeader
	termMax   uint64 // of leaders
	applied   map[uint64]raftEntry
	snapshots map[uint64]int // of an idx, the first record
	records   int
}

// raftCommit says that idx was committed while no leader of a term greater
// than term had come.
type raftCommit struct{ term, idx uint64 }

type raftNode struct {
	log     raftLog
	hidden  bool // since a crash nothing was appended: what follows known may not be as on record
	commit  uint64
	commits int    // record of commit, in this life; or -1
	known   uint64 // the highest commit of all lives
	done    uint64 // the highest index applied in all lives
	votes   map[uint64]raftVote
}

type raftVote struct {
	for_ string
	by   int
}

func (r *raftCheck) read(ctx context.Context) error {
	for i := range r.h.Len() {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		n := r.nodes.of(r.h.Process(i))
		if n == notNode {
			continue
		}
		for int(n) >= len(r.members) {
			r.members = append(r.members, &raftNode{commits: -1, votes: map[uint64]raftVote{}})
		}
		m := r.members[n]
		f := r.h.F(i)
		switch f {
		case "crash", "restart":
			m.hidden, m.commit, m.commits = true, 0, -1
			continue
		}
		fields, known := raftFields[f]
		if !known {
			continue
		}
		value := r.h.Value(i)
		var v struct{ idx, term uint64 }
		for _, name := range fields {
			n, ok := integer(field(value, name))
			if !ok || n < 0 {
				return missing(r.h.At(i), "want an object with a whole number as "+name)
			}
			if name == "idx" {
				if v.idx = uint64(n); n == 0 && (f == "append" || f == "apply") {
					return missing(r.h.At(i), "want indices to count from 1")
				}
			} else {
				v.term = uint64(n)
			}
		}
		r.records++
		switch f {
		case "leader":
			r.lead(i, n, v.term)
		case "vote":
			r.vote(i, n, v.term, string(field(value, "for")))
		case "append":
			r.append(i, n, v.term, v.idx, field(value, "op"))
		case "truncate":
			r.truncate(i, n, v.idx)
		case "commit":
			r.commit(i, n, v.idx)
		case "apply":
			r.apply(i, n, v.idx, field(value, "op"))
		case "snapshot":
			r.snapshot(i, n, v.idx, field(value, "hash"))
		}
	}
	return nil
}

// raftFields are the numbers that a record must have.
var raftFields = map[string][]string{
	"leader": {"term"}, "vote": {"term"}, "append": {"term", "idx"},
	"truncate": {"idx"}, "commit": {"idx"}, "apply": {"idx"}, "snapshot": {"idx"},
}

func (r *raftCheck) name(n int32) string { return r.nodes.names[n] }

// lead: one leader in a term, whose log holds all that was committed in terms
// before.
func (r *raftCheck) lead(i int, n int32, term uint64) {
	if first, taken := r.leaders[term]; !taken {
		r.leaders[term] = raftLeader{n, i}
	} else if first.node != n {
		r.addf("two-leaders-in-term", []int{first.by, i}, "%s (op %d) and %s (op %d) both lead in term %d", r.name(first.node), first.by, r.name(n), i, term)
	}
	// An entry was committed by a leader, so in a term not after the greatest
	// that had a leader by then.
	k := len(r.commits) - 1
	for k >= 0 && r.commits[k].term >= term {
		k--
	}
	r.termMax = max(r.termMax, term)
	if k < 0 {
		return
	}
	m, idx := r.members[n], r.commits[k].idx
	has, want := m.log.at(idx), r.committed.at(idx)
	switch {
	case want.by == 0 || idx < m.log.first() || has.by == 0 && idx <= m.log.last() || m.hidden && idx > m.known:
		// Not on record, or long in a snapshot.
	case idx > m.log.last():
		r.addf("leader-completeness", []int{want.by - 1, i}, "%s leads in term %d (op %d) with a log that ends at %d, though entry %d (op %d) had been committed in a term before",
			r.name(n), term, i, m.log.last(), idx, want.by-1)
	case !has.same(want):
		r.addf("leader-completeness", []int{want.by - 1, has.by - 1, i}, "%s leads in term %d (op %d) with another entry %d (op %d) than was committed in a term before (op %d)",
			r.name(n), term, i, idx, has.by-1, want.by-1)
	}
}

// same tells whether two entries at one index can be the same, with all before
// them, as far as is known.
func (e raftEntry) same(o raftEntry) bool {
	return e.term == o.term && e.op == o.op && (e.chain == o.chain || e.chain == 0 || o.chain == 0)
}

func (r *raftCheck) vote(i int, n int32, term uint64, who string) {
	m := r.members[n]
	first, voted := m.votes[term]
	if !voted {
		m.votes[term] = raftVote{who, i}
	} else if first.for_ != who {
		r.addf("double-vote", []int{first.by, i}, "%s voted for %s in term %d (op %d), and then for %s (op %d)", r.name(n), keyName(first.for_), term, first.by, keyName(who), i)
	}
}

func (r *raftCheck) hash(op []byte) uint64 { return max(1, maphash.Bytes(r.seed, op)) }

// extend is the hash of a log and one more entry.
func (r *raftCheck) extend(chain uint64, e raftEntry) uint64 {
	return max(1, maphash.Comparable(r.seed, [3]uint64{chain, e.term, e.op}))
}

func (r *raftCheck) append(i int, n int32, term, idx uint64, op []byte) {
	m := r.members[n]
	e := raftEntry{term: term, op: r.hash(op), by: i + 1}
	if old := m.log.at(idx); idx <= m.log.last() {
		// The log was shorter than on record, and nothing says that it was cut.
		if old.by > 0 && m.hidden && (idx <= m.known || old.term == term && old.op == e.op) {
			r.addf("durability-lost", []int{old.by - 1, i}, "%s appended entry %d (op %d), crashed, and appended it anew (op %d): it had lost what it had on disk",
				r.name(n), idx, old.by-1, i)
		} else if !m.hidden {
			r.cut(i, n, idx-1)
		}
		m.log.truncate(idx - 1)
	}
	r.settle(m)
	before := m.log.at(idx - 1)
	if before.chain == 0 && before.by > 0 {
		before.chain = r.entries[raftID{idx - 1, before.term}].chain
	}
	if before.chain != 0 || idx == 1 {
		e.chain = r.extend(before.chain, e)
	}
	id := raftID{idx, term}
	first, known := r.entries[id]
	switch {
	case !known:
		r.entries[id] = e
	case first.op != e.op:
		r.addf("log-matching", []int{first.by - 1, i}, "entry %d of term %d is %s in op %d and %s in op %d", idx, term, r.opOf(first.by-1), first.by-1, keyName(string(op)), i)
	case !first.same(e):
		r.addf("log-matching", []int{first.by - 1, i}, "entry %d of term %d was appended in op %d and op %d to different logs", idx, term, first.by-1, i)
	case first.chain == 0 && e.chain != 0:
		first.chain = e.chain
		r.entries[id] = first
	case e.chain == 0:
		e.chain = first.chain
	}
	m.log.put(idx, e)
}

// settle forgets what is not known for certain of the log of a node that
// crashed, now that it goes on.
func (r *raftCheck) settle(m *raftNode) {
	if m.hidden {
		m.hidden = false
		for k := max(m.known+1, m.log.first()); k <= m.log.last(); k++ {
			m.log.set(k, raftEntry{})
		}
	}
}

func (r *raftCheck) opOf(record int) string { return keyName(string(field(r.h.Value(record), "op"))) }

// truncate drops entries; or, after a crash, tells where the log ends that the
// node found on its disk.
func (r *raftCheck) truncate(i int, n int32, idx uint64) {
	m := r.members[n]
	switch {
	case m.hidden && idx < m.known:
		r.addf("durability-lost", []int{i}, "op %d: the log of %s ended at %d after a crash, though it had known entries up to %d to be committed", i, r.name(n), idx, m.known)
	case m.hidden && idx > m.log.last():
		m.log.put(idx, raftEntry{}) // and those between: they are not on record
	default:
		r.cut(i, n, idx)
	}
	m.log.truncate(idx)
	r.settle(m)
}

// cut: what is committed is not dropped.
func (r *raftCheck) cut(i int, n int32, idx uint64) {
	m := r.members[n]
	if idx < m.known {
		r.addf("committed-truncated", []int{i}, "op %d: %s cut its log after %d, though it knew entries up to %d to be committed", i, r.name(n), idx, m.known)
		return
	}
	has, want := m.log.at(idx+1), r.committed.at(idx+1)
	if has.by > 0 && want.by > 0 && has.chain != 0 && has.chain == want.chain {
		r.addf("committed-truncated", compact([]int{want.by - 1, has.by - 1, i}), "op %d: %s cut its log after %d, though its entry %d (op %d) is the one that was committed (op %d)",
			i, r.name(n), idx, idx+1, has.by-1, want.by-1)
	}
}

func (r *raftCheck) commit(i int, n int32, idx uint64) {
	m := r.members[n]
	if m.commits >= 0 && idx < m.commit {
		r.addf("commit-regressed", []int{m.commits, i}, "%s knew entries up to %d to be committed (op %d), and then up to %d (op %d)", r.name(n), m.commit, m.commits, idx, i)
	}
	if m.hidden {
		for k := max(m.known+1, m.log.first()); k <= min(idx, m.log.last()); k++ {
			m.log.set(k, r.committed.at(k))
		}
		if idx > m.log.last() { // it got more entries than are on record
			m.log.put(idx, r.committed.at(idx))
		}
	}
	m.commit, m.commits, m.known = idx, i, max(m.known, idx)
	if has, want := m.log.at(idx), r.committed.at(idx); has.by > 0 && want.by > 0 && !has.same(want) {
		r.addf("state-machine-safety", []int{want.by - 1, has.by - 1, i}, "%s committed entry %d as of op %d (op %d), but that of op %d was committed before",
			r.name(n), idx, has.by-1, i, want.by-1)
	}
	end := min(idx, m.log.last())
	for k := max(r.committed.last()+1, m.log.first()); k <= end; k++ {
		if e := m.log.at(k); e.by > 0 {
			r.committed.put(k, e)
		}
	}
	if last := len(r.commits) - 1; last < 0 || r.commits[last].idx < end {
		if last >= 0 && r.commits[last].term == r.termMax {
			r.commits[last].idx = end
		} else {
			r.commits = append(r.commits, raftCommit{r.termMax, end})
		}
	}
}

func (r *raftCheck) apply(i int, n int32, idx uint64, op []byte) {
	m := r.members[n]
	m.done = max(m.done, idx)
	e := raftEntry{op: r.hash(op), by: i + 1}
	first, known := r.applied[idx]
	if !known {
		r.applied[idx] = e
		return
	}
	if first.op != e.op {
		r.addf("state-machine-safety", []int{first.by - 1, i}, "%s applied %s as entry %d in op %d, and %s applied %s in op %d",
			r.h.Process(first.by-1), r.opOf(first.by-1), idx, first.by-1, r.name(n), keyName(string(op)), i)
	}
}

// snapshot compares states, and begins the log anew if the snapshot came from
// another node, as it did if the node had not come that far itself.
func (r *raftCheck) snapshot(i int, n int32, idx uint64, hash []byte) {
	m := r.members[n]
	if hash != nil {
		if first, known := r.snapshots[idx]; !known {
			r.snapshots[idx] = i
		} else if before := field(r.h.Value(first), "hash"); string(before) != string(hash) {
			r.addf("state-machine-safety", []int{first, i}, "the state after entry %d is %s at %s (op %d) and %s at %s (op %d)",
				idx, keyName(string(before)), r.h.Process(first), first, keyName(string(hash)), r.name(n), i)
		}
	}
	if idx <= m.done {
		return
	}
	base := r.committed.at(idx)
	if base.by == 0 && m.log.last() == 0 && idx == 1 && hash != nil {
		base = raftEntry{chain: r.hash(hash)} // what all begin with
	}
	m.log.reset(idx, base)
	m.known, m.done, m.hidden = max(m.known, idx), idx, false
}

var _ json.Unmarshaler = (*RaftOptions)(nil)

// UnmarshalJSON takes recovery as a number of nanoseconds or as "5s".
func (o *RaftOptions) UnmarshalJSON(b []byte) error {
	var v struct {
		Recovery lapse `json:"recovery"`
	}
	err := json.Unmarshal(b, &v)
	o.Recovery = time.Duration(v.Recovery)
	return err
}
