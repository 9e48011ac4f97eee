// Package docker is a world of containers: each node of the cluster is a
// process in a container of its own, and so is the agent beside it that harms
// it (package agent). It speaks to the Docker Engine through its API only, and
// needs neither privileges nor tools on this machine.
//
// Everything it makes carries the label torture=1 and the run's id, and is
// removed by Close; or, after the harness was killed, by Clean.
package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/docker/client"
	"go.uber.org/zap"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/node"
)

// Config describes a cluster of containers.
type Config struct {
	RunID   string   // names the containers; unique on the engine
	Dir     string   // the run's directory: nodes/<node>/{log,records.jsonl,…}
	Nodes   []string // a fixed order
	Target  string   // what the nodes run: torture node --target
	Options node.Options
	Timeout time.Duration // after which a client gives up: its op is Info; 0 is 1 s
	Primary string        // the role of a node that leads
	Leave   string        // operations by which a node leaves the group and
	Join    string        // joins it again, and by which one lists the members
	Members string        // that it knows of; empty if there are none
	// Binary is the path of a static build of torture; "" finds or builds one.
	Binary string
	// Publish is the address, of a remote engine's machine, at which clients
	// reach the nodes; "" is the one at which the engine is reached.
	Publish string
	Log     *zap.Logger // nil: nowhere
	// Say, if not nil, is told what takes so long that people wonder.
	Say func(string)
	// Records, if not nil, is given each line of each node's records as it
	// arrives. It may be called concurrently, and must not keep the line.
	Records func(node string, line []byte)
	// Sabotage breaks the world on purpose, to test that torture notices.
	Sabotage Sabotage
}

// World is a running cluster. It implements run.World.
type World struct {
	cfg     Config
	log     *zap.Logger
	cli     *client.Client
	info    Info
	gateway string // where published ports are reached
	image   string
	base    time.Time
	began   atomic.Int64 // since base, ns: when the cluster was up
	clock   *hlc
	out     *outbox
	http    *http.Client
	members []*member
	byName  map[string]*member

	patience time.Duration // with an engine that starts the cluster

	loops bool           // the loop has come by; this and seen are its own
	seen  histories.Time // when it last did

	mu        sync.Mutex
	leases    leases
	past      map[string]nemesis.Fault // cured, or being cured
	version   uint64                   // counts changes of leases
	curing    int                      // cures under way
	uncured   map[string]bool          // those whose cure could not be carried out
	enacting  int                      // changes of leases that are not carried out yet
	changed   chan struct{}
	primaries []string

	gone    chan struct{} // closed when the world has ended by itself
	goneErr error         // why; set before
	goneOne sync.Once

	ctx       context.Context // of what runs in the background
	cancel    context.CancelFunc
	working   sync.WaitGroup  // operations and faults under way
	following sync.WaitGroup  // logs being written
	listening context.Context // of the connections that bring them
	deafen    context.CancelFunc
	closing   sync.Once
	closed    error
}

// ErrLeft is among what New returns if it could not remove all that it had made.
var ErrLeft = errors.New("some of the run may be left on the engine")

// New builds the image if need be, and starts a cluster. It returns when every
// node answers; if that cannot be had, nothing is left behind, or the error is ErrLeft.
func New(ctx context.Context, cfg Config) (*World, error) {
	if len(cfg.Nodes) == 0 {
		return nil, errors.New("docker: a cluster needs nodes")
	}
	if cfg.RunID == "" || cfg.Dir == "" {
		return nil, errors.New("docker: a cluster needs a run's id and its directory")
	}
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	if w.info, err = inspect(ctx, w.cli); err != nil {
		return nil, errors.Join(err, w.cli.Close())
	}
	var remote bool
	if w.gateway, remote, err = gateway(ctx, w.info.Host, cfg.Publish); err != nil {
		return nil, errors.Join(err, w.cli.Close())
	}
	if remote {
		w.cfg.Say(fmt.Sprintf("the engine is on another machine: whoever reaches %s there can do operations of clients at the nodes (--publish chooses another address)", w.gateway))
	}
	if err := w.bring(ctx, w.up); err != nil {
		if w.Close() != nil { // why has been said
			err = fmt.Errorf("%w; %w: torture clean %s", err, ErrLeft, cfg.Dir)
		}
		return nil, err
	}
	w.began.Store(int64(time.Since(w.base)))
	go w.watch(lookEvery, answerWait)
	return w, nil
}

// newWorld makes a world of nothing yet.
func newWorld(cfg Config) (*World, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Say == nil {
		cfg.Say = func(string) {}
	}
	cli, err := connect()
	if err != nil {
		return nil, err
	}
	w := &World{
		cfg: cfg, log: cfg.Log, cli: cli, patience: upTimeout, clock: &hlc{}, base: time.Now(),
		byName: map[string]*member{}, past: map[string]nemesis.Fault{}, uncured: map[string]bool{}, changed: make(chan struct{}), gone: make(chan struct{}),
	}
	w.out = newOutbox(w.clock, w.Now)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.listening, w.deafen = context.WithCancel(context.Background())
	w.http = &http.Client{Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1024, DisableCompression: true}}
	for _, name := range cfg.Nodes {
		m := newMember(w, name)
		w.members, w.byName[name] = append(w.members, m), m
	}
	return w, nil
}

// upTimeout bounds what an engine may take to start a cluster, its image
// included: some seconds.
const upTimeout = 2 * time.Minute

// bring makes what nodes need, an image and a network, and then starts them. An
// engine that hangs has it fail.
func (w *World) bring(ctx context.Context, start func(context.Context) error) error {
	program, err := binary(ctx, w.cfg.Binary, w.info.Arch, w.cfg.Say)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, w.patience)
	defer cancel()
	if err = w.prepare(limited, program); err == nil {
		err = start(limited)
	}
	// What was being made had the same deadline, and may have met it first.
	if end, _ := limited.Deadline(); err != nil && ctx.Err() == nil && !time.Now().Before(end) {
		return fmt.Errorf("the cluster is not up after %v; does the docker engine at %s hang? %w", w.patience, w.cli.DaemonHost(), err)
	}
	return err
}

func (w *World) prepare(ctx context.Context, program string) (err error) {
	if w.image, err = ensureImage(ctx, w.cli, program); err != nil {
		return err
	}
	return w.createNetwork(ctx)
}

// up starts all nodes and waits until they answer.
func (w *World) up(ctx context.Context) error {
	begun := time.Now()
	if err := inParallel(w.members, func(m *member) error { return m.bringAgent(ctx) }); err != nil {
		return err
	}
	if err := inParallel(w.members, func(m *member) error { return m.bringNode(ctx) }); err != nil {
		return err
	}
	w.log.Info("cluster is up", zap.Int("nodes", len(w.members)), zap.Duration("elapsed", time.Since(begun)))
	return nil
}

// name is what a thing of this run is called on the engine.
func (w *World) name(parts ...string) string {
	s := strings.Join(append([]string{"torture", w.cfg.RunID}, parts...), "-")
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '-'
	}, s)
}

// dir is where what a node leaves is kept.
func (w *World) dir(node string) string { return filepath.Join(w.cfg.Dir, "nodes", node) }

// Nodes names the nodes in a fixed order.
func (w *World) Nodes() []string { return w.cfg.Nodes }

// Primaries names the nodes whose last known role leads.
func (w *World) Primaries() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.primaries
}

// plays notes the role of a node; "" is none.
func (w *World) plays(name, role string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	leads := role == w.cfg.Primary && role != ""
	at, known := slices.BinarySearch(w.primaries, name)
	switch {
	case leads && !known:
		w.primaries = slices.Insert(slices.Clone(w.primaries), at, name)
	case !leads && known:
		w.primaries = slices.Delete(slices.Clone(w.primaries), at, at+1)
	}
}

// Now is the time since the cluster was up.
func (w *World) Now() histories.Time {
	return histories.Time(int64(time.Since(w.base)) - w.began.Load())
}

// Stamp gives op its place in happens-before, unless it has one.
func (w *World) Stamp(op *histories.Op) {
	if op.Lamport == 0 {
		op.Lamport = w.clock.tick()
	}
}

// Invoke begins op and returns at once.
func (w *World) Invoke(op histories.Op) {
	if op.Process.Nemesis() {
		w.nemesis(op)
		return
	}
	m, ok := w.byName[op.Node]
	if !ok {
		panic(fmt.Sprintf("docker: op %d goes to node %q, which does not exist", op.Index, op.Node))
	}
	w.working.Go(func() {
		done, after := m.invoke(w.ctx, op)
		w.out.put(done, after)
	})
}

// Wait returns the next completion or record that comes before until. It fails
// once the engine or an agent is gone, whatever else there is to tell.
func (w *World) Wait(ctx context.Context, until histories.Time) (histories.Op, bool, error) {
	var timer *time.Timer
	for {
		w.awake()
		if err := w.ended(); err != nil {
			return histories.Op{}, false, err
		}
		if op, ok := w.out.take(); ok {
			return op, true, nil
		}
		left := time.Duration(until - w.Now())
		if left <= 0 {
			return histories.Op{}, false, nil
		}
		if left = min(left, stallLook); timer == nil {
			timer = time.NewTimer(left)
			defer timer.Stop()
		} else {
			timer.Reset(left)
		}
		select {
		case <-w.out.ready:
		case <-timer.C:
		case <-w.gone:
		case <-ctx.Done():
			return histories.Op{}, false, ctx.Err()
		}
	}
}

// end makes the world fail: there is no use in going on.
func (w *World) end(err error) {
	w.goneOne.Do(func() {
		w.goneErr = err
		close(w.gone)
		w.log.Error("the world is gone", zap.Error(err))
	})
}

// ended is why the world is gone, or nil.
func (w *World) ended() error {
	select {
	case <-w.gone:
		return w.goneErr
	default:
		return nil
	}
}

const (
	// closeTimeout bounds the end of a world, and hopeless that of one whose
	// engine does not answer.
	closeTimeout = 30 * time.Second
	hopeless     = 8 * time.Second
)

// unfollow waits for the ends of the nodes' logs, until ctx is done: that of a
// container which is still there has none.
func (w *World) unfollow(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		w.following.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		w.deafen()
		<-ended
	}
}

// Close removes the cluster, whatever state it is in, and saves what its nodes
// left. What could not be removed is in the error.
func (w *World) Close() error {
	w.closing.Do(func() {
		begun, patience := time.Now(), closeTimeout
		w.cancel()
		if answers(context.Background(), w.cli) != nil {
			patience = hopeless
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		saved := inParallel(w.members, func(m *member) error { return m.finish(ctx) })
		_, err := remove(ctx, w.cli, w.cfg.RunID, true)
		for range attempts {
			if err != nil && ctx.Err() == nil {
				_, err = remove(ctx, w.cli, w.cfg.RunID, true)
			}
		}
		w.working.Wait()
		if saved != nil || err != nil {
			cancel()
		}
		w.unfollow(ctx)
		w.http.CloseIdleConnections()
		w.closed = errors.Join(saved, err, w.cli.Close())
		w.log.Info("cluster is removed", zap.Duration("elapsed", time.Since(begun)))
	})
	return w.closed
}
