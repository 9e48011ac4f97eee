package docker

import (
	"context"
	"fmt"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
)

// start begins a life of the node. It returns when the process runs, which is
// before it answers.
func (m *member) start(ctx context.Context) (err error) {
	m.mu.Lock()
	m.life++
	life := m.life
	m.doom, m.exited = "", make(chan struct{})
	m.mu.Unlock()
	alive, abandon := context.WithCancel(m.w.ctx)
	forget := func() {}
	defer func() {
		if err != nil {
			abandon()
			forget()
			m.mu.Lock()
			m.life-- // that was none
			m.mu.Unlock()
		}
	}()
	if forget, err = m.followLog(ctx); err != nil {
		return m.errorf("follow its log: %w", err)
	}
	before := m.w.clock.tick() // anything that the new life does
	waiting, failed := m.w.cli.ContainerWait(alive, m.nodeID, container.WaitConditionNextExit)
	// Not cut short with ctx: nobody would know whether there is a life.
	begin, cancel := context.WithTimeout(m.w.ctx, engineTimeout)
	defer cancel()
	if err := m.w.cli.ContainerStart(begin, m.nodeID, container.StartOptions{}); err != nil {
		return m.errorf("start: %w", err)
	}
	m.mu.Lock()
	m.state = running
	m.mu.Unlock()
	if life > 1 {
		op := m.op("restart", map[string]any{"life": life})
		op.Lamport = before
		m.w.out.put(op, 0)
	}
	go m.await(life, waiting, failed)
	return nil
}

// await waits for the end of a life, whatever its cause, and records it.
func (m *member) await(life int, waiting <-chan container.WaitResponse, failed <-chan error) {
	select {
	case r := <-waiting:
		m.over(life, int(r.StatusCode))
	case err := <-failed:
		if m.w.ctx.Err() == nil {
			m.w.end(m.w.lost(m.errorf("wait for its end: %w", err)))
		}
	}
}

// over records the end of a life. What the node recorded before is in its file
// first, and is known to have come before.
func (m *member) over(life, code int) {
	ctx, cancel := context.WithTimeout(m.w.ctx, engineTimeout)
	defer cancel()
	last, err := m.records.drain(ctx)
	if err != nil && m.w.ctx.Err() == nil {
		m.w.log.Warn("the last records of a life may come late", zap.String("node", m.name), zap.Error(err))
	}
	m.w.plays(m.name, "")
	m.mu.Lock()
	kind := m.doom
	m.state = down
	if kind == "" {
		m.state = broken
	}
	exited := m.exited
	m.mu.Unlock()
	if kind == "" || code == exitPanic || code == exitGo { // no fault makes a node panic
		kind = m.cause(ctx, life, code)
		m.w.log.Warn("a node ended by itself", zap.String("node", m.name), zap.Int("life", life), zap.Int("code", code), zap.String("kind", kind))
	}
	m.w.out.put(m.op("crash", map[string]any{"kind": kind}), last)
	close(exited)
	switch kind {
	case "external":
		m.w.end(&Disturbed{fmt.Sprintf("%s was ended from outside, with exit code %d", m.name, code)})
	case "oom":
		m.w.end(&Disturbed{fmt.Sprintf("%s was killed for want of memory", m.name)})
	}
}

// cause names an end that the world did not bring about.
func (m *member) cause(ctx context.Context, life, code int) string {
	c, err := describe(ctx, m.w.cli, m.nodeID)
	switch {
	case err == nil && c.State.OOMKilled:
		return "oom"
	case code == exitPanic || code == exitGo || m.records.panicked(life):
		return "panic"
	case code == 0, code > 128 && code <= 128+64:
		return "external" // by a signal that was not ours; at SIGTERM a node ends well
	}
	return fmt.Sprintf("exit %d", code)
}

func (m *member) op(f string, value any) histories.Op {
	return histories.Op{Process: m.process, Type: histories.Info, F: f, Value: histories.Encode(value)}
}

// kill ends the present life at once, even a paused one, for the given cause.
func (m *member) kill(ctx context.Context, cause string) error {
	exited := m.condemn(cause)
	// A conflict says that it has ended already: of that we hear soon.
	if err := m.w.cli.ContainerKill(ctx, m.nodeID, "SIGKILL"); err != nil && !cerrdefs.IsConflict(err) {
		return m.errorf("kill: %w", err)
	}
	return m.awaitExit(ctx, exited)
}

// refresh asks the engine what the container is, after it refused what would
// have been right for what we thought.
func (m *member) refresh(ctx context.Context) error {
	c, err := describe(ctx, m.w.cli, m.nodeID)
	if err != nil {
		return err
	}
	m.mu.Lock()
	exited, thought := m.exited, m.state
	if thought == running || thought == paused {
		switch {
		case c.State.Paused:
			m.state = paused
		case c.State.Running:
			m.state = running
		}
	}
	m.mu.Unlock()
	if c.State.Running || thought == down {
		return nil
	}
	return m.awaitExit(ctx, exited)
}

// condemn says why the present life ends, unless that has been said.
func (m *member) condemn(cause string) (exited <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doom == "" {
		m.doom = cause
	}
	return m.exited
}

func (m *member) awaitExit(ctx context.Context, exited <-chan struct{}) error {
	select {
	case <-exited:
		return nil
	case <-m.w.gone:
		return m.w.goneErr
	case <-ctx.Done():
		return m.errorf("it does not end: %w", ctx.Err())
	}
}

// stop asks the process to end. It is made to when its time is up, or when leases
// that have changed no longer ask for that: then somebody waits for it to be back,
// or to be killed.
func (m *member) stop(ctx context.Context, changed <-chan struct{}) error {
	exited := m.condemn("stop")
	if err := m.w.cli.ContainerKill(ctx, m.nodeID, "SIGTERM"); err != nil && !cerrdefs.IsConflict(err) {
		return m.errorf("stop: %w", err)
	}
	if m.now() == paused {
		// It hears the signal only when it runs. Some engines have seen to
		// that; whether it still is paused, its end will show.
		_ = m.w.cli.ContainerUnpause(ctx, m.nodeID)
		m.become(running)
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	for {
		select {
		case <-exited:
			return nil
		case <-changed:
			var ls leases
			ls, _, changed = m.w.held()
			if want := ls.intent(m.name); want.down && want.gently {
				continue
			}
		case <-grace.C:
		case <-ctx.Done():
			return m.errorf("stop: %w", ctx.Err())
		}
		return m.kill(ctx, "stop")
	}
}

// losePower ends the life, if there is one, without what was not synced.
func (m *member) losePower(ctx context.Context) error {
	s := m.now()
	if s == running {
		exited := m.condemn("power")
		if _, err := m.call(ctx, "POST", pathPower, nil, time.Second); err == nil {
			wait, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if m.awaitExit(wait, exited) == nil {
				return nil
			}
		}
	}
	// It cannot do it itself: the next life finds the power gone.
	if _, err := m.link.ask(ctx, agent.Request{Write: &agent.File{Name: powerFile}}); err != nil {
		return m.errorf("power: %w", err)
	}
	if s == running || s == paused {
		return m.kill(ctx, "power")
	}
	return nil
}

// pause and unpause do what they say.
func (m *member) pause(ctx context.Context) error {
	if err := m.w.cli.ContainerPause(ctx, m.nodeID); err != nil {
		return m.errorf("pause: %w", err)
	}
	m.become(paused)
	return nil
}

func (m *member) unpause(ctx context.Context) error {
	if err := m.w.cli.ContainerUnpause(ctx, m.nodeID); err != nil {
		return m.errorf("unpause: %w", err)
	}
	m.become(running)
	return nil
}
