package host

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

// compact replaces the log by one that holds just the live data, when less
// than a third of it is live. What the new file holds is synced, so compaction
// waits for a sync, unless forced by the owner: a node that never syncs is
// compacted when its file is much larger yet, as a kernel writes back dirty
// pages in the end without being asked. A crash leaves the old file or the new.
func (d *disk) compact(forced bool) error {
	limit := max(d.min, 3*d.live)
	if forced {
		limit *= 8
	}
	if d.size <= limit {
		return nil
	}
	before := d.size
	if err := d.rewrite(); err != nil {
		return fmt.Errorf("compact disk file %s: %w", d.path, err)
	}
	d.stats.compactions.Add(1)
	d.count()
	d.log.Debug("compacted the disk's file", zap.Int64("before", before), zap.Int64("after", d.size))
	return nil
}

func (d *disk) rewrite() error {
	if err := d.flush(); err != nil {
		return err
	}
	f, err := os.OpenFile(d.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	next := &disk{path: d.path, fsync: d.fsync, file: f, buf: []byte(logHeader), size: int64(len(logHeader))}
	if err := next.fill(d.data); err != nil {
		return next.close(err)
	}
	if err := os.Rename(d.path+".new", d.path); err != nil {
		return next.close(err)
	}
	old := d.file
	d.file, d.size, d.unsynced = next.file, next.size, 0
	return errors.Join(old.Close(), syncDir(filepath.Dir(d.path), d.fsync))
}

// fill writes data and a mark to an empty log, and syncs it.
func (d *disk) fill(data map[string][]byte) error {
	var batch []node.Change
	bytes := 0
	put := func() error {
		n := len(d.buf)
		d.buf = appendBatch(d.buf, d.size, batch)
		d.size += int64(len(d.buf) - n)
		batch, bytes = batch[:0], 0
		return d.flush()
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		batch = append(batch, node.Change{Key: key, Value: data[key]})
		if bytes += len(key) + len(data[key]); bytes > 1<<16 {
			if err := put(); err != nil {
				return err
			}
		}
	}
	if err := put(); err != nil {
		return err
	}
	n := len(d.buf)
	d.buf = appendMark(d.buf, d.size)
	d.size += int64(len(d.buf) - n)
	return errors.Join(d.flush(), d.syncFile())
}
