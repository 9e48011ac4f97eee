package raft

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"github.com/torture-harness/torture/node"
)

// waiter is a request that this node has taken and not answered yet.
type waiter struct {
	command
	request     node.Request
	byIndex     bool   // it is a read that goes around the log
	index       uint64 // and may be answered once this is applied; 0: not known
	taken, sent time.Duration
	patience    time.Duration // after sent, until it is sent again; twice as long each time
}

// Request takes a client's operation. Its effect, if it has one, goes through
// the log; this node answers when it applies it, whoever leads.
func (n *replica) Request(env *node.Env, r node.Request) {
	if r.F == Members {
		env.Reply(r, n.members())
		return
	}
	c, err := operation(r)
	if err != nil {
		env.Fail(r, err.Error())
		return
	}
	if c.f == Leave || c.f == Join {
		if n.numberOf(c.value) == 0 {
			env.Fail(r, "there is no such node")
			return
		}
		c.key = n.machine.version()
	}
	if n.bug == "local-reads" && c.readOnly() {
		n.reply(env, r, n.machine.do(c))
		return
	}
	if !n.isMember() {
		env.Fail(r, "not a member")
		return
	}
	w := &waiter{command: c, request: r, taken: env.Now, byIndex: n.reads != "log" && c.readOnly()}
	w.origin, w.life, w.seq, w.low = string(env.ID), n.life, n.seq, n.seq
	if len(n.waiting) > 0 {
		w.low = n.waiting[0].seq
	}
	n.seq++
	n.waiting = append(n.waiting, w)
	n.send(env, w)
	n.run(env)
	if n.bug == "ack-before-commit" && n.lead && c.f == "write" {
		n.answer(env, w.command, reply{Value: json.RawMessage(c.value)})
	}
}

// send sets a request on its way: raft passes it on to the leader. Where there
// is none it is dropped, and sent again later.
func (n *replica) send(env *node.Env, w *waiter) {
	w.sent, w.patience = env.Now, max(retryAfter, 2*w.patience)
	switch {
	case w.byIndex:
		n.askIndex(env, w)
	case w.f == Leave || w.f == Join:
		_ = n.raft.ProposeConfChange(n.change(w.command))
	default:
		_ = n.raft.Propose(w.encode())
	}
}

// retry sends again what has not been answered for a while, less and less often:
// who is slow to answer would be slower still if it were asked as often as it is
// awaited. The machine does a command once, however often it is in the log.
func (n *replica) retry(env *node.Env) {
	n.waiting = slices.DeleteFunc(n.waiting, func(w *waiter) bool { return env.Now-w.taken >= forgetAfter })
	for _, w := range n.waiting {
		if w.index == 0 && env.Now-w.sent >= w.patience {
			n.send(env, w)
		}
	}
}

// answer answers whoever waits here for a command that has been applied.
func (n *replica) answer(env *node.Env, c command, r reply) {
	if c.life != n.life || c.origin != string(env.ID) {
		return
	}
	if i, ok := n.waiter(c.seq); ok {
		n.reply(env, n.waiting[i].request, r)
		n.waiting = slices.Delete(n.waiting, i, i+1)
	}
}

// answerKnown answers all whose commands were applied by others, as a snapshot
// tells.
func (n *replica) answerKnown(env *node.Env) {
	s := n.machine.sessions[string(env.ID)]
	if s == nil || s.Life != n.life {
		return
	}
	n.waiting = slices.DeleteFunc(n.waiting, func(w *waiter) bool {
		r, ok := s.Replies[w.seq]
		if ok {
			n.reply(env, w.request, r)
		}
		return ok
	})
}

func (n *replica) reply(env *node.Env, to node.Request, r reply) {
	if r.Error != "" {
		env.Fail(to, r.Error)
	} else {
		env.Reply(to, r.Value)
	}
}

// waiter finds the waiting request of that number.
func (n *replica) waiter(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(n.waiting, seq, func(w *waiter, seq uint64) int { return cmp.Compare(w.seq, seq) })
}
