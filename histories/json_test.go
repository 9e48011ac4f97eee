package histories

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func read(t testing.TB, text string, o ReadOptions) History {
	t.Helper()
	h, _, err := Read(strings.NewReader(text), "h.jsonl", o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func write(t testing.TB, h History) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAppendJSON(t *testing.T) {
	for _, c := range []struct {
		op   Op
		want string
	}{
		{Op{Type: Invoke}, `{"index":0,"time":0,"process":0,"type":"invoke"}`},
		{Op{Index: 7, Time: -1, Process: Named("nemesis/kill"), Type: OK, F: "inject", Value: raw("null")},
			`{"index":7,"time":-1,"process":"nemesis/kill","type":"ok","f":"inject"}`},
		{full, `{"index":0,"time":1500,"process":3,"type":"invoke","f":"cas","value":[1,9007199254740993],"key":"k1","node":"n2","final":true,` +
			`"error":"a \"quoted\"\n\\reason\u0001 ü","lamport":9223372036854775809,"dot":["n1",2],"vv":{"n1":2},"ü\"":null}`},
		{Op{Type: Fail, F: "bad \xff UTF-8", Value: raw("[1,\n2]")}, `{"index":0,"time":0,"process":0,"type":"fail","f":"bad ` + "\ufffd" + ` UTF-8","value":[1, 2]}`},
	} {
		got := string(AppendJSON(nil, c.op))
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is not JSON", got)
		}
	}
}

func TestOpMarshals(t *testing.T) {
	b, err := json.Marshal([]Op{full})
	if err != nil {
		t.Fatal(err)
	}
	var got []Op
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, []Op{full}) {
		t.Errorf("got %+v, want %+v", got, full)
	}
	if _, err := json.Marshal(Op{}); err == nil {
		t.Error("an op without a type was encoded")
	}
}

func TestReadWrites(t *testing.T) {
	last := full
	last.Process = 99
	want, err := Of(append(someOps(rand.New(rand.NewPCG(5, 6)), 3000), last)...)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, read(t, write(t, want), ReadOptions{}), want)
}

func TestReadIsIndependentOfHowMuchARead(t *testing.T) {
	want, err := Of(someOps(rand.New(rand.NewPCG(7, 8)), 100)...)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := Read(iotest.OneByteReader(strings.NewReader(write(t, want))), "h.jsonl", ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, want)
}

func TestReadLongLines(t *testing.T) {
	var want []Op
	for i, n := range []int{10, 3 * lineBuffer, 10, lineBuffer - 60, lineBuffer, 2 * lineBuffer} {
		want = append(want, Op{Index: i, Time: Time(i), Process: Process(i), Type: Invoke, F: "write", Value: Encode(strings.Repeat("x", n))})
	}
	h, err := Of(want...)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, read(t, write(t, h), ReadOptions{}), h)
}

// The values and keys of calls become canonical; all else stays as it is.
func TestReadCanonical(t *testing.T) {
	line := `{"index":0,"time":1,"process":0,"type":"invoke","f":"w","value":[1e400, -0.0,"\u00e9\/",123456789012345678901234567890],"key":{"b":1,"a":2.50},"dot":[ 9007199254740993 ]}` + "\n"
	want := `{"index":0,"time":1,"process":0,"type":"invoke","f":"w","value":[1e400,0,"é/",123456789012345678901234567890],"key":{"a":2.5,"b":1},"dot":[ 9007199254740993 ]}` + "\n"
	if got := write(t, read(t, line, ReadOptions{})); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	for _, record := range []string{
		`{"index":0,"time":1,"process":"n1","type":"info","f":"applied","value":{"b":1.0, "a":"\u00e9"}}`,
		`{"index":0,"time":1,"process":"nemesis","type":"invoke","f":"inject","value":{"b":1.0, "a":"\u00e9"}}`,
	} {
		if got := write(t, read(t, record, ReadOptions{})); got != record+"\n" {
			t.Errorf("got  %swant %s", got, record)
		}
	}
	h := read(t, `{"process":0,"type":"invoke","key":"a"}
{"process":1,"type":"invoke","key":"\u0061","value": null }
{"process":2,"type":"invoke","key":{"b":1,"a":2}}
{"process":3,"type":"invoke","key":{"a":2e0,"b":1},"value":{ }}
{"process":"a user","type":"invoke","value":1.0}
{"process":"a user","type":"ok","value":2.0}
`, ReadOptions{})
	if h.KeyID(0) != h.KeyID(1) || h.KeyID(2) != h.KeyID(3) || h.KeyID(0) == h.KeyID(2) || h.Value(1) != nil || string(h.Value(3)) != "{}" {
		t.Errorf("equal keys are not one: %s", write(t, h))
	}
	if string(h.Value(4)) != "1" || string(h.Value(5)) != "2" {
		t.Errorf("a named process that invokes is not a client: %s", write(t, h))
	}
	_, _, err := Read(strings.NewReader(`{"process":0,"type":"invoke","value":1}`+"\n"+`{"process":0,"type":"ok","value":{"a":1,"\u0061":2}}`), "h.jsonl", ReadOptions{})
	if want := `h.jsonl:2: op 1 (process 0, ok ): value {"a":1,"\u0061":2}: member "a" appears twice`; err == nil || err.Error() != want {
		t.Errorf("a doubled member: got %v, want %s", err, want)
	}
}

func TestReadDefaults(t *testing.T) {
	h := read(t, `{"process":"nemesis","type":"info","f":"kill","value":null}

 { "exception" : {"a":[1]}, "value" : 1, "f":	null, "time": 1, "type":"invoke","process" : 12 , "key":null } `+"\r\n", ReadOptions{})
	want := []Op{
		{Index: 0, Time: 0, Process: Named("nemesis"), Type: Info, F: "kill"},
		{Index: 1, Time: 1, Process: 12, Type: Invoke, Value: raw("1"), Ext: map[string]json.RawMessage{"exception": raw(`{"a":[1]}`)}},
	}
	if got := ops(h); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReadErrorsOfAnyKind(t *testing.T) {
	h := read(t, `{"process":1,"type":"info","error":["timeout",5]}`, ReadOptions{Compact: true})
	if got, want := h.Error(0), `["timeout",5]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadRenumbers(t *testing.T) {
	text := `{"index":10,"process":0,"type":"invoke"}` + "\n" + `{"index":20,"process":0,"type":"ok"}`
	h, info, err := Read(strings.NewReader(text), "h.jsonl", ReadOptions{})
	if err != nil || h.Len() != 2 || h.At(1).Index != 1 || info.Renumbered != 2 {
		t.Errorf("got %v, %+v, %v", ops(h), info, err)
	}
}

func TestReadIndependent(t *testing.T) {
	text := `{"process":0,"type":"invoke","value":["k1", [1,2] ]}
{"process":1,"type":"invoke","value":[7,null]}
{"process":2,"type":"invoke","value":null}
{"process":"nemesis","type":"info","value":[1,2,3]}
{"process":3,"type":"invoke","value":5,"key":6}
`
	h := read(t, text, ReadOptions{Independent: true})
	var got []string
	for _, op := range h.All() {
		got = append(got, fmt.Sprintf("%s:%s", op.Key, op.Value))
	}
	if want := `["k1":[1,2] 7: : :[1,2,3] 6:5]`; fmt.Sprint(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{`1`, `[]`, `[1]`, `[1,2,3]`, `{"a":1}`} {
		_, _, err := Read(strings.NewReader(`{"process":0,"type":"invoke","value":`+bad+`}`), "h.jsonl", ReadOptions{Independent: true})
		want := "h.jsonl:1: field value: got " + bad + ", want [key, value], since the history is read as one of independent objects"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What is wrong is named with file, line and field, and what was expected.
func TestReadMalformed(t *testing.T) {
	const good = `{"process":0,"type":"invoke"}` + "\n"
	for _, c := range []struct{ text, want string }{
		{`{"type":"ok"}`, `h.jsonl:2: field process: it is missing: want the number of a client, or a name`},
		{`{"process":1}`, `h.jsonl:2: field type: it is missing: want invoke, ok, fail or info`},
		{`{"process":1,"type":"okay"}`, `h.jsonl:2: field type: got "okay", want invoke, ok, fail or info`},
		{`{"process":-1,"type":"ok"}`, `h.jsonl:2: field process: got -1, want a number from 0 to 1999999999, or a name`},
		{`{"process":1.5,"type":"ok"}`, `h.jsonl:2: field process: got 1.5, want a number from 0 to 1999999999, or a name`},
		{`{"process":4294967296,"type":"ok"}`, `h.jsonl:2: field process: got 4294967296, want a number from 0 to 1999999999, or a name`},
		{`{"process":"","type":"ok"}`, `h.jsonl:2: field process: process "": a name must not be empty`},
		{`{"process":1,"type":"invoke","time":"2s"}`, `h.jsonl:2: field time: got "2s", want a number of nanoseconds`},
		{`{"process":1,"type":"invoke","time":9223372036854775808}`, `h.jsonl:2: field time: got 9223372036854775808, want a number of nanoseconds`},
		{`{"process":1,"type":"invoke","index":"1"}`, `h.jsonl:2: field index: got "1", want a number from 0`},
		{`{"process":1,"type":"invoke","f":1}`, `h.jsonl:2: field f: got 1, want a string`},
		{`{"process":1,"type":"invoke","node":[]}`, `h.jsonl:2: field node: got [], want a string`},
		{`{"process":1,"type":"invoke","final":1}`, `h.jsonl:2: field final: got 1, want true or false`},
		{`{"process":1,"type":"invoke","lamport":-1}`, `h.jsonl:2: field lamport: got -1, want a number from 0 to 18446744073709551615`},
		{`{"process":1,"type":"invoke","type":"ok"}`, `h.jsonl:2: field type: it appears twice`},
		{`{"process":1,"type":"invoke","x":1,"x":2}`, `h.jsonl:2: field x: it appears twice`},
		{`{"process":1,"type":"invoke","value":[1,]}`, `h.jsonl:2: field value: column 41: got ']', want a JSON value`},
		{`{"process":1,"type":"invoke","value":01}`, `h.jsonl:2: column 39: got '1', want a comma or }`},
		{`{"process":1,"type":"invoke"} x`, `h.jsonl:2: column 31: got 'x', want the end of the line`},
		{`{"process":1 "type":"invoke"}`, `h.jsonl:2: column 14: got '"', want a comma or }`},
		{`{"process":1,"type":"invoke","value":"a` + "\x01" + `"}`, `h.jsonl:2: field value: column 40: got '\x01', want control characters to be escaped`},
		{`[1]`, `h.jsonl:2: column 1: got '[', want an op: { … }`},
		{`{"process":1,"type":"ok"}`, `h.jsonl:2: op 1 (process 1, ok ): the process completes what it never invoked`},
		{`{"process":0,"type":"invoke"}`, `h.jsonl:2: op 1 (process 0, invoke ): the process has invoked op 0 () and not completed it; op 0 is in line 1`},
		{`{"process":1,"ty` + "\n" + good, `h.jsonl:2: the record is cut off, and it is not the last one`},
		{`{"process":1,"type":"invoke","value":` + strings.Repeat("[", 10001), `h.jsonl:2: field value: column 10038: got '[', want at most 10000 levels of nesting`},
	} {
		_, _, err := Read(strings.NewReader(good+c.text), "h.jsonl", ReadOptions{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
			continue
		}
		var in *InputError
		if !errors.As(err, &in) || in.File != "h.jsonl" || in.Line != 2 {
			t.Errorf("%s: got %#v, want an InputError", c.text, err)
		}
	}
}

// A file can end anywhere: what is whole is read, the rest is counted.
func TestReadTorn(t *testing.T) {
	whole, err := Of(someOps(rand.New(rand.NewPCG(9, 10)), 20)...)
	if err != nil {
		t.Fatal(err)
	}
	text := write(t, whole)
	for end := range len(text) + 1 {
		h, info, err := Read(strings.NewReader(text[:end]), "h.jsonl", ReadOptions{})
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", end, len(text), err)
		}
		want := strings.Count(text[:end], "\n")
		atEnd := end == 0 || text[end-1] == '\n'
		if end < len(text) && text[end] == '\n' {
			want, atEnd = want+1, true // only the line break is missing
		}
		if h.Len() != want || (info.Torn == 0) != atEnd {
			t.Fatalf("cut at %d of %d: got %d ops and %d torn, want %d ops", end, len(text), h.Len(), info.Torn, want)
		}
	}
	for _, tail := range []string{"\x00\x00\x00", "{\"index\":\x00\x00\x00", "\x00\x00\n"} {
		h, info, err := Read(strings.NewReader(text+tail), "h.jsonl", ReadOptions{})
		if err != nil || h.Len() != whole.Len() || info.Torn != 1 {
			t.Errorf("tail %q: got %d ops, %d torn, %v", tail, h.Len(), info.Torn, err)
		}
	}
}

func TestReadReportsItsReader(t *testing.T) {
	broken := errors.New("broken pipe")
	_, _, err := Read(iotest.ErrReader(broken), "h.jsonl", ReadOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

// typical are ops as runs of registers have them.
func typical(n int) []Op {
	var all []Op
	for i := range n {
		op := Op{Index: i, Time: Time(i) * 123457, Process: Process(i / 2 % 10), Type: Invoke, F: "write", Value: Encode(i), Key: raw(`"k3"`), Node: "n1"}
		if i%2 == 1 {
			op.Type = OK
		}
		all = append(all, op)
	}
	return all
}

func BenchmarkRead(b *testing.B) {
	h, err := Of(typical(100000)...)
	if err != nil {
		b.Fatal(err)
	}
	text := write(b, h)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Read(strings.NewReader(text), "h.jsonl", ReadOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*h.Len())/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkAppendJSON(b *testing.B) {
	all := typical(1000)
	var buf []byte
	for _, op := range all {
		buf = AppendJSON(buf, op)
	}
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for _, op := range all {
			buf = AppendJSON(buf, op)
		}
	}
	b.ReportMetric(float64(b.N*len(all))/b.Elapsed().Seconds(), "ops/s")
}
