package raft

import (
	"encoding/json"
	"strconv"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// What the node did and no client sees, for the checker of Raft's own
// properties. A record is made once what it tells of is durable, and before any
// message that rests on it. They are many, so they are built by hand.

func (n *replica) recordLeader(env *node.Env) {
	env.Record("leader", fields(nil).number("term", n.term).end())
}

func (n *replica) recordVote(env *node.Env) {
	env.Record("vote", fields(nil).number("term", n.voted.term).text("for", string(n.peers[n.voted.vote-1])).end())
}

func (n *replica) recordAppend(env *node.Env, e *pb.Entry) {
	env.Record("append", fields(nil).number("term", e.GetTerm()).number("idx", e.GetIndex()).text("op", opName(e)).end())
}

// recordTruncate tells that the log ends at idx: what followed is replaced, or
// this is what a restart finds.
func (n *replica) recordTruncate(env *node.Env, idx uint64) {
	env.Record("truncate", fields(nil).number("idx", idx).end())
}

func (n *replica) recordCommit(env *node.Env) {
	env.Record("commit", fields(nil).number("idx", n.committed).end())
}

func (n *replica) recordApply(env *node.Env, idx uint64, op string) {
	env.Record("apply", fields(nil).number("idx", idx).text("op", op).end())
}

// recordSnapshot tells the state at an index where snapshots are made, whether
// it came about by applying entries or from a snapshot. Who is a member is part
// of it: the log decides that too.
func (n *replica) recordSnapshot(env *node.Env, state []byte) {
	h := hash(0, state)
	for _, member := range n.conf.GetVoters() {
		h = hash(h, strconv.FormatUint(member, 10)+" ")
	}
	env.Record("snapshot", fields(nil).number("idx", n.applied).text("hash", strconv.FormatUint(h, 16)).end())
}

// fields is a JSON object in the making.
type fields []byte

func (b fields) name(name string) fields {
	if b == nil {
		b = append(make(fields, 0, 64), '{')
	} else {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), `":`...)
}

func (b fields) number(name string, v uint64) fields { return strconv.AppendUint(b.name(name), v, 10) }

// text is for strings that need no escapes.
func (b fields) text(name, v string) fields {
	return append(append(append(b.name(name), '"'), v...), '"')
}

func (b fields) end() json.RawMessage { return json.RawMessage(append(b, '}')) }
