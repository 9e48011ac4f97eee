package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/torture-harness/torture/node"
)

// The disk's file is a header and then records, appended:
//
//	length   4 bytes, little endian, of the body
//	checksum 4 bytes: CRC-32C of the record's offset in the file (8 bytes) and
//	         the body. The offset makes a copy of a record elsewhere, say in a
//	         value, no record.
//	body     one byte for the kind, then of a batch the number of changes and
//	         each change: 0 (put) or 1 (delete), key, and value if put. Numbers
//	         and the lengths before keys and values are unsigned varints.
//
// A batch is one record, so it is there or not. A mark says that all before it
// was synced, or survived a power loss; it is written just before the fsync that
// makes it true, which is early enough, since nobody has been told of the sync
// then. So the file alone tells what a power loss may take: the batches after
// the last mark.
const (
	logHeader  = "tortlog1"
	recordHead = 8
	recordMax  = 1 << 30

	batchRecord = 1
	markRecord  = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends to dst a record that will begin at offset off of the
// file; body appends its body.
func appendRecord(dst []byte, off int64, body func([]byte) []byte) []byte {
	head := len(dst)
	dst = body(append(dst, make([]byte, recordHead)...))
	b := dst[head+recordHead:]
	binary.LittleEndian.PutUint32(dst[head:], uint32(len(b)))
	binary.LittleEndian.PutUint32(dst[head+4:], checksum(off, b))
	return dst
}

func checksum(off int64, body []byte) uint32 {
	var o [8]byte
	binary.LittleEndian.PutUint64(o[:], uint64(off))
	return crc32.Update(crc32.Checksum(o[:], castagnoli), castagnoli, body)
}

func appendMark(dst []byte, off int64) []byte {
	return appendRecord(dst, off, func(b []byte) []byte { return append(b, markRecord) })
}

func appendBatch(dst []byte, off int64, changes []node.Change) []byte {
	return appendRecord(dst, off, func(b []byte) []byte {
		b = append(b, batchRecord)
		b = binary.AppendUvarint(b, uint64(len(changes)))
		for _, c := range changes {
			if c.Delete {
				b = appendBytes(append(b, 1), c.Key)
			} else {
				b = appendBytes(appendBytes(append(b, 0), c.Key), c.Value)
			}
		}
		return b
	})
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseRecord returns the body of the record at data[off:], or false if there
// is no whole and undamaged one.
func parseRecord(data []byte, off int) (body []byte, ok bool) {
	b := data[off:]
	if len(b) <= recordHead {
		return nil, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > recordMax || int(n) > len(b)-recordHead {
		return nil, false
	}
	body = b[recordHead : recordHead+int(n)]
	return body, binary.LittleEndian.Uint32(b[4:]) == checksum(int64(off), body)
}

var errBatch = errors.New("its checksum holds, but it is no batch of changes")

// parseBatch is the inverse of appendBatch. Values are parts of body.
func parseBatch(body []byte) ([]node.Change, error) {
	b := body[1:]
	ok := true
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)) {
			ok = false
			return 0
		}
		b = b[k:]
		return n
	}
	cut := func() []byte {
		n := number()
		if n > uint64(len(b)) {
			ok = false
			return nil
		}
		var s []byte
		s, b = b[:n:n], b[n:]
		return s
	}
	changes := make([]node.Change, number())
	for i := range changes {
		if len(b) == 0 || b[0] > 1 {
			return nil, errBatch
		}
		del := b[0] == 1
		b = b[1:]
		changes[i] = node.Change{Key: string(cut()), Delete: del}
		if !del {
			changes[i].Value = cut()
		}
	}
	if !ok || len(b) > 0 {
		return nil, errBatch
	}
	return changes, nil
}

// logScan is what a log file holds.
type logScan struct {
	end    int64   // of the last whole record; what follows is a torn one
	synced int64   // end of the last mark
	tail   []int64 // ends of the batches after it
}

// scanLog reads a log file and gives each batch to apply. A damaged record at
// the end was torn by a crash, and is left out; one that others follow is
// damage that no crash explains, and an error.
func scanLog(data []byte, apply func([]node.Change)) (logScan, error) {
	if len(data) < len(logHeader) && bytes.HasPrefix([]byte(logHeader), data) {
		return logScan{}, nil // killed while it was made
	}
	if !bytes.HasPrefix(data, []byte(logHeader)) {
		return logScan{}, fmt.Errorf("it does not begin with %q: it is not the log of a disk, or of another version", logHeader)
	}
	off := len(logHeader)
	s := logScan{end: int64(off), synced: int64(off)}
	for off < len(data) {
		body, ok := parseRecord(data, off)
		if !ok {
			if next := nextRecord(data, off+1); next >= 0 {
				return s, fmt.Errorf("the record at offset %d is corrupt, and an intact one follows at offset %d", off, next)
			}
			return s, nil
		}
		start := off
		off += recordHead + len(body)
		s.end = int64(off)
		switch body[0] {
		case markRecord:
			s.synced, s.tail = s.end, nil
		case batchRecord:
			changes, err := parseBatch(body)
			if err != nil {
				return s, fmt.Errorf("the record at offset %d: %w", start, err)
			}
			s.tail = append(s.tail, s.end)
			apply(changes)
		default:
			return s, fmt.Errorf("the record at offset %d is of the unknown kind %d", start, body[0])
		}
	}
	return s, nil
}

// nextRecord returns the offset of the first intact record at or after off, or
// -1.
func nextRecord(data []byte, off int) int {
	for ; off < len(data); off++ {
		if body, ok := parseRecord(data, off); ok && (body[0] == batchRecord || body[0] == markRecord) {
			return off
		}
	}
	return -1
}
