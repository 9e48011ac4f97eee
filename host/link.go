package host

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

const (
	linkFrames = 1 << 14 // queued at most
	linkBytes  = 8 << 20 // queued at most, but for one frame

	// deadAfter is how long a peer may leave data unacknowledged before its
	// connection is given up. It bounds how long a heal goes unnoticed.
	deadAfter = 2 * time.Second
	// dialTimeout is how long a connection may take to be made; dialEvery, when
	// the next attempt joins those under way. A first SYN that was lost is
	// repeated after a second only: too late to wait for.
	dialTimeout = 3 * time.Second
	dialEvery   = 250 * time.Millisecond
	// Between attempts that were refused.
	backoffMin = 20 * time.Millisecond
	backoffMax = 200 * time.Millisecond
)

// link is the way to one peer: a queue, and a goroutine that keeps a connection
// and writes the queue to it. A full queue loses messages, and so does a
// connection that breaks or cannot be made: the contract allows it, and old
// messages do not flood a peer that comes back.
type link struct {
	to   node.ID
	addr string
	log  *zap.Logger

	mu     sync.Mutex
	queue  []byte // frames, encoded
	frames int
	taken  bool // there are more, which are being written

	wakeup    chan struct{} // queue is not empty
	connected atomic.Bool
	sent      atomic.Int64 // frames handed to the operating system
	lost      atomic.Int64 // frames that certainly or probably never arrive
}

func newLink(to node.ID, addr string, log *zap.Logger) *link {
	return &link{to: to, addr: addr, log: log.With(zap.String("peer", string(to))), wakeup: make(chan struct{}, 1)}
}

// enqueue queues a frame, for kick to send, or drops it.
func (l *link) enqueue(f frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frames > 0 && (l.frames >= linkFrames || len(l.queue)+len(f.body) > linkBytes) || len(f.body) > frameMax-frameHead-idMax {
		l.lost.Add(1)
		return false
	}
	l.queue = appendFrame(l.queue, f)
	l.frames++
	return true
}

// kick has the queue sent.
func (l *link) kick() {
	select {
	case l.wakeup <- struct{}{}:
	default:
	}
}

// take empties the queue into batch's memory.
func (l *link) take(spare []byte) (batch []byte, frames int) {
	if cap(spare) > 1<<20 {
		spare = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	batch, frames = l.queue, l.frames
	l.queue, l.frames, l.taken = spare[:0], 0, l.frames > 0
	return batch, frames
}

// run keeps the link until ctx ends.
func (l *link) run(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := l.dial(ctx)
		if err != nil {
			_, n := l.take(nil)
			l.lost.Add(int64(n))
			l.log.Debug("no connection", zap.Error(err), zap.Int("dropped", n))
			sleep(ctx, backoffMin+rand.N(backoffMax-backoffMin))
			continue
		}
		l.log.Debug("connected", zap.Stringer("addr", conn.RemoteAddr()))
		l.connected.Store(true)
		err = l.pump(ctx, conn)
		l.connected.Store(false)
		if ctx.Err() == nil {
			l.log.Debug("connection lost", zap.Error(err))
		}
	}
}

// pump writes the queue to conn until that fails or ctx ends, and closes conn.
func (l *link) pump(ctx context.Context, conn net.Conn) error {
	closed := make(chan error, 1)
	go func() { // the peer sends nothing: this ends when the connection does
		_, err := io.Copy(io.Discard, conn)
		closed <- err
	}()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	var batch []byte
	var n int
	for {
		batch, n = l.take(batch)
		if n > 0 {
			if err := conn.SetWriteDeadline(time.Now().Add(5 * deadAfter)); err != nil {
				return err
			}
			if _, err := conn.Write(batch); err != nil {
				l.lost.Add(int64(n))
				return err
			}
			l.sent.Add(int64(n))
			continue
		}
		select {
		case <-l.wakeup:
		case err := <-closed:
			return err
		}
	}
}

// idle tells whether all that was queued has left.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frames == 0 && !l.taken
}

// dial makes a connection. Attempts overlap: each dialEvery another begins, and
// the first to succeed is used.
func (l *link) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: control}
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	attempt := func() {
		conn, err := d.DialContext(ctx, "tcp", l.addr)
		select {
		case results <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	}
	ticker := time.NewTicker(dialEvery)
	defer ticker.Stop()
	go attempt()
	for {
		select {
		case r := <-results:
			return r.conn, r.err
		case <-ticker.C:
			go attempt()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second / 2, Count: 3}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
