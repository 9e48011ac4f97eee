package histories

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Limits bound what is read of a file that anybody may have written. Each is
// its default if it is 0.
type Limits struct {
	// Record is how many bytes a line, an op or a JSON document may have:
	// RecordDefault. What takes much more memory than it has bytes, a
	// manifest, may have a quarter of it. At most RecordMax.
	Record int
	// Ratio is how many times its size a compressed file may be once it is
	// unpacked, beyond its first GB: RatioDefault.
	Ratio uint32
}

const (
	// RecordMax bounds Limits.Record: what is kept of a record has a length of
	// 32 bits.
	RecordMax = 1 << 30

	RecordDefault = 64 << 20
	RatioDefault  = 1000

	zstdWindow = 128 << 20 // that of the zstd program, if nothing is said
)

// unpackFree are the bytes that any compressed file may have. Tests make it less.
var unpackFree int64 = 1 << 30

func (l Limits) record() int { return cmp.Or(min(l.Record, RecordMax), RecordDefault) }

// LimitError says that a file goes beyond a limit.
type LimitError struct {
	What string // "the line is longer than 64 MB"
	Flag string // that raises the limit
}

func (e *LimitError) Error() string { return e.What + ", the limit that " + e.Flag + " sets" }

// tooLong is the error of a record, a line or a document of more than limit
// bytes.
func tooLong(what string, limit int) error {
	return &LimitError{what + " is longer than " + megabytes(limit), "--max-record"}
}

func megabytes(n int) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// readDocument reads the file name of d, which is one JSON document.
func (d Dir) readDocument(name string, limit int) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = fmt.Errorf("%s: %w", d.Path(name), tooLong("it", limit))
	}
	return b, err
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// inflated is an unpacked file that ends with an error where it has become too
// large for what it was unpacked from.
type inflated struct {
	counter          // of what was unpacked
	packed  *counter // of what that was made from, and some that is read ahead
	ratio   uint32
}

func (f *inflated) Read(b []byte) (int, error) {
	n, err := f.counter.Read(b)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("%w: its window is larger than %s: pack it again, without --long", err, megabytes(zstdWindow))
	}
	if f.n > unpackFree && f.n/int64(f.ratio) > f.packed.n {
		return 0, &LimitError{fmt.Sprintf("it unpacks to more than %d times its size", f.ratio), "--max-ratio"}
	}
	return n, err
}
