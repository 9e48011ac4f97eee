package docker

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// admin asks the group to let f's nodes leave or join, one after another: a
// primary first, then the others in turn, for as long as ten operations may
// take. Whether it did is seen in the list of members of the node that answered.
func (w *World) admin(ctx context.Context, f nemesis.Fault, inject bool) (checks []nemesis.Check) {
	what, want := w.cfg.Leave, "no member"
	if !inject {
		what, want = w.cfg.Join, "member"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*w.cfg.Timeout)
	defer cancel()
	for _, victim := range f.Targets {
		m, err := w.spokesman(victim, 0), error(nil)
		if name, asked := w.asks(victim, inject); asked {
			m, err = w.petition(ctx, what, victim, name)
		}
		check := nemesis.Check{Node: victim, Peer: m.name, Want: want}
		var members []string
		if err == nil {
			members, err = m.members(ctx)
		}
		if check.Got = fmt.Sprintf("members %v", members); err != nil {
			check.Got = err.Error()
		}
		check.OK = err == nil && slices.Contains(members, victim) != inject
		checks = append(checks, check)
	}
	return checks
}

// petition asks one node after another to let name leave or join, until one has,
// and returns the last.
func (w *World) petition(ctx context.Context, what, victim, name string) (m *member, err error) {
	for tries := 0; ; tries++ {
		m = w.spokesman(victim, tries)
		if _, err = m.administer(ctx, what, name); err == nil {
			return m, nil
		}
		select {
		case <-ctx.Done():
			return m, err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// members are those that m knows of.
func (m *member) members(ctx context.Context) ([]string, error) {
	op, err := m.administer(ctx, m.w.cfg.Members, nil)
	if err != nil {
		return nil, err
	}
	names, err := histories.Decode[[]string](op)
	if err != nil {
		return nil, m.errorf("answer to %s: want a list of nodes: %w", m.w.cfg.Members, err)
	}
	return names, nil
}

// administer sends one operation of an administrator, who is cut from a node by
// nothing, and returns its completion. One that is not ok is an error.
func (m *member) administer(ctx context.Context, what string, value any) (op histories.Op, err error) {
	body := histories.Encode(request{F: what, Value: histories.Encode(value), Lamport: m.w.clock.tick()})
	answer, err := m.call(ctx, http.MethodPost, pathOp, body, m.w.cfg.Timeout)
	if err != nil {
		return op, err
	}
	after, err := complete(&op, answer)
	if err != nil {
		return op, err
	}
	m.w.clock.receive(after)
	if op.Type != histories.OK {
		return op, m.errorf("%s: %s: %s", what, op.Type, op.Error)
	}
	return op, nil
}

func (w *World) spokesman(victim string, tries int) *member {
	primaries := w.Primaries()
	var able []*member
	for _, leads := range []bool{true, false} {
		for _, m := range w.members {
			if m.name != victim && m.now() == running && slices.Contains(primaries, m.name) == leads {
				able = append(able, m)
			}
		}
	}
	if len(able) == 0 {
		return w.byName[victim]
	}
	return able[tries%len(able)]
}
