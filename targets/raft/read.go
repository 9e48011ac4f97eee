package raft

import (
	"slices"
	"strconv"
	"strings"
	"time"

	etcd "go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

// Reads that go around the log: the node asks the leader for its commit index,
// which the leader gives once it has made sure that it still leads, and answers
// when it has applied as much (Ongaro's thesis, §6.4).

// askIndex asks for the index that a read must see.
func (n *replica) askIndex(env *node.Env, w *waiter) {
	if n.surelyLeads(env.Now) {
		w.index = n.committed
		return
	}
	n.raft.ReadIndex(w.name())
}

// confirmRead answers a peer's question for an index at once, if that is
// possible.
func (n *replica) confirmRead(env *node.Env, m *pb.Message) bool {
	if !n.surelyLeads(env.Now) {
		return false
	}
	env.Send(n.peers[m.GetFrom()-1], message{&pb.Message{
		Type:    pb.MsgReadIndexResp.Enum(),
		From:    &n.self,
		To:      m.From,
		Term:    &n.term,
		Index:   &n.committed,
		Entries: m.GetEntries(),
	}})
	return true
}

// confirmed takes an index that a leader has given.
func (n *replica) confirmed(env *node.Env, r etcd.ReadState) {
	name := string(r.RequestCtx)
	if at, ok := strings.CutPrefix(name, "lease "); ok {
		n.leased(at)
		return
	}
	c := parseName(name)
	if i, ok := n.waiter(c.seq); ok && c.life == n.life && c.origin == string(env.ID) && n.waiting[i].byIndex {
		n.waiting[i].index = r.Index
	}
}

// answerReads answers the reads whose index has been applied.
func (n *replica) answerReads(env *node.Env) {
	n.waiting = slices.DeleteFunc(n.waiting, func(w *waiter) bool {
		if w.index == 0 || w.index > n.applied {
			return false
		}
		n.reply(env, w.request, n.machine.do(w.command))
		return true
	})
}

// surelyLeads tells whether there can be no newer leader than this node.
func (n *replica) surelyLeads(now time.Duration) bool {
	if n.bug == "read-index-skips-quorum" {
		return n.lead
	}
	return n.lead && n.reads == "lease" && now < n.lease.until
}

// A lease is the time for which a leader knows that no other is elected, by its
// own clock. Each tick it asks for a read index; when a quorum has confirmed
// that, then every one of it has heard this leader since the question was
// asked, and helps to elect no other for an election timeout from then on.
//
// The library's own ReadOnlyLeaseBased is not used, for it does not keep what
// it promises even where clocks are exact: its leader goes by CheckQuorum,
// which finds out after up to two election timeouts that nobody answers,
// while the others wait for one; a paused leader counts no ticks; and a
// follower that restarts knows of no lease.
type lease struct{ until time.Duration }

// leaseSpan leaves room for clocks that differ by 10 % each way. Of the ticks
// after which a follower begins an election the first may come at once.
const leaseSpan = (electionTicks - 1) * tick * 8 / 10

func (n *replica) renewLease(env *node.Env) {
	if n.reads == "lease" {
		n.raft.ReadIndex([]byte("lease " + strconv.FormatUint(n.term, 10) + " " + strconv.FormatInt(int64(env.Now), 10)))
	}
}

// leased extends the lease, if the confirmed question is of this term.
func (n *replica) leased(question string) {
	term, at, _ := strings.Cut(question, " ")
	if n.lead && number(term) == n.term {
		n.lease.until = max(n.lease.until, time.Duration(number(at))+leaseSpan)
	}
}

// bound tells whether this node owes it to a leader's lease not to vote: it has
// heard that leader, or may have in an earlier life. Raft keeps to this too,
// but forgets it when it restarts or hears of a newer term.
func (n *replica) bound(now time.Duration) bool {
	return n.reads == "lease" && now-n.heard < electionTicks*tick
}
