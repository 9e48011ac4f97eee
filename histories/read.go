package histories

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// ReadOptions say how a file is meant.
type ReadOptions struct {
	Limits
	// Independent rewrites the values [k, v] of clients' operations, Jepsen's
	// encoding of independent objects, to key k and value v.
	Independent bool
	// Compact accepts a completion without an invocation: an operation that
	// is instantaneous at its index.
	Compact bool
	// Fields are the further fields of ops that are kept, if it is not nil: what
	// nobody looks at then takes no memory.
	Fields []string
	// Bare leaves out the values of what is neither a client's nor a nemesis':
	// of records, which only some checkers look at.
	Bare bool
	// Recorders are names of processes that only record, as the nodes of a
	// run do, whatever they record.
	Recorders []string
}

// ReadInfo is what there is to know about a file besides its history.
type ReadInfo struct {
	Format     string // jsonl or edn
	Compressed bool
	Torn       int // records cut off at the file's end, and left out: 0 or 1
	Renumbered int // ops whose index in the file is not their position
	// IndexBack is the first line whose index is not larger than the one
	// before, or 0: then each process has counted for itself.
	IndexBack int
	Backwards Backwards // where the times contradict the order of the file
	Seconds   bool      // times had fractions, and were taken for seconds
	// Tuples tells that all values of clients' operations look like [k, v],
	// the encoding of independent objects, and were not read as that.
	Tuples bool
	// Head is the first line of a file of JSON Lines if it is about the
	// history and not an op: it has a field "example", and neither a process
	// nor a type. It is how golden histories say what is expected of them.
	Head json.RawMessage
}

// ReadFile reads the history in the file path, which may also be a link or a
// pipe; see Read.
func ReadFile(path string, o ReadOptions) (History, ReadInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return History{}, ReadInfo{}, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	return Read(f, path, o)
}

// Read reads the history in the file name of d.
func (d Dir) Read(name string, o ReadOptions) (History, ReadInfo, error) {
	f, err := d.Open(name)
	if err != nil {
		return History{}, ReadInfo{}, fmt.Errorf("read history: %w", err)
	}
	defer f.Close()
	return Read(f, d.Path(name), o)
}

// Read reads a history: JSON Lines, JSON objects over several lines, a JSON
// array of ops, or EDN as Jepsen, Knossos and elle-cli write it, each compressed
// (zstd, gzip, bzip2) or not. name is for errors, and its suffix (.jsonl, .json
// or .edn, and then perhaps .zst, .gz or .bz2) tells the format where the
// content does not.
//
// Ops are numbered by their position. An index in the file is not kept; if it
// goes back, each process must have counted for itself. An op without a time
// has its index for one. An index or a time of -1 is none. How values of EDN
// become JSON is told in edn_scan.go, who is a client in clients.go, and what
// is made of transactions in transaction.go.
//
// A record that is cut off at the end of the file is left out, and counted.
// Whatever else is wrong with the text is an *InputError, which wraps
// *Malformed if it is an op that cannot follow the ones before it. Damaged
// compression is an error of reading.
func Read(r io.Reader, name string, o ReadOptions) (History, ReadInfo, error) {
	var info ReadInfo
	size := sizeOf(r)
	in, compressed, done, err := unpack(r, name, o.Limits)
	if err != nil {
		return History{}, info, err
	}
	defer done()
	if info.Compressed = compressed; compressed {
		size = 0
	}
	info.Format = formatOf(name, in)
	rd := newReader(o, &info, size)
	switch {
	case info.Format == "edn":
		info.Torn, err = rd.readEDN(in, name)
	case first(in) == '[':
		info.Torn, err = rd.readValues(in, name, true)
	case indented(in):
		info.Torn, err = rd.readValues(in, name, false)
	default:
		var cut int
		if cut, err = eachLine(in, name, o.record(), rd.line); cut > 0 {
			info.Torn = 1
		}
	}
	if err == nil {
		err = rd.end(name)
	}
	if err != nil {
		return History{}, info, err
	}
	return rd.b.History(), info, nil
}

// first is the first byte that is no white space, or 0.
func first(in *bufio.Reader) byte {
	head, _ := in.Peek(4 << 10)
	if i := skipSpace(head, 0); i < len(head) {
		return head[i]
	}
	return 0
}

// indented tells whether the first object of a file goes on in the line after
// its first: that line does not begin with another.
func indented(in *bufio.Reader) bool {
	head, _ := in.Peek(textBuffer)
	from := skipSpace(head, 0)
	k := bytes.IndexByte(head[from:], '\n')
	if k < 0 {
		return false
	}
	if _, err := skipValue(head[from:from+k], 0, 0); err != errCut {
		return false
	}
	next := skipSpace(head, from+k)
	return next < len(head) && head[next] != '{'
}

// reader turns records into a history.
type reader struct {
	b       Builder
	p       parser
	o       ReadOptions
	info    *ReadInfo
	begun   bool    // there was a record before
	invoked pending // the lines of open invocations
	indices indices
	clock   clock
	tuples  tuples
	txns    bool  // an op was read as a transaction that does not say so
	size    int64 // of the file, 0 if it is not known
	read    int64 // bytes of it, about
}

func newReader(o ReadOptions, info *ReadInfo, size int64) *reader {
	return &reader{b: Builder{Compact: o.Compact}, p: parser{fields: o.Fields}, o: o, info: info, size: size}
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

// line takes a record in JSON, which begins in line n of the file.
func (r *reader) line(n int, line []byte) error {
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
		r.indices.take(n, p.index)
		if p.index != int64(len(r.b.c.meta)) {
			r.info.Renumbered++
		}
	}
	r.nameClient()
	if r.o.Independent && p.process.Client() && p.value != nil && p.key == nil {
		if err := p.splitTuple(); err != nil {
			return err
		}
	}
	if r.o.Bare && !p.process.Client() && !p.process.Nemesis() {
		p.value = nil
	}
	r.transaction()
	r.tuples.take(&p.record)
	if r.read += int64(len(line)) + 1; len(r.b.c.meta) == sampleRows {
		r.b.c.grow(int(r.size * sampleRows / r.read))
	}
	return r.add(n)
}

// add appends the record to the history.
func (r *reader) add(n int) error {
	p := &r.p
	r.clock.scale(&r.b.c, &p.record)
	if err := r.b.addRecord(&p.record); err != nil {
		if m, ok := err.(*Malformed); ok && m.Other.Type != 0 {
			line, _ := r.invoked.get(p.process)
			m.OtherLine = int(line)
		}
		return err
	}
	if p.process.Client() {
		if p.typ == Invoke {
			r.invoked.set(p.process, int32(n))
		}
		r.clock.take(&p.record, n)
	}
	return nil
}

// end tells what only the whole file can tell.
func (r *reader) end(file string) error {
	r.info.Backwards, r.info.Seconds = r.clock.result()
	r.info.Tuples = r.tuples.sure() && !r.o.Independent
	var err error
	if r.info.IndexBack, err = r.indices.result(); err != nil {
		return atLine(file, r.info.IndexBack, err)
	}
	return nil
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
