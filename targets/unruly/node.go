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
	bug  string
	life int
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
	if m.bug == "deaf-after-restart" && m.life > 1 {
		return
	}
	if r.F != "echo" {
		env.Fail(r, fmt.Sprintf("there is no operation %q", r.F))
		return
	}
	env.Reply(r, r.Value)
}

func (m *member) Receive(*node.Env, node.ID, any) {}

func (m *member) Timer(env *node.Env, _ string) {
	env.BroadcastOthers(hello{})
	env.After(tick, "tick")
}
