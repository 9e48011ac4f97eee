package host

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/torture-harness/torture/node"
)

// loss is what a power loss left of the batches that were not synced.
type loss struct {
	Kept int  `json:"kept"`
	Lost int  `json:"lost"`
	Torn bool `json:"torn"` // the first lost one is half there
}

// losePower does to the log file at path, which nobody writes, what a power
// loss does: of the batches after the last mark a random number survives, from
// the first on, as on a disk that writes in order; the one after may be torn,
// with its rest missing or zero.
func losePower(path string, fsync bool) (loss, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return loss{}, nil
	}
	if err != nil {
		return loss{}, err
	}
	scan, err := scanLog(data, func([]node.Change) {})
	if err != nil {
		return loss{}, fmt.Errorf("disk file %s: %w", path, err)
	}
	keep := rand.IntN(len(scan.tail) + 1)
	l := loss{Kept: keep, Lost: len(scan.tail) - keep}
	cut := scan.synced
	if keep > 0 {
		cut = scan.tail[keep-1]
	}
	size := cut
	if l.Lost > 0 && rand.IntN(2) == 0 {
		l.Torn = true
		whole := scan.tail[keep]
		cut += 1 + rand.Int64N(whole-cut-1)
		size = cut
		rest := bytes.Trim(data[cut:whole], "\x00")
		if rand.IntN(2) == 0 && len(rest) > 0 { // else zeros would make it whole
			size = whole
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return l, err
	}
	err = errors.Join(f.Truncate(cut), f.Truncate(size)) // the second adds zeros
	if err == nil && fsync {
		err = f.Sync()
	}
	return l, errors.Join(err, f.Close())
}
