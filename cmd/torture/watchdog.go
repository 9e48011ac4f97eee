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
)

// hangLimit is how long nothing may be recorded before a run counts as hung.
// No phase of a run is silent for so long.
const hangLimit = 2 * time.Minute

// watchdog ends a run that hangs: with a dump of all goroutines in the run's
// directory, the world taken down, and exit code 255. The goroutine that hangs
// cannot be asked to do that.
type watchdog struct {
	last atomic.Int64 // time of the last pat, Unix ns
	done chan struct{}
}

func newWatchdog(dir string, world io.Closer, log *zap.Logger) *watchdog {
	d := &watchdog{done: make(chan struct{})}
	d.pat()
	go d.watch(dir, world, log)
	return d
}

// pat tells that there is progress.
func (d *watchdog) pat() { d.last.Store(time.Now().UnixNano()) }

func (d *watchdog) stop() { close(d.done) }

func (d *watchdog) watch(dir string, world io.Closer, log *zap.Logger) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-d.done:
			return
		case <-tick.C:
		}
		if time.Since(time.Unix(0, d.last.Load())) < hangLimit {
			continue
		}
		path := filepath.Join(dir, "goroutines.txt")
		err := os.WriteFile(path, dump(), 0o644)
		log.Error("nothing has happened for long: the run hangs", zap.Duration("limit", hangLimit), zap.String("dump", path), zap.Error(err))
		closed := make(chan struct{})
		go func() { defer close(closed); _ = world.Close() }()
		select {
		case <-closed:
		case <-time.After(30 * time.Second):
		}
		fmt.Fprintf(os.Stderr, "torture failed: nothing was recorded for %v; the goroutines are in %s; run torture clean if containers are left\n", hangLimit, path)
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
