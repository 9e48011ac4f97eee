package docker

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// admin asks the group to let f's nodes leave or join, one after another: a
// primary first, then the others in turn, for as long as ten operations may
// take.
func (w *World) admin(ctx context.Context, f nemesis.Fault, what string) (checks []nemesis.Check) {
	ctx, cancel := context.WithTimeout(ctx, 10*w.cfg.Timeout)
	defer cancel()
	for _, victim := range f.Targets {
		check := nemesis.Check{Node: victim, Want: what + " answered", Got: "no answer"}
		for tries := 0; !check.OK && ctx.Err() == nil; tries++ {
			m := w.spokesman(victim, tries)
			check.Peer = m.name
			if got, err := m.administer(ctx, what, victim); err != nil {
				check.Got = err.Error()
			} else {
				check.Got, check.OK = got, got == histories.OK.String()
			}
			if !check.OK {
				select {
				case <-ctx.Done():
				case <-time.After(200 * time.Millisecond):
				}
			}
		}
		checks = append(checks, check)
	}
	return checks
}

// administer sends one operation of an administrator, who is cut from a node
// by nothing, and returns its type.
func (m *member) administer(ctx context.Context, what, victim string) (string, error) {
	body := histories.Encode(request{F: what, Value: histories.Encode(victim), Lamport: m.w.clock.tick()})
	answer, err := m.call(ctx, http.MethodPost, pathOp, body, m.w.cfg.Timeout)
	if err != nil {
		return "", err
	}
	var op histories.Op
	after, err := complete(&op, answer)
	if err != nil {
		return "", err
	}
	m.w.clock.receive(after)
	if op.Error != "" {
		return op.Type.String() + ": " + op.Error, nil
	}
	return op.Type.String(), nil
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
