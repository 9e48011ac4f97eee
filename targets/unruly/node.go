// Package unruly is a target that torture tests itself with: its node does
// nothing but answer, and each of its bugs is a way to break what every node
// owes its world and its clients. Only tests know it.
package unruly

import (
	"fmt"
	"time"

	"github.com/torture-harness/torture/node"
)

const tick = 100 * time.Millisecond

// hello is what nodes say to each other, each tick.
type hello struct{}

// Messages is the codec of what nodes say to each other.
var Messages = node.Messages(hello{})

type member struct {
	bug    string
	life   int
	ticks  int
	echoed []node.Request // since the last tick
	seen   []int
}

// New makes a node.
func New(o node.Options) node.Node { return &member{bug: o.Bug} }

func (m *member) Start(env *node.Env) {
	env.Read("life", &m.life)
	m.life++
	env.Write("life", m.life)
	env.Sync()
	env.After(tick, "tick")
}

func (m *member) Request(env *node.Env, r node.Request) {
	switch {
	case m.bug == "deaf-after-restart" && m.life > 1:
		return
	case r.F != "echo":
		env.Fail(r, fmt.Sprintf("there is no operation %q", r.F))
		return
	case m.bug == "takes-back":
		env.Fail(r, "busy")
		env.Reply(r, r.Value)
		return
	case m.bug == "answers-anybody":
		env.Reply(node.Request{ID: r.ID + 1000}, r.Value)
	}
	env.Reply(r, r.Value)
	m.echoed = append(m.echoed, r)
}

func (m *member) Receive(env *node.Env, from node.ID, _ any) {
	switch m.bug {
	case "bounces", "chatters":
		env.Send(from, hello{})
	case "breeds":
		env.Broadcast(hello{})
	case "loops":
		for m.ticks > 20 { // for ever
			m.life++
		}
	}
}

func (m *member) Timer(env *node.Env, _ string) {
	m.ticks++
	env.BroadcastOthers(hello{})
	late := m.ticks > 20
	switch {
	case m.bug == "answers-twice", m.bug == "chatters":
		for _, r := range m.echoed {
			env.Reply(r, r.Value)
		}
	case m.bug == "panics" && late:
		m.seen[m.ticks]++
	case m.bug == "never-rests" && late:
		env.After(0, "tick")
		return
	}
	m.echoed = m.echoed[:0]
	env.After(tick, "tick")
}
