package histories

import (
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Write writes h as JSON Lines.
func Write(w io.Writer, h History) error {
	return writeOps(w, h, AppendJSON)
}

// WriteFile writes h to the file path, all of it or, if it fails, nothing. The
// suffix tells the format: .jsonl, or .edn for Jepsen's, and then .zst or .gz if
// it is to be compressed.
func WriteFile(path string, h History) error {
	return WriteFileUntil(context.Background(), path, h)
}

// WriteFileUntil is WriteFile that fails once ctx is done, if it is not over.
func WriteFileUntil(ctx context.Context, path string, h History) error {
	if err := Writable(path); err != nil {
		return err
	}
	write := Write
	if strings.HasSuffix(plainName(path), ".edn") {
		write = WriteEDN
	}
	folder, name := filepath.Split(path)
	return Dir(cmp.Or(folder, ".")).writeAtomically(name, func(file *os.File) error {
		f := until{ctx, file}
		var z io.WriteCloser
		switch filepath.Ext(path) {
		case ".zst":
			var err error
			if z, err = zstd.NewWriter(f); err != nil {
				return err
			}
		case ".gz":
			z = gzip.NewWriter(f)
		default:
			return write(f, h)
		}
		if err := write(z, h); err != nil {
			z.Close()
			return err
		}
		return z.Close()
	})
}

// until is a writer that fails once its context is done.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u until) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}

// Writable tells whether path has a suffix that WriteFile knows.
func Writable(path string) error {
	name := plainName(path)
	if ext := filepath.Ext(name); ext != ".jsonl" && ext != ".edn" || strings.HasSuffix(path, ".bz2") {
		return fmt.Errorf("write %s: want a name that ends in .jsonl or .edn, or one of these and .gz or .zst", path)
	}
	return nil
}

// writeOps writes what appendOp makes of each op, a line each.
func writeOps(w io.Writer, h History, appendOp func([]byte, Op) []byte) error {
	var buf []byte
	for i := range h.Len() {
		buf = append(appendOp(buf, h.At(i)), '\n')
		if len(buf) >= flushAt || i == h.Len()-1 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	return nil
}
