package histories

import (
	"bufio"
	"bytes"
	"errors"
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

// Read reads a history: JSON Lines, or EDN as Jepsen, Knossos and elle-cli
// write it, either compressed with zstd or not. name is for errors, and its
// suffix (.jsonl, .json or .edn, and then perhaps .zst) tells the format; if it
// does not, the content does.
//
// Ops are numbered by their position. An index in the file must ascend and is
// otherwise not kept. An op without a time has its index for one. In EDN, see
// package documentation file edn.go for how values become JSON.
//
// A record that is cut off at the end of the file is left out, and counted.
// Whatever else is wrong is an *InputError, which wraps *Malformed if it is an
// op that cannot follow the ones before it.
func Read(r io.Reader, name string, o ReadOptions) (History, ReadInfo, error) {
	var info ReadInfo
	in := bufio.NewReaderSize(r, 64<<10)
	if head, _ := in.Peek(len(zstdMagic)); bytes.Equal(head, zstdMagic) {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return History{}, info, fmt.Errorf("read %s: %w", name, err)
		}
		defer z.Close()
		in, info.Compressed = bufio.NewReaderSize(z, 64<<10), true
	}
	info.Format = formatOf(name, in)
	rd := reader{b: Builder{Compact: o.Compact}, o: o, info: &info, last: -1}
	var err error
	info.Torn, err = eachLine(in, name, rd.line)
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
	head = bytes.TrimLeft(head, " \t\r\n,")
	if len(head) == 0 {
		return "jsonl"
	}
	if inner := bytes.TrimLeft(head[1:], " \t\r\n"); head[0] == '{' && (len(inner) == 0 || inner[0] == '"' || inner[0] == '}') {
		return "jsonl"
	}
	return "edn"
}

// reader turns records into a history.
type reader struct {
	b    Builder
	p    parser
	o    ReadOptions
	info *ReadInfo
	last int64 // index of the record before
}

// line takes a record in JSON.
func (r *reader) line(_ int, line []byte) error {
	p := &r.p
	if err := p.parse(line); err != nil {
		return err
	}
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
	return r.b.addRecord(&p.record)
}

var errNotTuple = errors.New("want [key, value], since the history is read as one of independent objects")

// splitTuple makes key k and value v of the value [k, v].
func (r *record) splitTuple() error {
	bad := badField("value", "got %.80s, %w", r.value, errNotTuple)
	v := r.value
	if v[0] != '[' {
		return bad
	}
	from := skipSpace(v, 1)
	if v[from] == ']' {
		return bad
	}
	end, _ := skipValue(v, from, 0) // the parser has been here
	key := v[from:end]
	if from = skipSpace(v, end); v[from] != ',' {
		return bad
	}
	from = skipSpace(v, from+1)
	end, _ = skipValue(v, from, 0)
	value := v[from:end]
	if end = skipSpace(v, end); v[end] != ']' {
		return bad
	}
	r.key, r.value = notNull(key), notNull(value)
	return nil
}
