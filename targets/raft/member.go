package raft

import (
	"encoding/json"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// The operations that change the membership, one node at a time, whose value is
// the node's name; and the one that asks a node who is a member.
const (
	Leave   = "leave"
	Join    = "join"
	Members = "members"
)

// A change holds for the membership that its taker knew, which is the command's
// key: a request to leave that has been on its way for long must not undo a
// later one to join. So each that is granted makes those before it void, also
// one to join that finds the node a member still.

// version names the present membership.
func (m *machine) version() string { return strconv.FormatUint(m.membership, 10) }

// change is the entry that asks for what c does.
func (n *replica) change(c command) *pb.ConfChange {
	kind := pb.ConfChangeAddNode
	if c.f == Leave {
		kind = pb.ConfChangeRemoveNode
	}
	return &pb.ConfChange{Type: kind.Enum(), NodeId: new(n.numberOf(c.value)), Context: c.encode()}
}

// numberOf is raft's number of the node that a JSON string names; 0 if there is
// no such node.
func (n *replica) numberOf(value string) uint64 {
	var id node.ID
	if json.Unmarshal([]byte(value), &id) != nil {
		return 0
	}
	return uint64(slices.Index(n.peers, id) + 1)
}

func confChange(e *pb.Entry) *pb.ConfChange {
	cc := &pb.ConfChange{}
	unmarshal(e.GetData(), cc)
	return cc
}

// applyConf carries out a committed change of membership, and tells whether it
// changed anything. All nodes decide alike, since they decide by the log.
func (n *replica) applyConf(env *node.Env, e *pb.Entry) (changed bool) {
	cc := confChange(e)
	c := parse(string(cc.GetContext()))
	s := n.machine.session(c.origin)
	r, done := s.done(c)
	if !done {
		r = reply{Value: json.RawMessage(c.value)}
		member := slices.Contains(n.conf.GetVoters(), cc.GetNodeId())
		switch {
		case c.key != n.machine.version():
			r = reply{Error: "the membership has changed meanwhile"}
		case c.f == Leave && member && len(n.conf.GetVoters()) <= len(n.peers)/2+1:
			r = reply{Error: "too few members would be left"}
		default:
			n.machine.membership = n.applied
			changed = member == (c.f == Leave)
		}
		s.keep(c, r)
	}
	if changed {
		n.conf = n.raft.ApplyConfChange(proto.Clone(cc).(*pb.ConfChange))
		n.lease = lease{} // it was confirmed by another quorum
	}
	n.answer(env, c, r)
	return changed
}

// members are the nodes that are voters, as far as this one knows.
func (n *replica) members() []node.ID {
	all := []node.ID{}
	for i, id := range n.peers {
		number := uint64(i + 1)
		if number != n.self && slices.Contains(n.conf.GetVoters(), number) || number == n.self && n.isMember() {
			all = append(all, id)
		}
	}
	return all
}

// isMember tells whether this node is a voter, as far as it knows.
func (n *replica) isMember() bool {
	return n.applied >= n.expelled && slices.Contains(n.conf.GetVoters(), n.self)
}

// tellExpelled tells a sender that is no member so, and tells whether it did.
func (n *replica) tellExpelled(env *node.Env, sender uint64) bool {
	if slices.Contains(n.conf.GetVoters(), sender) {
		return false
	}
	env.Send(n.peers[sender-1], expelled{n.applied})
	return true
}
