package histories

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"
)

// record is an op as a line of a file holds it. Its slices are of that line or
// of the parser, and good until the next line is parsed.
type record struct {
	has   field // the fields that are there, and not null
	index int64
	time  Time
	// fraction is the time if it is no whole number, else 0.
	fraction float64
	process  Process
	typ      Type
	final    bool
	lamport  uint64
	f, node  []byte // decoded
	err      []byte // decoded
	value    []byte // JSON
	key      []byte // JSON
	ext      []byte // JSON members without braces, sorted by name
}

// field is a set of the fields of an op, in the order of ownFields.
type field uint16

const (
	hasIndex field = 1 << iota
	hasTime
	hasProcess
	hasType
	hasF
	hasValue
	hasKey
	hasNode
	hasFinal
	hasError
	hasLamport
)

// fieldError is what is wrong with a field of a record.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return "field " + e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

func badField(name, format string, args ...any) error {
	return &fieldError{name, fmt.Errorf(format, args...)}
}

// parser reads records. It builds no trees: a line is looked at once, and what
// need not be decoded is not.
type parser struct {
	record
	durations bool     // time may be a string such as "2s"
	fields    []string // further fields that are kept; nil: all
	seen      field
	more      []extMember
	buf       []byte
}

type extMember struct{ name, value []byte }

// parse reads the object that line holds into the record. It fails with errCut
// if the object's end is missing.
func (p *parser) parse(line []byte) error {
	p.record, p.seen, p.more = record{}, 0, p.more[:0]
	i := skipSpace(line, 0)
	if i >= len(line) || line[i] != '{' {
		return wrong(line, i, "an op: { … }")
	}
	more := true
	for i, more = skipBrace(line, i); more; {
		which, from := quickName(line[i:])
		var name []byte // of a field that is not known at once
		if which != 0 {
			from = skipSpace(line, i+from)
		} else {
			nameEnd, at, err := skipName(line, i)
			if err != nil {
				return err
			}
			name, from = unquote(line[i:nameEnd]), at
			which = known(name)
		}
		end, err := skipValue(line, from, 0)
		if err == nil {
			err = p.field(which, name, line[from:end])
		} else if err != errCut {
			err = &fieldError{which.name(name), err}
		}
		if err != nil {
			return err
		}
		if i, more, err = skipComma(line, end); err != nil {
			return err
		}
	}
	if i = skipSpace(line, i); i < len(line) {
		return wrong(line, i, "the end of the line")
	}
	return p.sortExt()
}

// quickName recognises a member that begins as AppendJSON writes it, and
// returns the index of its value. It returns 0 for any other.
func quickName(b []byte) (which field, value int) {
	if len(b) < len(`"lamport":0`) {
		return 0, 0
	}
	switch b[1] {
	case 'i':
		if string(b[:8]) == `"index":` {
			return hasIndex, 8
		}
	case 't':
		switch string(b[:7]) {
		case `"time":`:
			return hasTime, 7
		case `"type":`:
			return hasType, 7
		}
	case 'p':
		if string(b[:10]) == `"process":` {
			return hasProcess, 10
		}
	case 'f':
		if string(b[:4]) == `"f":` {
			return hasF, 4
		}
	case 'v':
		if string(b[:8]) == `"value":` {
			return hasValue, 8
		}
	case 'k':
		if string(b[:6]) == `"key":` {
			return hasKey, 6
		}
	case 'n':
		if string(b[:7]) == `"node":` {
			return hasNode, 7
		}
	case 'l':
		if string(b[:10]) == `"lamport":` {
			return hasLamport, 10
		}
	}
	return 0, 0
}

// known is the field of that name, or 0.
func known(name []byte) field {
	if string(name) == "final?" { // as Jepsen and Maelstrom spell it
		return hasFinal
	}
	for i, own := range ownFields {
		if string(name) == own {
			return 1 << i
		}
	}
	return 0
}

// name is the name of a field, or other if it is none that is known.
func (f field) name(other []byte) string {
	if f == 0 {
		return string(other)
	}
	return ownFields[bits.TrailingZeros16(uint16(f))]
}

// field takes one member of the record. raw is a JSON value.
func (p *parser) field(which field, name, raw []byte) error {
	if which == 0 {
		p.more = append(p.more, extMember{name, raw})
		return nil
	}
	if p.seen&which != 0 {
		return badField(which.name(nil), "it appears twice")
	}
	p.seen |= which
	if string(raw) == "null" {
		return nil
	}
	p.has |= which
	switch which {
	case hasIndex:
		return p.parseIndex(raw)
	case hasTime:
		return p.parseTime(raw)
	case hasProcess:
		return p.parseProcess(raw)
	case hasType:
		return p.parseType(raw)
	case hasF:
		return parseString(&p.f, "f", raw)
	case hasValue:
		p.value = raw
	case hasKey:
		p.key = raw
	case hasNode:
		return parseString(&p.node, "node", raw)
	case hasFinal:
		return p.parseFinal(raw)
	case hasError:
		p.parseError(raw)
	case hasLamport:
		return p.parseLamport(raw)
	}
	return nil
}

func (p *parser) parseIndex(raw []byte) (err error) {
	if string(raw) == "-1" { // as jepsen.history and Knossos say none
		p.has &^= hasIndex
		return nil
	}
	if p.index, err = parseInt(raw); err != nil || p.index < 0 {
		return badField("index", "got %.40s, want a number from 0", raw)
	}
	return nil
}

// timeMax bounds times, so that the difference of two is one as well.
const timeMax = 1 << 62

func (p *parser) parseTime(raw []byte) error {
	if err := p.readTime(raw); err != nil {
		return err
	}
	if p.time >= timeMax || p.time <= -timeMax {
		return badField("time", "got %.40s, want less than %d nanoseconds either way", raw, int64(timeMax))
	}
	return nil
}

func (p *parser) readTime(raw []byte) error {
	if p.durations && raw[0] == '"' {
		d, err := time.ParseDuration(string(unquote(raw)))
		if err != nil {
			return badField("time", `got %.40s, want a duration such as "1.5s", or a number of nanoseconds`, raw)
		}
		p.time = Time(d)
		return nil
	}
	if string(raw) == "-1" { // none, as with an index
		p.has &^= hasTime
		return nil
	}
	t, err := parseInt(raw)
	if err == nil {
		p.time = Time(t)
		return nil
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(f) >= 1<<63 {
		return badField("time", "got %.40s, want a number of nanoseconds", raw)
	}
	if p.time = Time(f); f != math.Trunc(f) {
		p.fraction = f
	}
	// A double has not all the digits that nanoseconds of our age have.
	whole, _, _ := bytes.Cut(raw, []byte("."))
	if t, err := parseInt(whole); err == nil && !bytes.ContainsAny(raw, "eE") {
		p.time = Time(t)
	}
	return nil
}

func (p *parser) parseProcess(raw []byte) error {
	if raw[0] == '"' {
		q, err := parseProcess(unquote(raw))
		if err != nil {
			return &fieldError{"process", err}
		}
		p.process = q
		return nil
	}
	n, err := parseInt(raw)
	if err != nil || n < 0 || n >= namedClients {
		return badField("process", "got %.40s, want a number from 0 to %d, or a name", raw, namedClients-1)
	}
	p.process = Process(n)
	return nil
}

func (p *parser) parseType(raw []byte) error {
	switch string(raw) {
	case `"invoke"`:
		p.typ = Invoke
	case `"ok"`:
		p.typ = OK
	case `"fail"`:
		p.typ = Fail
	case `"info"`:
		p.typ = Info
	default:
		return badField("type", "got %.40s, want invoke, ok, fail or info", raw)
	}
	return nil
}

// parseError takes any value, since Jepsen's errors are keywords, vectors and
// maps: what is not a string is kept as its JSON text.
func (p *parser) parseError(raw []byte) {
	if p.err = raw; raw[0] == '"' {
		p.err = unquote(raw)
	}
}

func (p *parser) parseFinal(raw []byte) error {
	if p.final = raw[0] == 't'; !p.final && raw[0] != 'f' {
		return badField("final", "got %.40s, want true or false", raw)
	}
	return nil
}

func (p *parser) parseLamport(raw []byte) (err error) {
	if p.lamport, err = strconv.ParseUint(string(raw), 10, 64); err != nil {
		return badField("lamport", "got %.40s, want a number from 0 to 18446744073709551615", raw)
	}
	return nil
}

// sortExt gathers the fields that an Op has no place for.
func (p *parser) sortExt() error {
	if len(p.more) == 0 {
		return nil
	}
	slices.SortFunc(p.more, func(a, b extMember) int { return bytes.Compare(a.name, b.name) })
	p.buf = p.buf[:0]
	for i, m := range p.more {
		if i > 0 && bytes.Equal(m.name, p.more[i-1].name) {
			return badField(string(m.name), "it appears twice")
		}
		if p.fields != nil && p.has&(hasProcess|hasType) != 0 && !slices.Contains(p.fields, string(m.name)) {
			continue
		}
		if len(p.buf) > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = append(appendString(p.buf, string(m.name)), ':')
		p.buf = append(p.buf, m.value...)
	}
	if len(p.buf) > 0 {
		p.ext = p.buf
	}
	return nil
}

// require tells which of the fields that every op of a history has is missing.
func (r *record) require() error {
	if r.has&(hasProcess|hasType) == 0 {
		if what := notOp(r.ext); what != "" {
			return errors.New(what)
		}
	}
	if r.has&hasProcess == 0 {
		return badField("process", "it is missing: want the number of a client, or a name")
	}
	if r.has&hasType == 0 {
		return badField("type", "it is missing: want invoke, ok, fail or info")
	}
	return nil
}

// notOp says what a record is that is none of an op's, by its further fields,
// if it is known.
func notOp(ext []byte) string {
	switch {
	case member(ext, "history") != nil:
		return "it is a test map of Jepsen, and not an op: give what it has under :history in a file of its own, or the history.edn that Jepsen writes"
	case member(ext, "nodes") != nil && member(ext, "name") != nil:
		return "it is a test map of Jepsen, and not an op: the history lies beside it, in history.edn"
	case member(ext, "valid?") != nil:
		return "it is a result of Jepsen's checkers, and not an op: the history lies beside it, in history.edn"
	}
	return ""
}

// op makes an Op of the record, which shares nothing with it.
func (r *record) op() Op {
	return Op{
		Index: int(r.index), Time: r.time, Process: r.process, Type: r.typ, F: string(r.f),
		Value: bytes.Clone(r.value), Key: bytes.Clone(r.key), Node: string(r.node), Final: r.final,
		Error: string(r.err), Lamport: r.lamport, Ext: members(bytes.Clone(r.ext)),
	}
}

// addRecord is Add of what a file holds.
func (b *Builder) addRecord(r *record) error {
	if r.has&hasTime == 0 {
		r.time = Time(len(b.c.meta))
	}
	return b.push(&row{
		time: r.time, process: r.process, typ: r.typ, final: r.final, lamport: r.lamport,
		f: b.internBytes(r.f), node: b.internBytes(r.node), err: b.internBytes(r.err),
		value: r.value, key: r.key, ext: r.ext,
	})
}

func parseString(to *[]byte, name string, raw []byte) error {
	if raw[0] != '"' {
		return badField(name, "got %.40s, want a string", raw)
	}
	*to = unquote(raw)
	return nil
}

var errNotInt = errors.New("want a whole number")

// parseInt reads a JSON number without fraction or exponent.
func parseInt(raw []byte) (int64, error) {
	if len(raw) > 18 {
		return strconv.ParseInt(string(raw), 10, 64)
	}
	digits, minus := raw, raw[0] == '-'
	if minus {
		digits = raw[1:]
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, errNotInt
		}
		n = n*10 + int64(c-'0')
	}
	if minus {
		n = -n
	}
	return n, nil
}

// members makes a map of the members of an object that skipObject has
// accepted, nil if there are none. Its values share the bytes of text.
func members(text []byte) map[string]json.RawMessage {
	if len(text) == 0 {
		return nil
	}
	m := map[string]json.RawMessage{}
	eachMember(text, func(name, value []byte) bool {
		m[string(name)] = value
		return true
	})
	return m
}

// member returns the value of one of them, or nil.
func member(text []byte, want string) (found json.RawMessage) {
	eachMember(text, func(name, value []byte) bool {
		if string(name) == want {
			found = value
		}
		return found == nil
	})
	return found
}

func eachMember(text []byte, yield func(name, value []byte) bool) {
	for i := 0; i < len(text); {
		nameEnd, from, err := skipName(text, i)
		if err != nil {
			panic(fmt.Sprintf("members %s: %v", text, err))
		}
		end, err := skipValue(text, from, 0)
		if err != nil {
			panic(fmt.Sprintf("members %s: %v", text, err))
		}
		if !yield(unquote(text[i:nameEnd]), text[from:end:end]) {
			return
		}
		i = skipSpace(text, end)
		if i < len(text) {
			i = skipSpace(text, i+1) // a comma
		}
	}
}

// UnmarshalJSON reads what MarshalJSON writes. Fields that Op does not have
// become Ext.
func (op *Op) UnmarshalJSON(b []byte) error {
	var p parser
	if err := p.parse(b); err != nil {
		return err
	}
	if err := p.require(); err != nil {
		return err
	}
	*op = p.op()
	return nil
}
