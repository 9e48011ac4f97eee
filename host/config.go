package host

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// Config says which node to run, where its peers are and where it listens.
type Config struct {
	ID    node.ID
	Peers []node.ID // all nodes, this one included, in the order all of them use
	// Addrs holds the peer address, host:port, of every node but this one. A
	// name is resolved anew at each dial.
	Addrs map[node.ID]string

	PeerAddr string // host:port to listen at for peers
	HTTPAddr string // host:port to listen at for clients and control
	// PeerListener and HTTPListener replace PeerAddr and HTTPAddr if set. Run
	// closes them.
	PeerListener, HTTPListener net.Listener

	Dir      string // of the node's files; made if missing
	New      func() node.Node
	Messages node.Codec
	Log      *zap.Logger // nil: no log

	// AnswerTimeout is how long a client's request may stay unanswered; 0
	// means 60 s.
	AnswerTimeout time.Duration
	// NoFsync leaves fsync out. A sync then still protects from SIGKILL and
	// from power losses as enacted here, but not from those of the machine,
	// and takes no time.
	NoFsync bool
	// CompactMin is the size in bytes from which the disk's file is compacted;
	// 0 means 4 MiB.
	CompactMin int64
	// Lamport is a Lamport time that this life comes after.
	Lamport uint64
}

// Errors of Run that a caller may tell apart.
var (
	// ErrPowerLost: power was lost by request, and unsynced writes are gone.
	ErrPowerLost = errors.New("power lost")
	// ErrPanic: the node panicked. The record "panic" has the stack.
	ErrPanic = errors.New("the node panicked")
)

// ExitCode is the exit status of a process whose Run returned err: 0 after a
// graceful stop, 137 after a power loss (as after SIGKILL), 134 after a panic
// of the node (as after SIGABRT), else 1.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrPowerLost):
		return 137
	case errors.Is(err, ErrPanic):
		return 134
	}
	return 1
}

// complete fills in the defaults and tells all that is wrong.
func (c *Config) complete() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("host config: "+format, args...)) }
	if c.ID == "" || len(c.ID) > idMax {
		wrong("the node's id %q must have 1 to %d bytes", c.ID, idMax)
	}
	if !slices.Contains(c.Peers, c.ID) {
		wrong("the peers %v lack the node itself, %q", c.Peers, c.ID)
	}
	for _, p := range c.Peers {
		if p != c.ID && c.Addrs[p] == "" {
			wrong("peer %q has no address", p)
		}
	}
	if c.PeerListener == nil && c.PeerAddr == "" {
		wrong("no address to listen at for peers")
	}
	if c.HTTPListener == nil && c.HTTPAddr == "" {
		wrong("no address to listen at for clients")
	}
	if c.Dir == "" {
		wrong("no data directory")
	}
	if c.New == nil || c.Messages == nil {
		wrong("no node to run: New and Messages must be set")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	c.Log = c.Log.With(zap.String("node", string(c.ID)))
	if c.AnswerTimeout <= 0 {
		c.AnswerTimeout = time.Minute
	}
	if c.CompactMin <= 0 {
		c.CompactMin = 4 << 20
	}
	return errors.Join(errs...)
}
