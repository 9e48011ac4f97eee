package sim

import (
	"maps"
	"slices"
	"strings"

	"github.com/torture-harness/torture/node"
)

// disk is ordered key-value storage behind a page cache. A process that dies
// leaves the cache alone; a machine that loses power loses what was not synced
// from a random write on, as on a disk that writes in order. The write at the
// tear is torn: its checksum does not hold, so all of it is lost.
type disk struct {
	data    map[string][]byte // as the process sees it
	sorted  []string          // the keys of data, sorted, if not stale
	stale   bool
	pending []undo // writes since the last sync, in order
	batches int    // batches among pending
}

// undo is what a change replaced.
type undo struct {
	batch int // number of the batch, from 0 at the last sync
	key   string
	old   []byte
	had   bool
}

func (d *disk) write(changes []node.Change) {
	if d.data == nil {
		d.data = map[string][]byte{}
	}
	for _, c := range changes {
		old, had := d.data[c.Key]
		d.pending = append(d.pending, undo{d.batches, c.Key, old, had})
		switch {
		case c.Delete:
			delete(d.data, c.Key)
			d.stale = d.stale || had
		default:
			d.data[c.Key] = c.Value
			if had || d.stale {
				break
			}
			if n := len(d.sorted); n > 0 && d.sorted[n-1] > c.Key {
				d.stale = true
			} else {
				d.sorted = append(d.sorted, c.Key)
			}
		}
	}
	d.batches++
}

func (d *disk) sync() { d.pending, d.batches = d.pending[:0], 0 }

// lose takes back a random number of the last unsynced batches, and tells how
// many of how many.
func (d *disk) lose(r dice) (lost, of int) {
	of = d.batches
	keep := r.intn(of + 1)
	for i := len(d.pending) - 1; i >= 0 && d.pending[i].batch >= keep; i-- {
		u := d.pending[i]
		if u.had {
			d.data[u.key] = u.old
		} else {
			delete(d.data, u.key)
		}
	}
	d.stale = true
	d.sync()
	return of - keep, of
}

// unsynced is the key of a witness.
const unsynced = "\x00unsynced"

// witness leaves a write behind that was not synced, as the last of a process
// that has died. It goes the way of every other, but is not counted: who tears
// off a random number of batches tears it off with any of them, and with none.
func (d *disk) witness() {
	batches := d.batches
	d.write([]node.Change{{Key: unsynced}})
	d.batches = batches
}

// forget removes the witness, if it is there.
func (d *disk) forget() {
	if _, there := d.data[unsynced]; there {
		delete(d.data, unsynced)
		d.stale = true
		d.pending = slices.DeleteFunc(d.pending, func(u undo) bool { return u.key == unsynced })
	}
}

// Read implements node.Disk.
func (d *disk) Read(key string) ([]byte, bool) {
	v, ok := d.data[key]
	return v, ok
}

// Keys implements node.Disk.
func (d *disk) Keys(prefix string) []string {
	if d.stale {
		d.sorted, d.stale = slices.Sorted(maps.Keys(d.data)), false
	}
	lo, _ := slices.BinarySearch(d.sorted, prefix)
	hi := lo
	for hi < len(d.sorted) && strings.HasPrefix(d.sorted[hi], prefix) {
		hi++
	}
	return slices.Clone(d.sorted[lo:hi])
}
