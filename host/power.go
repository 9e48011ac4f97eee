package host

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/torture-harness/torture/node"
)

// loss is what a power loss left of the batches that were not synced.
type loss struct {
	Kept int  `json:"kept"`
	Lost int  `json:"lost"`
	Torn bool `json:"torn"` // the first lost one is half there
}

// Unsynced counts the batches of writes in dir, the folder of a node, that a loss
// of power can take; doomed is that the next boot will. Of a node that runs, it
// is so at some instant.
func Unsynced(dir string) (batches int, doomed bool, err error) {
	_, err = os.Stat(filepath.Join(dir, "power"))
	if doomed = err == nil; err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, false, err
	}
	path := filepath.Join(dir, "disk.log")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, doomed, err
	}
	scan, err := scanLog(data, func([]node.Change) {})
	if err != nil {
		return 0, doomed, fmt.Errorf("disk file %s: %w", path, err)
	}
	return len(scan.tail), doomed, nil
}

// losePower does to the log file at path, which nobody writes, what a power
// loss does: of the batches after the last mark a random number survives, from
// the first on, as on a disk that writes in order; the one after may be torn,
// with its rest missing or zero. What survives is marked: it is on the disk, and
// no later loss can take it.
func losePower(path string, fsync bool) (loss, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return loss{}, err
	}
	scan, err := scanLog(data, func([]node.Change) {})
	if err != nil {
		return loss{}, fmt.Errorf("disk file %s: %w", path, err)
	}
	if scan.end == 0 { // not made yet, or killed while it was
		return loss{}, nil
	}
	keep := rand.IntN(len(scan.tail) + 1)
	l := loss{Kept: keep, Lost: len(scan.tail) - keep}
	cut := scan.synced
	if keep > 0 {
		cut = scan.tail[keep-1]
	}
	rest := appendMark(nil, cut)
	if l.Lost > 0 && rand.IntN(2) == 0 {
		l.Torn = true
		batch := data[cut:scan.tail[keep]] // behind the mark: no record, even if zeros make it whole
		part := 1 + rand.IntN(len(batch)-1)
		rest = append(rest, batch[:part]...)
		if rand.IntN(2) == 0 {
			rest = append(rest, make([]byte, len(batch)-part)...)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return l, err
	}
	if err = f.Truncate(cut); err == nil {
		_, err = f.WriteAt(rest, cut)
	}
	if err == nil && fsync {
		err = f.Sync()
	}
	return l, errors.Join(err, f.Close())
}
