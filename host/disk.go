package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// disk is a node's storage: a map in memory, and a log file (log.go) from
// which it is made again at boot. It belongs to the node's goroutine.
//
// A batch is encoded at once and reaches the file with the next flush, which
// the owner calls before anything happens that the world can see.
type disk struct {
	path  string
	fsync bool
	min   int64 // size from which compaction is worth while
	log   *zap.Logger

	file *os.File
	data map[string][]byte
	keys index

	buf      []byte // records that are not in the file yet
	size     int64  // of the file and buf
	live     int64  // what the file would hold of data alone
	unsynced int    // batches since the last mark

	stats diskStats
}

// diskStats may be read by anybody.
type diskStats struct {
	size, keys, syncs, compactions atomic.Int64
}

// openDisk replays the file at path, made if missing, and cuts off a torn
// record at its end.
func openDisk(path string, fsync bool, compactMin int64, log *zap.Logger) (*disk, error) {
	d := &disk{path: path, fsync: fsync, min: compactMin, log: log, data: map[string][]byte{}}
	if err := os.Remove(path + ".new"); err != nil && !errors.Is(err, os.ErrNotExist) { // of a compaction cut short
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	scan, err := scanLog(data, func(changes []node.Change) {
		for _, c := range changes {
			c.Value = bytes.Clone(c.Value) // let go of data
			d.apply(c)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("disk file %s: %w", path, err)
	}
	if d.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	d.size, d.unsynced = scan.end, len(scan.tail)
	if torn := int64(len(data)) - scan.end; torn > 0 {
		log.Warn("cut off a torn record", zap.String("file", path), zap.Int64("offset", scan.end), zap.Int64("bytes", torn))
		if err := d.file.Truncate(scan.end); err != nil {
			return nil, d.close(err)
		}
	}
	if d.size == 0 {
		d.buf, d.size = append(d.buf, logHeader...), int64(len(logHeader))
		if err := errors.Join(d.flush(), d.syncFile(), syncDir(filepath.Dir(path), fsync)); err != nil {
			return nil, d.close(err)
		}
	}
	d.count()
	return d, nil
}

// Read implements node.Disk.
func (d *disk) Read(key string) ([]byte, bool) {
	v, ok := d.data[key]
	return v, ok
}

// Keys implements node.Disk.
func (d *disk) Keys(prefix string) []string { return d.keys.prefixed(prefix) }

func (d *disk) apply(c node.Change) {
	old, had := d.data[c.Key]
	if had {
		d.live -= liveSize(c.Key, old)
	}
	switch {
	case !c.Delete:
		d.data[c.Key] = c.Value
		d.live += liveSize(c.Key, c.Value)
		if !had {
			d.keys.add(c.Key)
		}
	case had:
		delete(d.data, c.Key)
		d.keys.remove(c.Key)
	}
}

// liveSize is about what a key and its value take in the file.
func liveSize(key string, value []byte) int64 { return int64(len(key) + len(value) + 6) }

// write applies a batch. Only sync makes it durable.
func (d *disk) write(changes []node.Change) {
	n := len(d.buf)
	d.buf = appendBatch(d.buf, d.size, changes)
	d.size += int64(len(d.buf) - n)
	d.unsynced++
	for _, c := range changes {
		d.apply(c)
	}
}

// flush hands what was written to the operating system: a SIGKILL cannot take
// it any more.
func (d *disk) flush() error {
	if len(d.buf) == 0 {
		return nil
	}
	if _, err := d.file.Write(d.buf); err != nil {
		return fmt.Errorf("disk file %s: %w", d.path, err)
	}
	d.buf = d.buf[:0]
	if cap(d.buf) > 1<<20 {
		d.buf = nil
	}
	d.count()
	return nil
}

// sync makes what was written durable: a power loss cannot take it any more.
func (d *disk) sync() error {
	if d.unsynced == 0 {
		return nil
	}
	n := len(d.buf)
	d.buf = appendMark(d.buf, d.size)
	d.size += int64(len(d.buf) - n)
	if err := d.flush(); err != nil {
		return err
	}
	if err := d.syncFile(); err != nil {
		return err
	}
	d.unsynced = 0
	d.stats.syncs.Add(1)
	return d.compact(false)
}

func (d *disk) syncFile() error {
	if !d.fsync {
		return nil
	}
	return d.file.Sync() // its error names the file
}

func (d *disk) count() {
	d.stats.size.Store(d.size)
	d.stats.keys.Store(int64(len(d.data)))
}

// close closes the file and returns err with what went wrong meanwhile.
func (d *disk) close(err error) error { return errors.Join(err, d.file.Close()) }
