package histories

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ReadOptions say how a file is meant.
type ReadOptions struct {
	// Independent rewrites the values [k, v] of clients' operations, Jepsen's
	// encoding of independent objects, to key k and value v.
	Independent bool
	// Compact accepts a completion without an invocation: an operation that
	// is instantaneous at its index.
	Compact bool
}

// ReadInfo is what there is to know about a file besides its history.
type ReadInfo struct {
	Format     string // jsonl or edn
	Compressed bool   // with zstd
	Torn       int    // records cut off at the file's end, and left out: 0 or 1
	Renumbered int    // ops whose index in the file is not their position
	// Head is the first line of a file of JSON Lines if it is about the
	// history and not an op: it has a field "example", and neither a process
	// nor a type. It is how golden histories say what is expected of them.
	Head json.RawMessage
}

// ReadFile reads the history in the file path; see Read.
func ReadFile(path string, o ReadOptions) (History, ReadInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return History{}, ReadInfo{}, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	return Read(f, path, o)
}

// Read reads a history: JSON Lines, a JSON array of ops, or EDN as Jepsen,
// Knossos and elle-cli write it, each compressed with zstd or not. name is for
// errors, and its suffix (.jsonl, .json or .edn, and then perhaps .zst) tells
// the format; if it does not, the content does.
//
// Ops are numbered by their position. An index in the file must ascend and is
// otherwise not kept. An op without a time has its index for one. How values of
// EDN become JSON is told in edn_scan.go.
//
// A record that is cut off at the end of the file is left out, and counted.
// Whatever else is wrong with the text is an *InputError, which wraps
// *Malformed if it is an op that cannot follow the ones before it. Damaged
// compression is an error of reading.
func Read(r io.Reader, name string, o ReadOptions) (History, ReadInfo, error) {
	var info ReadInfo
	size := sizeOf(r)
	in := bufio.NewReaderSize(r, 64<<10)
	if head, _ := in.Peek(len(zstdMagic)); bytes.Equal(head, zstdMagic) {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return History{}, info, fmt.Errorf("read %s: %w", name, err)
		}
		defer z.Close()
		in, info.Compressed = bufio.NewReaderSize(z, 64<<10), true
		size = 0
	}
	info.Format = formatOf(name, in)
	rd := reader{b: Builder{Compact: o.Compact}, o: o, info: &info, last: -1, size: size}
	var err error
	switch {
	case info.Format == "edn":
		info.Torn, err = rd.readEDN(in, name)
	case first(in) == '[':
		info.Torn, err = rd.readArray(in, name)
	default:
		var cut int
		if cut, err = eachLine(in, name, rd.line); cut > 0 {
			info.Torn = 1
		}
	}
	if err != nil {
		return History{}, info, err
	}
	return rd.b.History(), info, nil
}

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// formatOf tells whether a file holds jsonl or edn, by its name's suffix or
// else by its first bytes: those of JSON are a brace and a quote.
func formatOf(name string, in *bufio.Reader) string {
	switch name = strings.TrimSuffix(name, ".zst"); {
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".json"):
		return "jsonl"
	case strings.HasSuffix(name, ".edn"):
		return "edn"
	}
	head, _ := in.Peek(4 << 10)
	for _, want := range `[{"` {
		head = bytes.TrimLeft(head, " \t\r\n")
		switch {
		case len(head) == 0:
			return "jsonl"
		case rune(head[0]) == want:
			head = head[1:]
		case want != '[':
			return "edn"
		}
	}
	return "jsonl"
}

// first is the first byte that is no white space, or 0.
func first(in *bufio.Reader) byte {
	head, _ := in.Peek(4 << 10)
	if i := skipSpace(head, 0); i < len(head) {
		return head[i]
	}
	return 0
}

// reader turns records into a history.
type reader struct {
	b     Builder
	p     parser
	o     ReadOptions
	info  *ReadInfo
	begun bool  // there was a record before
	last  int64 // index of the record before
	size  int64 // of the file, 0 if it is not known
	read  int64 // bytes of it, about
}

// sizeOf is how much there is to read from r, or 0.
func sizeOf(r io.Reader) int64 {
	switch r := r.(type) {
	case *os.File:
		if info, err := r.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	case interface{ Len() int }:
		return int64(r.Len())
	}
	return 0
}

// sampleRows is how many ops are read before the number of all is guessed.
const sampleRows = 1000

// line takes a record in JSON.
func (r *reader) line(_ int, line []byte) error {
	p := &r.p
	if err := p.parse(line); err != nil {
		return err
	}
	if !r.begun && p.has&(hasProcess|hasType) == 0 && member(p.ext, "example") != nil {
		r.begun, r.info.Head = true, bytes.Clone(line)
		return nil
	}
	r.begun = true
	if err := p.require(); err != nil {
		return err
	}
	if p.has&hasIndex != 0 {
		if p.index <= r.last {
			return badField("index", "got %d after %d: want them to ascend", p.index, r.last)
		}
		if r.last = p.index; p.index != int64(len(r.b.c.meta)) {
			r.info.Renumbered++
		}
	}
	if r.o.Independent && p.process.Client() && p.value != nil && p.key == nil {
		if err := p.splitTuple(); err != nil {
			return err
		}
	}
	if r.read += int64(len(line)) + 1; len(r.b.c.meta) == sampleRows {
		r.b.c.grow(int(r.size * sampleRows / r.read))
	}
	return r.b.addRecord(&p.record)
}

// splitTuple makes key k and value v of the value [k, v].
func (r *record) splitTuple() error {
	key, value, ok := tuple(r.value)
	if !ok {
		return badField("value", "got %.80s, want [key, value], since the history is read as one of independent objects", r.value)
	}
	r.key, r.value = notNull(key), notNull(value)
	return nil
}

// tuple returns the two elements of the JSON array v, which the parser has
// accepted, and whether there are two.
func tuple(v []byte) (first, second []byte, ok bool) {
	if v[0] != '[' {
		return nil, nil, false
	}
	from := skipSpace(v, 1)
	if v[from] == ']' {
		return nil, nil, false
	}
	end, _ := skipValue(v, from, 0)
	first = v[from:end]
	if end = skipSpace(v, end); v[end] != ',' {
		return nil, nil, false
	}
	from = skipSpace(v, end+1)
	end, _ = skipValue(v, from, 0)
	return first, v[from:end], v[skipSpace(v, end)] == ']'
}
