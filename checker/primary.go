package checker

import (
	"context"
	"slices"

	"github.com/torture-harness/torture/histories"
)

// PrimaryReplicaOptions say what was promised.
type PrimaryReplicaOptions struct {
	// Reads is primary if all reads are served by the primary, without
	// failover: then the versions that they return must make each key
	// linearizable. Otherwise stale reads are counted, and allowed.
	Reads string `json:"reads,omitempty"`
	// MayLose acknowledged writes: with failover, and without waiting for a
	// quorum of replicas. Losses are reported, and allowed.
	MayLose bool `json:"may-lose,omitempty"`
}

// PrimaryReplica checks primary–replica replication: the primary orders all
// writes in its log, and every replica's log is a prefix of it.
//
// It reads the nodes' records
//
//	append     {"idx", "op"}    the primary puts op at place idx of its log
//	apply      {"idx", "op"}    a replica does
//	truncate   {"idx"}          the node's log is cut after idx; also rtruncate
//	promote    {"term"}         the node becomes the primary; also role
//	final-log  {"ops"}          the node's log at the end, from "from", if that
//	                            is not its beginning; or the log's "hash"
//
// and crash and restart. Clients' writes return the fields op, their name in
// the log, and idx, which counts from 1; reads return idx, the place of the
// write that they saw, or 0.
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
		p.findPrimaries()
		if err := p.read(ctx); err != nil {
			return unknown("primary-replica", err)
		}
		p.lost()
		p.converged()
		if err := p.reads(); err != nil {
			return unknown("primary-replica", err)
		}
		p.stats["ops"], p.stats["nodes"], p.stats["records"] = len(p.ops.texts), len(p.nodes.names), p.records
		r := p.result("")
		if r.Verdict == Valid && p.records == 0 {
			r.Verdict, r.Why = Vacuous, "no node recorded anything of its log"
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
}

// replicaLog is a node's log.
type replicaLog struct {
	primary bool
	down    bool
	life    int32
	last    uint64 // highest idx
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
		n := p.nodes.of(p.h.Process(i))
		if n == notNode {
			continue
		}
		for int(n) >= len(p.copies) {
			p.copies = append(p.copies, &replicaLog{})
		}
		log := p.copies[n]
		switch p.h.F(i) {
		case "crash":
			log.down = true
			log.life++
		case "restart":
			log.down = false
			log.life++
		case "promote", "role":
			if log.primary = p.promotes(i); log.primary {
				p.primary = n
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
		case "final-log":
			if err := p.finish(i, log); err != nil {
				return err
			}
		}
	}
	return nil
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
		p.primary, log.primary = n, true
	}
	if !appends {
		p.sequence(i, n, log, idx, op)
	}
	known := p.orders.get(idx)
	switch {
	case appends && log.primary:
		if !slices.Contains(known, op) {
			p.orders.put(idx, append(known, op))
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
