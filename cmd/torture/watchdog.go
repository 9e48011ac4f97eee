package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/torture-harness/torture/histories"
)

// hangLimit is how long nothing may be recorded before a run counts as hung:
// two minutes more than what it may well spend in silence, be it the recovery,
// operations that time out, the wait for the next one, or a gap in what is
// replayed.
func hangLimit(m histories.Manifest) time.Duration {
	limit := 2*time.Minute + m.Recovery + 20*m.Timeout + m.End
	if between := 20 / m.Rate; between < float64(24*time.Hour/time.Second) {
		return limit + time.Duration(between*float64(time.Second))
	}
	return limit + 24*time.Hour
}

// watchdog ends a run that hangs: with a dump of all goroutines in the run's
// directory, the world taken down, and exit code 255. The goroutine that hangs
// cannot be asked to do that.
type watchdog struct {
	limit time.Duration
	last  atomic.Int64 // time of the last pat, Unix ns
	done  chan struct{}
}

func newWatchdog(limit time.Duration, dir string, world io.Closer, log *zap.Logger) *watchdog {
	d := &watchdog{limit: limit, done: make(chan struct{})}
	d.pat()
	go d.watch(dir, world, log)
	return d
}

// pat tells that there is progress.
func (d *watchdog) pat() { d.last.Store(time.Now().UnixNano()) }

func (d *watchdog) stop() { close(d.done) }

func (d *watchdog) watch(dir string, world io.Closer, log *zap.Logger) {
	tick := time.NewTicker(min(time.Second, d.limit/2))
	defer tick.Stop()
	for {
		select {
		case <-d.done:
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, d.last.Load())) < d.limit {
			continue
		}
		path := filepath.Join(dir, "goroutines.txt")
		err := os.WriteFile(path, dump(), 0o644)
		log.Info("nothing has happened for long: the run hangs", zap.Duration("limit", d.limit), zap.String("dump", path), zap.Error(err))
		closed := make(chan struct{})
		go func() { defer close(closed); _ = world.Close() }()
		select {
		case <-closed:
		case <-time.After(30 * time.Second):
		}
		fmt.Fprintf(os.Stderr, "torture failed: nothing was recorded for %v: the run hangs; its goroutines are in %s; torture clean %s removes what containers are left\n", d.limit, path, dir)
		os.Exit(exitFailed)
	}
}

func dump() []byte {
	for size := 1 << 20; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size {
			return b[:n]
		}
	}
}
