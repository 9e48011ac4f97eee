package raft

import (
	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// run does what raft has become ready for: persist, then send, then apply.
func (n *replica) run(env *node.Env) {
	for n.raft.HasReady() {
		ready := n.raft.Ready()
		n.persist(env, ready)
		if ready.SoftState != nil {
			n.announce(env, roles[ready.RaftState])
		}
		if c := ready.HardState.GetCommit(); c > n.committed {
			n.committed = c
			n.recordCommit(env)
		}
		for _, m := range ready.Messages {
			env.Send(n.peers[m.GetTo()-1], message{m})
		}
		for _, e := range ready.CommittedEntries {
			n.apply(env, e)
		}
		for _, r := range ready.ReadStates {
			n.confirmed(env, r)
		}
		n.raft.Advance(ready)
	}
	n.answerReads(env)
}

// persist writes what ready has to be remembered, and syncs it if anything that
// is sent or answered later may rest on it. A snapshot takes the place of the
// log, and of the machine, at once.
func (n *replica) persist(env *node.Env, ready etcd.Ready) {
	hard := ready.HardState
	if n.bug == "vote-not-persisted" {
		hard = n.store.withoutVote(hard, ready.Entries)
	}
	last := n.store.last()
	n.store.save(env, hard, ready.Entries, ready.Snapshot)
	if n.bug != "ack-before-sync" && (ready.MustSync || !etcd.IsEmptySnap(ready.Snapshot)) {
		env.Sync()
	}
	if h := ready.HardState; !etcd.IsEmptyHardState(h) {
		n.term = h.GetTerm()
		if b := (ballot{h.GetTerm(), h.GetVote()}); b.vote != 0 && b != n.voted {
			n.voted = b
			n.recordVote(env)
		}
	}
	if !etcd.IsEmptySnap(ready.Snapshot) {
		n.install(env)
	} else if len(ready.Entries) > 0 && ready.Entries[0].GetIndex() <= last {
		n.recordTruncate(env, ready.Entries[0].GetIndex()-1)
	}
	for _, e := range ready.Entries {
		n.recordAppend(env, e)
	}
}

var roles = map[etcd.StateType]string{
	etcd.StateFollower:     "follower",
	etcd.StatePreCandidate: "candidate",
	etcd.StateCandidate:    "candidate",
	etcd.StateLeader:       "leader",
}

// announce tells the world and the history of the node's role, if it is new.
func (n *replica) announce(env *node.Env, role string) {
	if role == n.role && n.term == n.since {
		return
	}
	n.role, n.since, n.lead = role, n.term, role == "leader"
	n.lease = lease{}
	env.Role(role, n.term)
	if n.lead {
		n.recordLeader(env)
	}
}

// install puts the machine into the state of the snapshot on disk.
func (n *replica) install(env *node.Env) {
	n.machine = restore(n.store.snap.GetData())
	n.applied = n.store.snap.GetMetadata().GetIndex()
	n.conf = n.store.snap.GetMetadata().GetConfState()
	n.recordSnapshot(env, n.machine.encode(false))
	n.answerKnown(env)
}

// apply carries out a committed entry.
func (n *replica) apply(env *node.Env, e *pb.Entry) {
	n.applied = e.GetIndex()
	name := opName(e)
	n.recordApply(env, n.applied, name)
	n.machine.note(name)
	changed := false
	switch {
	case e.GetType() != pb.EntryNormal:
		changed = n.applyConf(env, e)
	case len(e.GetData()) > 0:
		c := parse(string(e.GetData()))
		n.answer(env, c, n.machine.apply(c, n.bug == "retry-applies-twice"))
	}
	// A snapshot taken before a change of membership names other members, and a
	// newcomer would refuse it. So one follows each change.
	if changed || n.applied%n.every == 0 {
		state := n.machine.encode(false)
		n.recordSnapshot(env, state)
		if n.bug == "snapshot-drops-keys" {
			state = n.machine.encode(true)
		}
		n.store.snapshot(env, n.applied, n.conf, state, n.every/4)
	}
}
