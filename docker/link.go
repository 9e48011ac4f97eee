package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/torture-harness/torture/docker/agent"
)

// errLost says that the way to an agent broke before it answered.
var errLost = errors.New("the connection to the agent was lost")

// link speaks to one agent over its standard input and output. It is safe for
// concurrent use.
type link struct {
	cli     *client.Client
	id      string // of the agent's container
	records func(agent.Records)
	// resume is called when a connection that was lost is there again, lost
	// when it cannot be had.
	resume func()
	lost   func(error)

	mu     sync.Mutex
	conn   *types.HijackedResponse // nil: closed
	next   uint64
	open   map[uint64]chan<- agent.Response
	closed bool
	words  []byte // the last that were not the agent's protocol
}

// attach connects to the agent; before its start, so that nothing is missed.
func (l *link) attach(ctx context.Context) error {
	conn, err := attach(ctx, l.cli, l.id, true)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return net.ErrClosed
	}
	l.conn, l.open = &conn, map[uint64]chan<- agent.Response{}
	go l.listen(conn)
	return nil
}

// listen hands out what the agent says until the connection ends.
func (l *link) listen(conn types.HijackedResponse) {
	r, w := io.Pipe()
	go func() {
		// What the agent writes to stderr is a panic; its last words are in
		// the error that ends the run.
		_, err := stdcopy.StdCopy(w, w, conn.Reader)
		w.CloseWithError(err)
	}()
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var resp agent.Response
		if json.Unmarshal(line, &resp) != nil {
			l.overhear(line)
			continue
		}
		if resp.Records != nil {
			l.records(*resp.Records)
			continue
		}
		l.mu.Lock()
		answer := l.open[resp.ID]
		delete(l.open, resp.ID)
		l.mu.Unlock()
		if answer != nil {
			answer <- resp
		}
	}
	r.Close()
	conn.Close()
	l.mu.Lock()
	for _, answer := range l.open {
		close(answer)
	}
	l.open, l.conn = nil, nil
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return
	}
	// The agent may be well and the connection not.
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	switch c, err := describe(ctx, l.cli, l.id); {
	case cerrdefs.IsNotFound(err), err == nil && !c.State.Running:
		return // whoever waits for its end tells of it
	case err != nil:
		l.lost(err)
		return
	}
	if err := l.attach(ctx); err != nil {
		l.lost(err)
		return
	}
	l.resume()
}

// overhear keeps a line that is no response: an error, words of the Go runtime.
func (l *link) overhear(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = append(l.words, line...)
	l.words = l.words[max(0, len(l.words)-2000):]
}

// lastWords is what the agent said beside the protocol, lately.
func (l *link) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(string(l.words))
}

// ask sends r and returns the response. An agent that says it could not do it
// is an error.
func (l *link) ask(ctx context.Context, r agent.Request) (agent.Response, error) {
	answer := make(chan agent.Response, 1)
	l.mu.Lock()
	if l.conn == nil {
		l.mu.Unlock()
		return agent.Response{}, errLost
	}
	l.next++
	r.ID = l.next
	l.open[r.ID] = answer
	line, err := json.Marshal(r)
	if err == nil {
		// Where a request is not taken in time the connection is no good, and
		// a half of it would spoil the next.
		stop := context.AfterFunc(ctx, l.conn.Close)
		_, err = l.conn.Conn.Write(append(line, '\n'))
		stop()
	}
	l.mu.Unlock()
	if err != nil {
		return agent.Response{}, fmt.Errorf("agent: %w", err)
	}
	select {
	case resp, ok := <-answer:
		switch {
		case !ok:
			return resp, errLost
		case resp.Error != "":
			return resp, fmt.Errorf("agent: %s", resp.Error)
		}
		return resp, nil
	case <-ctx.Done():
		l.mu.Lock()
		delete(l.open, r.ID)
		l.mu.Unlock()
		return agent.Response{}, fmt.Errorf("agent: no answer: %w", ctx.Err())
	}
}

// close ends the connection for good.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.conn != nil {
		l.conn.Close()
	}
}
