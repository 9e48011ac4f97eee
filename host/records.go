package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
)

// records is the file of what the node recorded, one JSON object a line. It is
// never synced: what kills a process leaves the page cache alone, and a power
// loss is enacted on the disk's file only. It belongs to the node's goroutine.
type records struct {
	file *os.File
	buf  []byte
	size atomic.Int64 // of the file; for anybody
}

// openRecords opens the file at path for appending, made if missing, and
// returns the Lamport time of its last line. A line without its end is cut off:
// the process was killed while it wrote it.
func openRecords(path string) (*records, uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, 0, err
	}
	r := &records{file: f}
	size, last, err := lastLine(f)
	if err == nil {
		err = f.Truncate(size)
	}
	var line struct{ Lamport uint64 }
	if err == nil && len(last) > 0 {
		if e := json.Unmarshal(last, &line); e != nil {
			err = fmt.Errorf("records file %s: its last line: %w", path, e)
		}
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	r.size.Store(size)
	return r, line.Lamport, nil
}

// lastLine returns the size of f up to its last line's end, and that line.
func lastLine(f *os.File) (size int64, line []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	for n := int64(1 << 12); ; n *= 4 {
		n = min(n, info.Size())
		b := make([]byte, n)
		if _, err := f.ReadAt(b, info.Size()-n); err != nil && err != io.EOF {
			return 0, nil, err
		}
		end := bytes.LastIndexByte(b, '\n')
		if end >= 0 {
			start := bytes.LastIndexByte(b[:end], '\n') + 1
			if start > 0 || n == info.Size() {
				return info.Size() - n + int64(end) + 1, b[start:end], nil
			}
		} else if n == info.Size() {
			return 0, nil, nil
		}
	}
}

// add appends a record. It reaches the file with the next flush.
func (r *records) add(lamport uint64, f string, value json.RawMessage) {
	b := append(r.buf, `{"lamport":`...)
	b = strconv.AppendUint(b, lamport, 10)
	b = append(b, `,"f":`...)
	b = appendString(b, f)
	b = append(b, `,"value":`...)
	b = appendValue(b, value)
	r.buf = append(b, '}', '\n')
}

// flush hands the records to the operating system: no crash of the process can
// take them any more.
func (r *records) flush() error {
	if len(r.buf) == 0 {
		return nil
	}
	if _, err := r.file.Write(r.buf); err != nil {
		return fmt.Errorf("records file: %w", err)
	}
	r.size.Add(int64(len(r.buf)))
	r.buf = r.buf[:0]
	return nil
}

func (r *records) close(err error) error { return errors.Join(err, r.file.Close()) }

// appendString appends s as JSON.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // of a string: no error
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendValue appends v, on one line whatever the client's own layout was.
func appendValue(b []byte, v json.RawMessage) []byte {
	if len(v) == 0 {
		return append(b, "null"...)
	}
	if bytes.IndexByte(v, '\n') < 0 && bytes.IndexByte(v, '\r') < 0 {
		return append(b, v...)
	}
	var buf bytes.Buffer
	if json.Compact(&buf, v) != nil {
		panic(fmt.Sprintf("node: value %q is no JSON", v))
	}
	return append(b, buf.Bytes()...)
}
