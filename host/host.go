package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// host is a running node. What is below "the owner's" belongs to the one
// goroutine that calls loop; all others reach the node through the inbox.
type host struct {
	cfg     Config
	life    int
	began   time.Time
	lock    *os.File
	lamport lamport
	clock   *clock
	inbox   *inbox
	peers   *peers

	order    atomic.Uint32 // an order to stop, the greatest so far
	dead     chan struct{} // closed when the node does nothing any more
	lost     *loss         // by power, if it was; to be read when dead is closed
	failure  error         // guarded by failing
	failing  sync.Mutex
	requests atomic.Uint64
	role     atomic.Pointer[role]
	ready    atomic.Bool // it has booted
	counters counters

	// The owner's.
	node    node.Node
	env     *node.Env
	disk    *disk
	records *records
	timers  *timers
	calls   map[uint64]*call // not answered; nil: nobody waits any more
	sent    int              // messages
	second  time.Time        // since when rings were counted
	rings   int              // of timers

	livelocked bool      // it has been recorded
	dirty      []node.ID // peers with messages queued and not kicked off
}

// Orders to stop, by urgency.
const (
	orderStop  = iota + 1 // finish the step, perform its effects
	orderFail             // so too: something that the node needs is broken
	orderPower            // at once, between two effects
)

type role struct {
	Role string `json:"role"`
	Term uint64 `json:"term"`
}

// counters may be read by anybody.
type counters struct {
	steps, requests, answers, unclaimed, records, timers atomic.Int64
}

// Run runs a node until ctx ends or it is asked to stop (nil), loses power by
// request (ErrPowerLost), panics (ErrPanic), or cannot go on: a port is taken,
// a disk full or corrupt.
func Run(ctx context.Context, cfg Config) error {
	for _, ln := range []net.Listener{cfg.PeerListener, cfg.HTTPListener} {
		if ln != nil {
			defer ln.Close() // that of a node that did not boot, too
		}
	}
	if err := cfg.complete(); err != nil {
		return err
	}
	h, err := open(cfg)
	if err != nil {
		return fmt.Errorf("boot node %s: %w", cfg.ID, err)
	}
	if err := h.run(ctx); err != nil {
		return fmt.Errorf("node %s: %w", cfg.ID, err)
	}
	return nil
}

// open opens the files of the node.
func open(cfg Config) (_ *host, err error) {
	h := &host{cfg: cfg, began: time.Now(), inbox: newInbox(), dead: make(chan struct{}), node: cfg.New(),
		timers: newTimers(), calls: map[uint64]*call{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(cfg.Dir, name) }
	if h.lock, err = lockFile(path("lock")); err != nil {
		return nil, err
	}
	if h.life, err = nextLife(path("life"), !cfg.NoFsync); err != nil {
		return nil, err
	}
	if err := h.powerLost(path("power"), path("disk.log")); err != nil {
		return nil, err
	}
	if h.disk, err = openDisk(path("disk.log"), !cfg.NoFsync, cfg.CompactMin, cfg.Log); err != nil {
		return nil, err
	}
	last := uint64(0)
	if h.records, last, err = openRecords(path("records.jsonl")); err != nil {
		return nil, err
	}
	h.lamport.observe(last)
	h.lamport.observe(cfg.Lamport)
	if h.clock, err = openClock(path("clock.json"), !cfg.NoFsync); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	h.env = node.NewEnv(node.Host{ID: cfg.ID, Peers: cfg.Peers, Codec: cfg.Messages, Disk: h.disk,
		Rand: func(string) *rand.Rand { return random }})
	h.peers = newPeers(cfg, &h.lamport, h.inbox)
	return h, nil
}

// powerLost enacts the power loss that the file at path tells of.
func (h *host) powerLost(path, disk string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	l, err := losePower(disk, !h.cfg.NoFsync)
	if err != nil {
		return fmt.Errorf("power loss: %w", err)
	}
	h.cfg.Log.Info("power was lost", zap.Int("kept", l.Kept), zap.Int("lost", l.Lost), zap.Bool("torn", l.Torn))
	return os.Remove(path)
}

// run listens and serves until the end, whatever brings it.
func (h *host) run(ctx context.Context) error {
	peerLn, err := listen(h.cfg.PeerListener, h.cfg.PeerAddr)
	if err != nil {
		return errors.Join(err, h.close())
	}
	httpLn, err := listen(h.cfg.HTTPListener, h.cfg.HTTPAddr)
	if err != nil {
		peerLn.Close()
		return errors.Join(err, h.close())
	}
	h.cfg.Log.Info("booting", zap.Int("life", h.life), zap.Stringer("peers", peerLn.Addr()), zap.Stringer("http", httpLn.Addr()))
	defer context.AfterFunc(ctx, func() { h.halt(orderStop) })()

	netCtx, cut := context.WithCancel(context.Background())
	defer cut()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.peers.run(netCtx, peerLn); err != nil {
			h.fail(err)
		}
	})
	server := &http.Server{Handler: h.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(h.cfg.Log)}
	wg.Go(func() {
		if err := server.Serve(httpLn); !errors.Is(err, http.ErrServerClosed) {
			h.fail(fmt.Errorf("serve clients at %s: %w", httpLn.Addr(), err))
		}
	})

	err = h.loop()
	h.inbox.close()
	if errors.Is(err, ErrPowerLost) || errors.Is(err, ErrPanic) {
		cut() // nothing leaves a machine without power, or a crashed process
	} else {
		h.peers.drain(100 * time.Millisecond)
	}
	err = errors.Join(err, h.close())
	close(h.dead)
	cut()
	closing, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	if server.Shutdown(closing) != nil { // somebody is slow: cut them off
		server.Close()
	}
	wg.Wait()
	h.cfg.Log.Info("ended", zap.Error(err))
	return err
}

func listen(ln net.Listener, addr string) (net.Listener, error) {
	if ln != nil {
		return ln, nil
	}
	return net.Listen("tcp", addr)
}

// halt orders the node to stop. The more urgent order wins.
func (h *host) halt(order uint32) {
	for {
		old := h.order.Load()
		if old >= order || h.order.CompareAndSwap(old, order) {
			break
		}
	}
	h.inbox.wake()
}

// fail ends the node because of err.
func (h *host) fail(err error) {
	h.failing.Lock()
	h.failure = errors.Join(h.failure, err)
	h.failing.Unlock()
	h.halt(orderFail)
}

// close closes the files. Those that were not opened are nil.
func (h *host) close() (err error) {
	if h.disk != nil {
		err = h.disk.close(err)
	}
	if h.records != nil {
		err = h.records.close(err)
	}
	if h.lock != nil {
		err = errors.Join(err, h.lock.Close())
	}
	return err
}
