//go:build linux

package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// tailEvery is how often a file is looked at for more.
	tailEvery = 10 * time.Millisecond
	// tailMax is the most that is sent at once, in bytes. A line that is
	// longer is sent whole.
	tailMax = 256 << 10
)

// tail sends a file's lines as they are appended.
type tail struct {
	send func(Records) error

	mu   sync.Mutex
	stop context.CancelFunc // of the tail that follows, or nil
}

func (t *tail) serve(ctx context.Context, name string, want Tail) (int64, error) {
	if !want.Follow {
		return t.read(name, want.Offset)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop != nil {
		t.stop()
	}
	ctx, t.stop = context.WithCancel(ctx)
	go t.follow(ctx, name, want.Offset)
	return want.Offset, nil
}

func (t *tail) follow(ctx context.Context, name string, at int64) {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		// What cannot be read now is read later; that it never could, the
		// harness sees when it asks for the rest.
		if n, err := t.read(name, at); err == nil {
			at = n
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// read sends the whole lines of a file from byte at on, and returns where the
// next line begins. A file that is not there is empty.
func (t *tail) read(name string, at int64) (int64, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	defer f.Close()
	buf := make([]byte, tailMax)
	for {
		n, err := f.ReadAt(buf, at)
		if err != nil && err != io.EOF {
			return at, fmt.Errorf("read records: %w", err)
		}
		whole := bytes.LastIndexByte(buf[:n], '\n') + 1
		switch {
		case whole > 0:
			if err := t.send(Records{Offset: at, Lines: string(buf[:whole])}); err != nil {
				return at, err
			}
			at += int64(whole)
		case n == len(buf):
			buf = make([]byte, 2*len(buf))
		default:
			return at, nil
		}
	}
}
