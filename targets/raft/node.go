// Package raft is a replicated state machine over the Raft library of etcd,
// go.etcd.io/raft/v3: the log, its snapshots, client sessions, linearizable
// reads and changes of membership.
//
// It follows Ongaro and Ousterhout, "In Search of an Understandable Consensus
// Algorithm", USENIX ATC 2014, and Ongaro's thesis "Consensus: Bridging Theory
// and Practice", Stanford 2014, for sessions (§6.3), reads (§6.4), membership
// (§4.1) and Pre-Vote (§9.6). The library decides; this package keeps its
// contract: what a Ready holds is durable before anything that rests on it is
// sent or answered.
package raft

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"github.com/torture-harness/torture/node"
)

const (
	tick          = 100 * time.Millisecond
	electionTicks = 10                     // a leader unheard of for so long is replaced
	retryAfter    = 300 * time.Millisecond // and then twice as long each time
	forgetAfter   = 5 * time.Second        // then a request has been given up by its client
)

// replica is one node of the group.
type replica struct {
	bug   string
	reads string // log, index, lease
	every uint64 // entries from one snapshot to the next
	asks  bool   // Pre-Vote: before it begins an election

	self  uint64 // raft's number of this node: its place in peers, from 1
	peers []node.ID
	life  uint64 // boots so far, this one included

	raft    *etcd.RawNode
	store   *storage
	machine *machine
	conf    *pb.ConfState // the members, as of applied
	applied uint64

	term      uint64 // current
	committed uint64 // as known last
	voted     ballot // the vote recorded last
	role      string // as announced last
	since     uint64 // the term of that announcement
	lead      bool   // that role is leader
	expelled  uint64 // as of this index, a peer said, the node was no member

	seq     uint64    // requests taken in this life
	waiting []*waiter // in the order of their seq

	lease lease
	heard time.Duration // when a leader was heard last, or this life began
	owed  []int         // ticks for which each peer has been owed a snapshot

	rejected []rejection // the last of each peer, in this tick
}

// rejection is what a peer says whose log does not fit an append.
type rejection struct{ index, hint uint64 }

// ballot is a vote: in that term, for that node.
type ballot struct{ term, vote uint64 }

// New makes a node.
func New(o node.Options) node.Node {
	every, err := strconv.ParseUint(o.Flag("snapshot-every"), 10, 64)
	if err != nil || every == 0 {
		panic(fmt.Sprintf("flag snapshot-every is %q: want a number above 0", o.Flag("snapshot-every")))
	}
	return &replica{bug: o.Bug, reads: o.Flag("reads"), every: every, asks: o.Flag("pre-vote") != "off"}
}

// Start boots the node from its disk, or, on its first boot, from a snapshot
// that is the same at all nodes and has all of them as voters.
func (n *replica) Start(env *node.Env) {
	n.peers = env.Peers
	n.self = uint64(slices.Index(n.peers, env.ID)) + 1
	n.owed, n.rejected = make([]int, len(n.peers)+1), make([]rejection, len(n.peers)+1)
	n.heard = env.Now

	env.Read("life", &n.life)
	n.life++
	env.Write("life", n.life)
	n.store = open(env, len(n.peers))
	env.Sync() // before the life's number names anything

	n.install(env)
	if n.life > 1 {
		n.recordTruncate(env, n.store.last())
	}
	hard := n.store.hard
	n.term, n.committed = hard.GetTerm(), max(hard.GetCommit(), n.applied)
	n.voted = ballot{hard.GetTerm(), hard.GetVote()}

	config := &etcd.Config{
		ID:                n.self,
		ElectionTick:      electionTicks,
		HeartbeatTick:     1,
		Storage:           n.store,
		Applied:           n.applied,
		MaxSizePerMsg:     64 << 10,
		MaxInflightMsgs:   256,
		CheckQuorum:       true,
		PreVote:           n.asks,
		StepDownOnRemoval: true,
		Logger:            silent{},
	}
	if n.bug == "lease-by-ticks" {
		config.ReadOnlyOption = etcd.ReadOnlyLeaseBased
	}
	raft, err := etcd.NewRawNode(config)
	if err != nil {
		panic(err)
	}
	n.raft = raft
	n.announce(env, "follower")
	env.After(time.Duration(env.Rand("tick").Int64N(int64(tick))), "tick")
	n.run(env)
}

// Timer is raft's tick. Everything that waits is looked after here.
func (n *replica) Timer(env *node.Env, _ string) {
	env.After(tick, "tick")
	clear(n.rejected)
	n.raft.Tick()
	if n.lead {
		n.renewLease(env)
		n.resendSnapshots()
	}
	n.retry(env)
	n.run(env)
}

// Receive steps a peer's message through raft.
func (n *replica) Receive(env *node.Env, from node.ID, m any) {
	switch m := m.(type) {
	case message:
		n.step(env, from, m.Message)
	case expelled:
		n.expelled = max(n.expelled, m.Index)
	}
	n.run(env)
}

func (n *replica) step(env *node.Env, from node.ID, m *pb.Message) {
	sender := m.GetFrom()
	switch m.GetType() {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		if m.GetTerm() >= n.term {
			n.heard = env.Now
		}
	case pb.MsgAppResp:
		// A follower that has lost what it had acknowledged rejects the same
		// append as often as it is sent, and raft sends it as often as it is
		// rejected.
		r := rejection{m.GetIndex(), m.GetRejectHint()}
		if m.GetReject() && r == n.rejected[sender] {
			return
		} else if m.GetReject() {
			n.rejected[sender] = r
		}
	case pb.MsgVote, pb.MsgPreVote:
		n.tellExpelled(env, sender)
		if n.tellTerm(env, m) || n.bound(env.Now) {
			return
		}
	case pb.MsgProp:
		if n.tellExpelled(env, sender) {
			return
		}
	case pb.MsgReadIndex:
		if n.tellExpelled(env, sender) || n.confirmRead(env, m) {
			return
		}
	}
	// An error is a proposal dropped, or a response to a question of another
	// membership: who asked asks again.
	_ = n.raft.Step(m)
}

// tellTerm tells who asks for a vote in a term that is over of the present one, as
// the paper has it. The library says nothing: a candidate that needs the vote of
// one which campaigns as well, and by an older membership does not ask it, would
// stay a term behind for ever.
func (n *replica) tellTerm(env *node.Env, m *pb.Message) bool {
	if m.GetType() != pb.MsgVote || m.GetTerm() >= n.term {
		return false
	}
	env.Send(n.peers[m.GetFrom()-1], message{&pb.Message{
		Type: pb.MsgVoteResp.Enum(), From: &n.self, To: m.From, Term: &n.term, Reject: new(true),
	}})
	return true
}

// resendSnapshots tells raft of snapshots that have been on their way for too
// long. It sends no message to a peer until it knows what became of them.
func (n *replica) resendSnapshots() {
	n.raft.WithProgress(func(id uint64, _ etcd.ProgressType, p tracker.Progress) {
		if p.State != tracker.StateSnapshot {
			n.owed[id] = 0
		} else if n.owed[id]++; n.owed[id] > electionTicks {
			n.owed[id] = 0
			n.raft.ReportSnapshot(id, etcd.SnapshotFailure)
		}
	})
}
