package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
)

// state is what a node's container is, as far as this world knows.
type state int

const (
	down    state = iota // not started, or ended as it should
	running              //
	paused               //
	broken               // ended by itself or by somebody else: it stays so
)

// member is a node: its container, its agent and what is known of them.
type member struct {
	w       *World
	name    string
	process histories.Process
	agentID string
	nodeID  string
	ip      string // in the cluster's network
	address string // host:port for clients
	link    *link
	records *keeper

	// acting is held by whoever changes the container or the clocks.
	acting   chan struct{}
	clocked  clockSetting // as the node last acknowledged; it survives its end
	powerDue atomic.Bool  // power is to be lost

	// ruling is held by whoever changes the agent's rules.
	ruling chan struct{}
	ruled  string // rules as the agent last acknowledged, encoded

	mu     sync.Mutex
	state  state
	life   int
	doom   string        // why the present life is about to end, "" if it is not
	exited chan struct{} // closed when the present life is over, and recorded
}

func newMember(w *World, name string) *member {
	m := &member{w: w, name: name, process: histories.Named(name), acting: make(chan struct{}, 1), ruling: make(chan struct{}, 1), ruled: string(histories.Encode(agent.Rules{}))}
	m.records = &keeper{member: m}
	return m
}

func (m *member) now() state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// lives is the number of the present life, from 1.
func (m *member) lives() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.life
}

func (m *member) become(s state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = s
}

// errorf names the node in an error.
func (m *member) errorf(format string, args ...any) error {
	return fmt.Errorf("node "+m.name+": "+format, args...)
}

// start begins a life of the node. It returns when the process runs, which is
// before it answers.
func (m *member) start(ctx context.Context) error {
	m.mu.Lock()
	m.life++
	life := m.life
	m.doom, m.exited = "", make(chan struct{})
	m.mu.Unlock()
	if err := m.followLog(ctx); err != nil {
		return m.errorf("follow its log: %w", err)
	}
	if life > 1 {
		m.record("restart", map[string]any{"life": life})
	}
	waiting, failed := m.w.cli.ContainerWait(m.w.ctx, m.nodeID, container.WaitConditionNextExit)
	if err := m.w.cli.ContainerStart(ctx, m.nodeID, container.StartOptions{}); err != nil {
		return m.errorf("start: %w", err)
	}
	m.become(running)
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
	if err != nil && ctx.Err() == nil {
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
	if kind == "" {
		kind = m.cause(ctx, life, code)
		m.w.log.Warn("a node ended by itself", zap.String("node", m.name), zap.Int("life", life), zap.Int("code", code), zap.String("kind", kind))
	}
	m.w.out.put(m.op("crash", map[string]any{"kind": kind}), last)
	close(exited)
}

// cause names an end that the world did not bring about.
func (m *member) cause(ctx context.Context, life, code int) string {
	c, err := m.w.cli.ContainerInspect(ctx, m.nodeID)
	switch {
	case err == nil && c.State.OOMKilled:
		return "oom"
	case code == exitPanic || code == exitGo || m.records.panicked(life):
		return "panic"
	case code > 128 && code <= 128+64:
		return "external" // by a signal that was not ours
	}
	return fmt.Sprintf("exit %d", code)
}

func (m *member) op(f string, value any) histories.Op {
	return histories.Op{Process: m.process, Type: histories.Info, F: f, Value: histories.Encode(value)}
}

func (m *member) record(f string, value any) { m.w.out.put(m.op(f, value), 0) }

// kill ends the present life at once, even a paused one. Exit is for cause.
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
	c, err := m.w.cli.ContainerInspect(ctx, m.nodeID)
	if err != nil {
		return err
	}
	m.mu.Lock()
	exited := m.exited
	if m.state == running || m.state == paused {
		switch {
		case c.State.Paused:
			m.state = paused
		case c.State.Running:
			m.state = running
		}
	}
	m.mu.Unlock()
	if c.State.Running {
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

// stop asks the process to end. It is made to when its time is up, or when the
// leases have changed: then somebody may wait for it to be back.
func (m *member) stop(ctx context.Context) error {
	exited := m.condemn("stop")
	changed := m.w.watch()
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
	select {
	case <-exited:
		return nil
	case <-grace.C:
	case <-changed:
	case <-ctx.Done():
		return m.errorf("stop: %w", ctx.Err())
	}
	return m.kill(ctx, "stop")
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

// call asks the node, over the agent, on a way that no fault is about.
func (m *member) call(ctx context.Context, method, path string, body []byte, timeout time.Duration) ([]byte, error) {
	r, err := m.link.ask(ctx, agent.Request{Call: &agent.Call{Method: method, Path: path, Body: body, Timeout: timeout}})
	switch {
	case err != nil:
		return nil, err
	case r.Answer.Status/100 != 2:
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, r.Answer.Status, strings.TrimSpace(string(r.Answer.Body)))
	}
	return r.Answer.Body, nil
}

// healthy waits until the node answers.
func (m *member) healthy(ctx context.Context) error {
	for {
		err := m.answers(ctx, time.Second)
		if err == nil {
			return nil
		}
		if m.now() == broken {
			return m.errorf("it ended: see %s", filepath.Join(m.w.dir(m.name), "log"))
		}
		select {
		case <-ctx.Done():
			return m.errorf("it does not answer: %w", err)
		case <-m.w.gone:
			return m.w.goneErr
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// answers fails unless the node says, in time, that it is ready.
func (m *member) answers(ctx context.Context, timeout time.Duration) error {
	var h health
	body, err := m.call(ctx, "GET", pathHealth, nil, timeout)
	if err != nil {
		return err
	}
	switch err := json.Unmarshal(body, &h); {
	case err != nil:
		return m.errorf("its health: %w", err)
	case h.ID != m.name:
		return m.errorf("it says that it is %q", h.ID)
	case !h.Ready:
		return m.errorf("it is not ready")
	}
	return nil
}

// followLog writes what the next life says to nodes/<node>/log.
func (m *member) followLog(ctx context.Context) error {
	conn, err := m.w.cli.ContainerAttach(ctx, m.nodeID, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return err
	}
	f, err := m.open("log")
	if err != nil {
		conn.Close()
		return err
	}
	m.w.following.Go(func() {
		defer f.Close()
		defer conn.Close()
		if err := demultiplex(f, conn.Reader); err != nil && m.w.ctx.Err() == nil {
			m.w.log.Warn("a node's log is cut short", zap.String("node", m.name), zap.Error(err))
		}
	})
	return nil
}

// open opens a file in the node's directory, to append.
func (m *member) open(name string) (*os.File, error) {
	dir := m.w.dir(m.name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
}

// finish ends the node for good and saves what it left, whatever there is of
// it.
func (m *member) finish(ctx context.Context) error {
	var errs []error
	if m.nodeID != "" {
		m.condemn("close")
		errs = append(errs, removeContainer(ctx, m.w.cli, m.nodeID))
	}
	if m.link != nil {
		m.link.close()
	}
	if m.nodeID != "" {
		errs = append(errs, m.saveDisk(ctx))
	}
	errs = append(errs, m.records.close())
	if err := errors.Join(errs...); err != nil {
		return m.errorf("%w", err)
	}
	return nil
}

// mark is the head of a record: what the world itself needs of it.
type mark struct {
	Lamport uint64          `json:"lamport"`
	F       string          `json:"f"`
	Value   json.RawMessage `json:"value"`
}
