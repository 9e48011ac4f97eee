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

	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
)

// state is what a node's container is, as far as this world knows.
type state int

const (
	down    state = iota // not started, or ended as it should
	running              // and answering, or soon to answer
	paused               // keeps its memory, and does not run
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
	clocked  *clockSetting // as the node last acknowledged, nil if it may be another; it survives its end
	unheard  bool          // something was asked of the engine, and what became of it is not known
	powerDue atomic.Bool   // power is to be lost

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
	m := &member{w: w, name: name, process: histories.Named(name), acting: make(chan struct{}, 1), clocked: &clockSetting{}, ruling: make(chan struct{}, 1), ruled: string(histories.Encode(agent.Rules{}))}
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

// become changes the state of a life, unless it has ended meanwhile.
func (m *member) become(s state) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == running || m.state == paused {
		m.state = s
	}
}

// errorf names the node in an error.
func (m *member) errorf(format string, args ...any) error {
	return fmt.Errorf("node "+m.name+": "+format, args...)
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

// followLog writes what the next life says to nodes/<node>/log. If there is to
// be none, forget ends that.
func (m *member) followLog(ctx context.Context) (forget func(), err error) {
	conn, err := attach(ctx, m.w.cli, m.nodeID, false)
	if err != nil {
		return func() {}, err
	}
	f, err := m.open("log")
	if err != nil {
		conn.Close()
		return func() {}, err
	}
	m.w.following.Go(func() {
		defer f.Close()
		defer conn.Close()
		defer context.AfterFunc(m.w.listening, conn.Close)()
		if err := demultiplex(f, conn.Reader); err != nil && m.w.ctx.Err() == nil {
			m.w.log.Warn("a node's log is cut short", zap.String("node", m.name), zap.Error(err))
		}
	})
	return conn.Close, nil
}

// open opens a file in the node's directory, to append.
func (m *member) open(name string) (*os.File, error) {
	return histories.Dir(m.w.cfg.Dir).NodeFile(m.name, name)
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
