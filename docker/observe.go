package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

const (
	// silence is how long something must not answer to count as cut or paused.
	silence = 300 * time.Millisecond
	// attempts to see what should be seen. What is not in force is not seen
	// however often one looks; what is may be missed on a busy machine.
	attempts = 3
)

// recovery is how long after a cure a node may take to be back. A test sets it.
var recovery = 10 * time.Second

// A look is something to be seen at a node, while the given leases are in force;
// or else the leases that hide it. A look at nobody is a control: it tells that
// the fault hits no others.
type look struct {
	node string
	at   func(leases) (checks []nemesis.Check, holders []string)
}

// observe looks at the victims of f for signs that it is in force; or is over,
// after its cure. It adds to e what it sees.
func (w *World) observe(ctx context.Context, f nemesis.Fault, inForce bool, e *nemesis.Evidence) {
	looks := w.looks(ctx, f, inForce)
	checks := make([][]nemesis.Check, len(looks))
	holders := make([][]string, len(looks))
	_ = inParallel(slices.Collect(indices(looks)), func(i int) error {
		checks[i], holders[i] = w.steadily(ctx, f, inForce, looks[i])
		return nil
	})
	hit := false
	for i, l := range looks {
		hit = hit || l.node != "" && len(checks[i]) > 0
	}
	if inForce && !hit {
		checks = nil // that nobody else is hit tells nothing of f
	}
	e.Checks, e.Holders = slices.Concat(checks...), slices.Concat(holders...)
	slices.Sort(e.Holders)
	e.Holders = slices.Compact(e.Holders)
}

func (w *World) looks(ctx context.Context, f nemesis.Fault, inForce bool) (looks []look) {
	switch {
	case f.Kind == nemesis.Partition:
		return w.lookAtCuts(ctx, f, inForce)
	case linked(f.Kind):
		return w.lookAtTraffic(ctx, f, inForce)
	}
	for _, name := range f.Targets {
		m := w.byName[name]
		l := look{node: name}
		switch f.Kind {
		case nemesis.Kill, nemesis.Stop, nemesis.Power:
			l.at = func(leases) ([]nemesis.Check, []string) { return m.seeDown(ctx, f, inForce), nil }
		case nemesis.Pause:
			l.at = func(leases) ([]nemesis.Check, []string) { return m.seePaused(ctx, inForce), nil }
		case nemesis.Client:
			l.at = func(leases) ([]nemesis.Check, []string) { return m.seeDeaf(ctx, inForce), nil }
		default: // clock
			l.at = func(ls leases) ([]nemesis.Check, []string) { return m.seeClock(ctx, ls, f, inForce), nil }
		}
		looks = append(looks, l)
	}
	return looks
}

// steadily looks until it sees what it should; or does not, while no other
// fault came or went that could have been in the way. Where other leases hide
// what is to be seen, it returns those.
func (w *World) steadily(ctx context.Context, f nemesis.Fault, inForce bool, l look) (checks []nemesis.Check, holders []string) {
	for giveUp := time.Now().Add(recovery); ; time.Sleep(50 * time.Millisecond) {
		ls, version, calm := w.weather()
		holders = ls.holders(f, l.node)
		if inForce {
			holders = ls.hidden(f, l.node)
		}
		if len(holders) > 0 {
			return nil, holders
		}
		if checks, holders = l.at(ls); len(holders) > 0 {
			return nil, holders
		}
		bad := slices.ContainsFunc(checks, func(c nemesis.Check) bool { return !c.OK })
		_, now, still := w.weather()
		if !bad || calm && still && version == now || ctx.Err() != nil || time.Now().After(giveUp) {
			return checks, nil
		}
	}
}

// weather is the leases in force, their version, and whether no change of them
// is under way.
func (w *World) weather() (ls leases, version uint64, calm bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leases, w.version, w.enacting == 0
}

func indices[T any](s []T) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range s {
			if !yield(i) {
				return
			}
		}
	}
}

// verdict is a check of whether something, called want, was seen as it should.
func verdict(node, peer, want, got string, seen, inForce bool) nemesis.Check {
	if !inForce {
		want = "not " + want
	}
	return nemesis.Check{Node: node, Peer: peer, Want: want, Got: got, OK: seen == inForce}
}

// seeDown looks whether the container is stopped, by the hand of f, and nobody
// answers.
func (m *member) seeDown(ctx context.Context, f nemesis.Fault, inForce bool) (checks []nemesis.Check) {
	if !inForce {
		wait, cancel := context.WithTimeout(ctx, recovery)
		defer cancel()
		_ = m.healthy(wait) // what is seen below says whether it is
	}
	c, err := describe(ctx, m.w.cli, m.nodeID)
	if err != nil {
		return []nemesis.Check{{Node: m.name, Want: "the engine answers", Got: err.Error()}}
	}
	answer := m.answers(ctx, silence)
	got := c.State.Status
	if !c.State.Running {
		got += fmt.Sprintf(" with code %d", c.State.ExitCode)
	}
	if answer == nil {
		got += ", answers"
	} else {
		got += ", does not answer"
	}
	down := !c.State.Running && answer != nil
	switch {
	case !inForce:
		down = !c.State.Running || answer != nil
	case m.now() == broken:
		got, down = got+", and ended by itself", false
	case f.Kind == nemesis.Kill:
		down = down && c.State.ExitCode == exitKilled
	case f.Kind == nemesis.Stop: // one that had to be killed was not let end
		down = down && c.State.ExitCode != exitKilled
	}
	checks = append(checks, verdict(m.name, "", "down", got, down, inForce))
	if f.Kind == nemesis.Power {
		checks = append(checks, m.seeLost(ctx, inForce))
	}
	return checks
}

// seeLost looks at the disk of a node that lost power: nothing is there, or
// nothing will be after the next boot, that was not synced. Once it has booted,
// nothing is left to be lost.
func (m *member) seeLost(ctx context.Context, inForce bool) nemesis.Check {
	c := nemesis.Check{Node: m.name, Want: "what was not synced is lost"}
	r, err := m.link.ask(ctx, agent.Request{Disk: true})
	switch {
	case err != nil:
		c.Got = err.Error()
	case r.Disk == nil:
		c.Got = "its agent does not tell of its disk"
	case !inForce:
		c.Got, c.OK = "lost", !r.Disk.Doomed
		if !c.OK {
			c.Got = "not yet"
		}
	case r.Disk.Doomed:
		c.Got, c.OK = "lost by the next boot", true
	default:
		c.Got, c.OK = fmt.Sprintf("%d writes not synced are left", r.Disk.Unsynced), r.Disk.Unsynced == 0
	}
	return c
}

// seePaused looks whether the container is frozen and does not answer.
func (m *member) seePaused(ctx context.Context, inForce bool) []nemesis.Check {
	if !inForce {
		wait, cancel := context.WithTimeout(ctx, recovery)
		defer cancel()
		_ = m.healthy(wait)
	}
	c, err := describe(ctx, m.w.cli, m.nodeID)
	if err != nil {
		return []nemesis.Check{{Node: m.name, Want: "the engine answers", Got: err.Error()}}
	}
	answer := m.answers(ctx, silence)
	got := c.State.Status + ", does not answer"
	if answer == nil {
		got = c.State.Status + ", answers"
	}
	seen := c.State.Paused && answer != nil
	if !inForce {
		seen = c.State.Paused || answer != nil
	}
	return []nemesis.Check{verdict(m.name, "", "paused", got, seen, inForce)}
}

// seeDeaf looks whether a client gets no answer, while the node itself is well.
// That it gets none is not tried for again: a busy machine would grant it.
func (m *member) seeDeaf(ctx context.Context, inForce bool) []nemesis.Check {
	var got string
	var seen bool
	for range attempts {
		err := m.visit(ctx, m.address)
		switch seen = errors.Is(err, context.DeadlineExceeded); {
		case err == nil:
			got = "answers"
		case seen:
			got = "no answer"
		default: // it is the node that is not well
			got, seen = err.Error(), !inForce
		}
		if inForce || !seen {
			break
		}
	}
	checks := []nemesis.Check{verdict(m.name, "client", "unreachable", got, seen, inForce)}
	if inForce {
		control := nemesis.Check{Node: m.name, Want: "well", Got: "answers control", OK: true}
		if err := m.answers(ctx, time.Second); err != nil {
			control.Got, control.OK = err.Error(), false
		}
		checks = append(checks, control)
	}
	return checks
}

// visit asks who is at address, as a client does, on a connection of its own.
func (m *member) visit(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+pathHealth, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var h health
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		return err
	}
	if h.ID != m.name {
		return m.errorf("at %s is %q", address, h.ID)
	}
	return nil
}
