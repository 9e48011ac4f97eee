package histories

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Write writes h as JSON Lines.
func Write(w io.Writer, h History) error {
	return writeOps(w, h, AppendJSON)
}

// WriteFile writes h to the file path, all of it or, if it fails, nothing. The
// suffix tells the format: .jsonl, or .edn for Jepsen's, and then .zst if it is
// to be compressed.
func WriteFile(path string, h History) error {
	name, compressed := strings.CutSuffix(path, ".zst")
	write := Write
	switch {
	case strings.HasSuffix(name, ".edn"):
		write = WriteEDN
	case !strings.HasSuffix(name, ".jsonl"):
		return fmt.Errorf("write %s: want a name that ends in .jsonl or .edn, or one of these and .zst", path)
	}
	return writeAtomically(path, func(f *os.File) error {
		if !compressed {
			return write(f, h)
		}
		z, err := zstd.NewWriter(f)
		if err != nil {
			return err
		}
		if err := write(z, h); err != nil {
			z.Close()
			return err
		}
		return z.Close()
	})
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
