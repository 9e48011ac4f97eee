package docker

import (
	"context"
	"errors"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
)

// settle makes the node's container, and its clocks, what the leases say. While
// it works leases may change; it goes by the latest.
func (m *member) settle(ctx context.Context) error {
	select {
	case m.acting <- struct{}{}:
	case <-ctx.Done():
		return m.errorf("it is busy: %w", ctx.Err())
	}
	defer func() { <-m.acting }()
	var err error
	for refused := 0; ; {
		if m.unheard && m.now() != broken {
			if lookup := m.refresh(ctx); lookup != nil {
				return errors.Join(err, lookup)
			}
			m.unheard = false
		}
		ls, _, changed := m.w.held()
		want := ls.intent(m.name)
		switch s := m.now(); {
		case s == broken:
			return nil
		case m.powerDue.CompareAndSwap(true, false):
			if err = m.losePower(ctx); err != nil {
				m.powerDue.Store(true)
			}
		case want.down && s != down && want.gently:
			err = m.stop(ctx, changed)
		case want.down && s != down:
			err = m.kill(ctx, "kill")
		case want.down:
			return nil
		case s == down:
			err = m.start(ctx)
		case !want.paused && s == paused:
			err = m.unpause(ctx)
		case s == running && (m.clocked == nil || !ls.clocks(m.name).equal(*m.clocked)):
			err = m.setClocks(ctx, ls.clocks(m.name))
		case want.paused && s == running:
			err = m.pause(ctx)
		default:
			return nil
		}
		if err != nil {
			m.unheard = true
			if refused++; refused == attempts || ctx.Err() != nil {
				return err
			}
		}
	}
}

// setClocks puts exactly these faults of the node's clocks into force.
func (m *member) setClocks(ctx context.Context, s clockSetting) error {
	if err := m.healthy(ctx); err != nil {
		return err
	}
	m.clocked = nil
	if _, err := m.call(ctx, "PUT", pathClock, histories.Encode(s), time.Second); err != nil {
		return m.errorf("set its clocks: %w", err)
	}
	m.clocked = &s
	return nil
}

// obey makes the node's traffic what the leases say.
func (m *member) obey(ctx context.Context) error {
	select {
	case m.ruling <- struct{}{}:
	case <-ctx.Done():
		return m.errorf("its agent is busy: %w", ctx.Err())
	}
	defer func() { <-m.ruling }()
	ls, version, _ := m.w.held()
	rules := ls.rules(m.name, m.w.cfg.Nodes)
	text := string(histories.Encode(rules))
	if text == m.ruled {
		return nil
	}
	rules.Version = version
	_, err := m.link.ask(ctx, agent.Request{Rules: &rules})
	if err == errLost { // it is the same rules however often they are sent
		_, err = m.link.ask(ctx, agent.Request{Rules: &rules})
	}
	if err != nil {
		m.ruled = "unknown"
		return m.errorf("rules: %w", err)
	}
	m.ruled = text
	return nil
}
