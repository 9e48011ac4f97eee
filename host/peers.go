package host

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// peers is the network as one node has it: a link to each other node, and the
// connections that the others have made. Safe for concurrent use.
type peers struct {
	id    node.ID
	codec node.Codec
	clock *lamport
	inbox *inbox
	log   *zap.Logger
	links map[node.ID]*link

	received atomic.Int64
	rejected atomic.Int64 // frames that do not decode; each costs its connection
	overflow atomic.Int64 // messages to itself that the inbox had no room for

	mu     sync.Mutex
	pings  map[string]chan struct{}
	probes []probe
}

// probe is a nonce that arrived.
type probe struct {
	From    node.ID `json:"from"`
	Nonce   string  `json:"nonce"`
	Lamport uint64  `json:"lamport"` // when it arrived
}

// probesMax is how many nonces are remembered.
const probesMax = 1000

func newPeers(cfg Config, clock *lamport, in *inbox) *peers {
	p := &peers{id: cfg.ID, codec: cfg.Messages, clock: clock, inbox: in, log: cfg.Log,
		links: map[node.ID]*link{}, pings: map[string]chan struct{}{}}
	for _, id := range cfg.Peers {
		if id != cfg.ID {
			p.links[id] = newLink(id, cfg.Addrs[id], cfg.Log)
		}
	}
	return p
}

// send queues a frame of kind k to a peer, which goes out with the next kick.
// It reports whether there was room.
func (p *peers) send(k frameKind, to node.ID, body []byte) bool {
	f := frame{k, p.clock.stamp(), p.id, body}
	if l := p.links[to]; l != nil {
		return l.enqueue(f)
	}
	return to == p.id && p.handle(f, false) == nil
}

// kick has what is queued to a peer sent.
func (p *peers) kick(to node.ID) {
	if l := p.links[to]; l != nil {
		l.kick()
	}
}

// run keeps the links and serves ln until ctx ends, or ln does.
func (p *peers) run(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, l := range p.links {
		wg.Go(func() { l.run(ctx) })
	}
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil { // just before ln was closed
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listen for peers at %s: %w", ln.Addr(), err)
		case err != nil: // of one connection, or too many open files
			p.log.Warn("accept", zap.Error(err))
			sleep(ctx, backoffMin)
			continue
		}
		wg.Go(func() { p.serve(ctx, conn) })
	}
}

// serve reads frames until the connection ends.
func (p *peers) serve(ctx context.Context, conn net.Conn) {
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAliveConfig(keepAlive) // if it cannot be had we do without
	}
	r := bufio.NewReaderSize(conn, 1<<16)
	for {
		f, err := readFrame(r)
		if err == nil {
			err = p.accept(f)
		} else if closed(err) {
			return
		}
		if err != nil {
			p.rejected.Add(1)
			p.log.Warn("closed a connection: it brought what no peer sends", zap.Stringer("addr", conn.RemoteAddr()), zap.Error(err))
			return
		}
	}
}

// closed tells whether err is the end of a connection rather than of its sense.
func closed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// accept takes a frame from the network.
func (p *peers) accept(f frame) error {
	if p.links[f.from] == nil {
		return fmt.Errorf("a frame from %q, who is no peer of %s", f.from, p.id)
	}
	if !p.clock.observe(f.lamport) {
		return fmt.Errorf("a frame from %s with the Lamport time %d, which is too large", f.from, f.lamport)
	}
	return p.handle(f, true)
}

// handle takes a frame, waiting for room in the inbox if it may.
func (p *peers) handle(f frame, wait bool) error {
	switch f.kind {
	case messageFrame:
		ev := event{kind: receive, from: f.from}
		var err error
		if ev.msg, ev.panic, err = p.decode(f.body); err != nil {
			return err
		}
		if ev.panic != nil {
			ev.kind = broken
		}
		p.received.Add(1)
		if wait {
			p.inbox.put(ev)
		} else if !p.inbox.offer(ev) {
			p.overflow.Add(1)
		}
	case pingFrame:
		p.send(pongFrame, f.from, f.body)
		p.kick(f.from)
	case pongFrame:
		p.mu.Lock()
		defer p.mu.Unlock()
		if pong := p.pings[string(f.body)]; pong != nil {
			delete(p.pings, string(f.body))
			close(pong)
		}
	case probeFrame:
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.probes) == probesMax {
			p.probes = slices.Delete(p.probes, 0, probesMax/10)
		}
		p.probes = append(p.probes, probe{f.from, string(f.body), p.clock.stamp()})
	}
	return nil
}

// decode decodes a message. A codec that panics is a bug of the node.
func (p *peers) decode(body []byte) (m any, died *node.Panic, err error) {
	if died = node.Protect(func() { m, err = p.codec.Decode(body) }); died != nil {
		died.Error = fmt.Sprintf("decode message %.20x: %s", body, died.Error)
	}
	return m, died, err
}

// ping sends a ping and waits for its pong. It reports how long that took, or
// that ctx ended first.
func (p *peers) ping(ctx context.Context, to node.ID) (time.Duration, bool) {
	nonce, pong := rand.Text(), make(chan struct{})
	p.mu.Lock()
	p.pings[nonce] = pong
	p.mu.Unlock()
	began := time.Now()
	p.send(pingFrame, to, []byte(nonce))
	p.kick(to)
	select {
	case <-pong:
		return time.Since(began), true
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.pings, nonce)
		p.mu.Unlock()
		return time.Since(began), false
	}
}

// arrived returns the nonces that from has sent; anybody, if from is "".
func (p *peers) arrived(from node.ID) []probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []probe{}
	for _, x := range p.probes {
		if from == "" || x.From == from {
			list = append(list, x)
		}
	}
	return list
}

// drain waits until all that was queued to connected peers has left, or d has
// passed.
func (p *peers) drain(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		idle := true
		for _, l := range p.links {
			l.kick()
			idle = idle && (l.idle() || !l.connected.Load())
		}
		if idle {
			return
		}
	}
}
