package checker

import (
	"context"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// PrimaryReplicaOptions say what was promised.
type PrimaryReplicaOptions struct {
	// Reads is primary if all reads are served by the primary, without
	// failover, and all other nodes refuse them; replica if any node serves
	// them, and may be behind: then stale reads are permitted. Empty: any node
	// does, and must not be.
	Reads string `json:"reads,omitempty"`
	// Copies is how many nodes beside the primary must hold a write, durably,
	// before it is acknowledged.
	Copies int `json:"copies,omitempty"`
	// Unsynced: nodes serve, and record, what a loss of power takes from them.
	Unsynced bool `json:"unsynced,omitempty"`
	// MayLose acknowledged writes: with failover, and without waiting for a
	// quorum of replicas. Losses are permitted.
	MayLose bool `json:"may-lose,omitempty"`
}

// PrimaryReplica checks primary–replica replication: the primary orders all
// writes in its log, and every replica's log is a prefix of it.
//
// It reads the nodes' records
//
//	append     {"idx", "op"}    the primary puts op at place idx of its log;
//	                            does: what it changes, a list of ["w", key,
//	                            value] and ["append", key, value]
//	apply      {"idx", "op"}    a replica does
//	held       {"idx"}          the node's log is on its disk up to idx
//	truncate   {"idx"}          the node's log is cut after idx; also rtruncate
//	promote    {"term"}         the node becomes the primary; also role
//	final-log  {"ops"}          the node's log at the end, from "from", if that
//	                            is not its beginning; or the log's "hash"
//
// and crash and restart. Clients' writes return the fields op, their name in
// the log, and idx, which counts from 1; reads return idx, the place of the
// write that they saw, or 0. An answer may say by at up to where in the log it
// was true.
//
//	wrong-value, wrong-outcome
//	                 an answer is not what the log says there
//	phantom-write    the log does what nobody asked for, or what was refused
//	under-replicated a write was acknowledged and held by too few
//	durability-lost  a node has less after a crash than it had on disk
//	dirty-read       a node served what it had not recorded to be in its log
//	not-refused      a node answered what only the primary may answer
//
// and others by the names that they have elsewhere.
// A node that comes back may record once more what it does not know that it
// has recorded.
func PrimaryReplica(o PrimaryReplicaOptions) Checker {
	return Func(func(ctx context.Context, h histories.History) Result {
		if err := oneOf("reads", o.Reads, []string{"", "primary", "replica"}); err != nil {
			return unknown("primary-replica", err)
		}
		p := replication{
			findings: find("primary-replica"), o: o, h: h, end: endingOf(h),
		}
		if o.Reads == "replica" {
			p.permit("stale-read")
		}
		if o.MayLose {
			p.permit("lost-acknowledged-write")
		}
		p.findPrimaries()
		if err := p.read(ctx); err != nil {
			return unknown("primary-replica", err)
		}
		p.sayCopies()
		p.values()
		if err := p.answers(); err != nil {
			return unknown("primary-replica", err)
		}
		p.lost()
		p.converged()
		p.stats["ops"], p.stats["nodes"], p.stats["records"] = len(p.ops.texts), len(p.nodes.names), p.records
		p.stats["answers-by-log"] = p.judged
		r := p.result(p.undecided())
		if p.records == 0 {
			r.vacuous("no node recorded anything of its log")
		}
		return r
	})
}

type replication struct {
	*findings
	o        PrimaryReplicaOptions
	h        histories.History
	end      ending
	nodes    nodes
	ops      dictionary // names of writes
	copies   []*replicaLog
	orders   table[[]int32] // of an idx, the ops that a primary put there
	places   table[uint64]  // of an op, 1 + its idx at a primary
	announce bool           // primaries announce themselves
	primary  int32          // the last
	records  int

	state     logState
	primaries int        // nodes that were primary
	recorded  []progress // how far primaries had recorded the log
	shown     []progress // how far answers had shown it
	judged    int        // answers judged by the log
	holdings  int        // held records
}

// progress is how far the log was known to go after op i.
type progress struct {
	i   int
	idx uint64
}

// further notes that after op i the log goes up to idx.
func further(all []progress, i int, idx uint64) []progress {
	if n := len(all); n > 0 && all[n-1].idx >= idx {
		return all
	}
	return append(all, progress{i, idx})
}

// before is how far the log was known to go before op i.
func before(all []progress, i int) uint64 {
	n, _ := slices.BinarySearchFunc(all, i, func(p progress, i int) int { return p.i - i })
	if n == 0 {
		return 0
	}
	return all[n-1].idx
}

// replicaLog is a node's log.
type replicaLog struct {
	primary bool
	led     int // since when it is, or was, the primary; -1: it never was
	down    bool
	life    int32
	last    uint64 // highest idx
	durable uint64 // highest idx that it recorded to have on disk
	by      int    // that record
	forgot  bool   // since then a loss of power may have taken some of it
	at      table[placed]
	held    table[int] // of an op that was ever in the log, 1 + the record
	final   *finalLog
}

// cut drops what lies after idx.
func (log *replicaLog) cut(idx uint64) {
	if idx < log.last {
		log.at.cut(idx)
		log.last = idx
	}
}

// placed is what lies at one place of a log; nothing if by is 0.
type placed struct {
	op   int32
	life int32
	by   int // 1 + record
}

type finalLog struct {
	by   int // record
	from uint64
	ops  []int32
	hash []byte // if it came without ops
}

// findPrimaries sees whether primaries announce themselves. If none does, the
// first node that appends is the primary.
func (p *replication) findPrimaries() {
	p.primary = notNode
	for i := range p.h.Len() {
		if !p.h.Process(i).Client() && p.promotes(i) {
			p.announce = true
			return
		}
	}
}

func (p *replication) promotes(i int) bool {
	switch p.h.F(i) {
	case "promote":
		return true
	case "role":
		return string(field(p.h.Value(i), "role")) == `"primary"`
	}
	return false
}

func (p *replication) read(ctx context.Context) error {
	for i := range p.h.Len() {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if p.h.Process(i).Client() {
			p.completed(i)
			continue
		}
		n := p.nodes.of(p.h.Process(i))
		if n == notNode {
			continue
		}
		for int(n) >= len(p.copies) {
			p.copies = append(p.copies, &replicaLog{led: -1})
		}
		log := p.copies[n]
		switch p.h.F(i) {
		case "crash":
			log.down = true
			log.life++
			log.forgot = log.forgot || p.forgets(i)
		case "restart":
			log.down = false
			log.life++
		case "promote", "role":
			if log.primary = p.promotes(i); log.primary {
				p.leads(i, n, log)
			}
		case "append", "apply":
			if err := p.put(i, n, log); err != nil {
				return err
			}
		case "truncate", "rtruncate":
			idx, ok := integer(field(p.h.Value(i), "idx"))
			if !ok {
				return missing(p.h.At(i), "want an object with the idx to cut after")
			}
			log.cut(uint64(idx))
			log.durable = min(log.durable, uint64(idx))
		case "held":
			idx, ok := integer(field(p.h.Value(i), "idx"))
			if !ok || idx < 0 {
				return missing(p.h.At(i), "want an object with the idx up to which the node has the log on disk")
			}
			p.holds(i, n, log, uint64(idx))
		case "final-log":
			if err := p.finish(i, log); err != nil {
				return err
			}
		}
	}
	return nil
}

// leads notes that n is the primary.
func (p *replication) leads(i int, n int32, log *replicaLog) {
	p.primary, log.primary = n, true
	if log.led < 0 {
		log.led = i
		p.primaries++
	}
}

// put takes an append or apply record.
func (p *replication) put(i int, n int32, log *replicaLog) error {
	value := p.h.Value(i)
	place, ok := integer(field(value, "idx"))
	name := field(value, "op")
	if !ok || place < 1 || null(name) {
		return missing(p.h.At(i), "want an object with op and idx, which counts from 1")
	}
	p.records++
	idx, op, who := uint64(place), p.ops.of(name), p.nodes.names[n]
	if before := log.at.get(idx); before.by > 0 && before.op == op && before.life < log.life {
		return nil // recorded once more
	}
	appends := p.h.F(i) == "append"
	if appends && !p.announce && p.primary == notNode {
		p.leads(i, n, log)
	}
	if !appends {
		p.sequence(i, n, log, idx, op)
	}
	known := p.orders.get(idx)
	if had := log.at.get(idx); appends && had.by > 0 && had.op != op && !log.forgot {
		p.addf("durability-lost", []int{had.by - 1, i}, "op %d: %s put %s at %d of its log, where it had put %s in op %d", i, who, p.ops.name(op), idx, p.ops.name(had.op), had.by-1)
	}
	switch {
	case appends && log.primary:
		if !p.state.take(i, idx, op, field(value, "does")) {
			return missing(p.h.At(i), `want does to be a list of ["w", key, value] and ["append", key, value]`)
		}
		p.recorded = further(p.recorded, i, idx)
		if !slices.Contains(known, op) {
			p.orders.put(idx, append(known, op))
		}
		if was := p.places.get(uint64(op)); was > 0 && was-1 < idx && log.at.get(was-1).op == op {
			by := log.at.get(was-1).by - 1
			p.addf("applied-twice", []int{by, i}, "op %d: %s put %s at %d of its log, which has it at %d already (op %d)", i, who, p.ops.name(op), idx, was-1, by)
		}
		p.places.put(uint64(op), idx+1)
	case appends:
		p.addf("replica-wrote", []int{i}, "op %d: %s, which is not the primary, put %s at %d of its log", i, who, p.ops.name(op), idx)
		if len(known) > 0 && !slices.Contains(known, op) {
			p.addf("divergence", []int{i}, "op %d: %s has %s at %d of its log, where the primary has %s", i, who, p.ops.name(op), idx, p.ops.name(known[len(known)-1]))
		}
	case len(known) == 0:
		p.addf("applied-unknown", []int{i}, "op %d: %s applied %s as %d, which no primary had put there", i, who, p.ops.name(op), idx)
	case !slices.Contains(known, op):
		p.addf("divergence", []int{i}, "op %d: %s applied %s as %d, where the primary has %s", i, who, p.ops.name(op), idx, p.ops.name(known[len(known)-1]))
	}
	log.at.put(idx, placed{op, log.life, i + 1})
	log.held.put(uint64(op), i+1)
	log.last = max(log.last, idx)
	return nil
}

// sequence: a replica applies the log without gaps, in order.
func (p *replication) sequence(i int, n int32, log *replicaLog, idx uint64, op int32) {
	who, name := p.nodes.names[n], p.ops.name(op)
	before := log.at.get(log.last).by - 1 // the record of the last entry, or -1
	switch {
	case idx == log.last+1:
	case idx > log.last && before < 0:
		if idx > 1 {
			p.addf("replica-gap", []int{i}, "op %d: %s applied %s as %d, and nothing before it", i, who, name, idx)
		}
	case idx > log.last:
		p.addf("replica-gap", []int{before, i}, "op %d: %s applied %s as %d, after %d (op %d)", i, who, name, idx, log.last, before)
	case before < 0:
		p.addf("replica-reorder", []int{i}, "op %d: %s applied %s as %d, when it had come to %d", i, who, name, idx, log.last)
	default:
		p.addf("replica-reorder", []int{before, i}, "op %d: %s applied %s as %d, when it had come to %d (op %d)", i, who, name, idx, log.last, before)
	}
}

func (p *replication) finish(i int, log *replicaLog) error {
	value := p.h.Value(i)
	f := &finalLog{by: i, from: 1, hash: field(value, "hash")}
	if from, ok := integer(field(value, "from")); ok && from > 0 {
		f.from = uint64(from)
	}
	list := field(value, "ops")
	if list == nil && f.hash == nil || list != nil && !elements(list, func(e []byte) { f.ops = append(f.ops, p.ops.of(e)) }) {
		return missing(p.h.At(i), "want an object with ops, a list, or hash")
	}
	if list != nil {
		f.hash = nil
	}
	log.final = f
	return nil
}
