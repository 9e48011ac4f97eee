package histories

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

const (
	// flushEvery bounds how long a record stays in this process' memory, where
	// a SIGKILL loses it.
	flushEvery = 10 * time.Millisecond
	// syncEvery bounds how long it stays in the machine's, where a power cut
	// does.
	syncEvery = 50 * time.Millisecond
	// flushAt is how many bytes are written without waiting for the time.
	flushAt = 64 << 10
)

// Run writes the directory of a run as it goes on. What was recorded is
// written to the file within about 10 ms, and synced to the disk, together
// with all that came meanwhile, every 50 ms or so. A Run is safe for
// concurrent use.
type Run struct {
	Dir
	Manifest Manifest

	file *os.File
	stop chan struct{}
	done sync.WaitGroup

	syncing sync.Mutex // one Sync at a time, so that each waits for what it found under way

	mu     sync.Mutex // of what follows; held for short times only
	buf    []byte     // recorded, not written
	next   int        // index of the next record
	dirty  bool       // something was written since the last sync
	closed bool
	err    error // the first that went wrong: nothing is recorded any more
}

// Create makes the directory of a run, which must not be one already, and
// saves m there. A Version of 0 becomes that of this package.
func Create(dir string, m Manifest) (*Run, error) {
	if m.Version == 0 {
		m.Version = ManifestVersion
	}
	r := &Run{Dir: Dir(dir), Manifest: m, stop: make(chan struct{})}
	if _, err := os.Lstat(r.Path(ManifestName)); err == nil {
		return nil, fmt.Errorf("create run: %s holds a run already", dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create run: %w", err)
	}
	if err := r.Save(ManifestName, m); err != nil {
		return nil, fmt.Errorf("create run: %w", err)
	}
	var err error
	if r.file, err = os.OpenFile(r.Path(HistoryName), os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err != nil {
		return nil, fmt.Errorf("create run: %w", err)
	}
	if err := r.sync(); err != nil {
		r.file.Close()
		return nil, fmt.Errorf("create run: %w", err)
	}
	r.every(flushEvery, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.flush()
	})
	r.every(syncEvery, func() { r.Sync() })
	return r, nil
}

// every calls do again and again until the run is closed. What do finds wrong
// it keeps in r.err.
func (r *Run) every(d time.Duration, do func()) {
	r.done.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			select {
			case <-r.stop:
				return
			case <-tick.C:
				do()
			}
		}
	})
}

// Record appends op to the history, with its position for an index. It fails
// on an op that no history can hold, and for good once the file cannot be
// written: the error names it, and what was recorded before stays readable.
func (r *Run) Record(op Op) error {
	if err := recordable(op); err != nil {
		return fmt.Errorf("record op (process %s, %s %s): %w", op.Process, op.Type, op.F, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if r.closed {
		return fmt.Errorf("record op: %s is closed", r.Path(HistoryName))
	}
	op.Index = r.next
	r.next++
	r.buf = append(AppendJSON(r.buf, op), '\n')
	if len(r.buf) >= flushAt {
		r.flush()
	}
	return r.err
}

// recordable tells what op has that would spoil the file.
func recordable(op Op) error {
	if op.Type < Invoke || op.Type > Info {
		return fmt.Errorf("%s is not a type of a history", op.Type)
	}
	if op.Value != nil && !validJSON(op.Value) {
		return fmt.Errorf("value %.80q is not JSON", op.Value)
	}
	if op.Key != nil && !validJSON(op.Key) {
		return fmt.Errorf("key %.80q is not JSON", op.Key)
	}
	if len(op.Ext) == 0 {
		return nil
	}
	if name := ownField(op.Ext); name != "" {
		return fmt.Errorf("the further field %q has the name of one that every op has", name)
	}
	for name, v := range op.Ext {
		if v != nil && !validJSON(v) {
			return fmt.Errorf("field %s: %.80q is not JSON", name, v)
		}
	}
	return nil
}

// flush hands what was recorded to the kernel. r.mu is held.
func (r *Run) flush() {
	if r.err != nil || len(r.buf) == 0 {
		return
	}
	_, err := r.file.Write(r.buf)
	r.buf, r.dirty = r.buf[:0], true
	if err != nil {
		r.err = fmt.Errorf("record ops: %w", err)
	}
}

// Sync returns when all that was recorded before is on the disk.
func (r *Run) Sync() error {
	r.syncing.Lock()
	defer r.syncing.Unlock()
	r.mu.Lock()
	r.flush()
	dirty, err := r.dirty, r.err
	r.dirty = false
	r.mu.Unlock()
	if err != nil || !dirty {
		return err
	}
	// Not under r.mu: a sync takes as long as the disk likes, and the run goes
	// on meanwhile.
	if err := r.file.Sync(); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = fmt.Errorf("sync history: %w", err)
		return r.err
	}
	return nil
}

// Close writes and syncs what is left, and ends the recording. It fails if
// anything that was recorded may not be on the disk.
func (r *Run) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return fmt.Errorf("close run: %s is closed already", r.Path(HistoryName))
	}
	close(r.stop)
	r.done.Wait()
	err := r.Sync()
	if cerr := r.file.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close history: %w", cerr)
	}
	return err
}
