package histories

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
)

const invoked = `{"process":0,"type":"invoke","f":"read","value":"0123456789012345678901234567890123456789"}` + "\n"

// Whatever is longer than the limit is refused with the flag that raises it, and
// read if that is raised.
func TestRecordLimit(t *testing.T) {
	long := strings.Repeat(" ", 300)
	edn := `{:process 0 :type :invoke :f :read}`
	for name, text := range map[string]string{
		"line.jsonl":   invoked + `{"process":1,"type":"invoke"` + long + "}\n",
		"blank.jsonl":  invoked + long,
		"array.json":   "[" + invoked + "," + strings.Replace(invoked, ":0,", ":1,"+long, 1) + "]",
		"several.json": strings.Replace(invoked, ":0,", ":\n0,", 1) + strings.Replace(invoked, ":0,", ":1,"+long, 1),
		"h.edn":        edn + "\n{:process 1 " + long + " :type :invoke :f :read}",
		"discard.edn":  edn + "\n#_{:process 1 " + long + " :type :invoke :f :read}",
		"comment.edn":  edn + "\n; " + strings.Repeat(";", 300) + "\n",
		"keyword.edn":  edn + "\n{:" + strings.Repeat("k", 300) + " 1 :process 1 :type :invoke :f :read}",
	} {
		buffers(t, 16, func() {
			_, _, err := Read(strings.NewReader(text), name, ReadOptions{Limits: Limits{Record: 200}})
			var limit *LimitError
			if !errors.As(err, &limit) || !strings.Contains(err.Error(), "longer than 200 bytes, the limit that --max-record sets") || !strings.HasPrefix(err.Error(), name+":") {
				t.Errorf("%s: got %v", name, err)
			}
			want, _, wantErr := Read(strings.NewReader(text), name, ReadOptions{})
			got, _, err := Read(strings.NewReader(text), name, ReadOptions{Limits: Limits{Record: 1000}})
			if errors.As(err, &limit) || (err == nil) != (wantErr == nil) || got.Len() != want.Len() {
				t.Errorf("%s: with a higher limit %d ops, %v; want %d, %v", name, got.Len(), err, want.Len(), wantErr)
			}
		})
	}
	_, err := readSchedule(strings.NewReader(long), "s.jsonl", Limits{Record: 200})
	if err == nil || !strings.Contains(err.Error(), "s.jsonl:1: the line is longer than 200 bytes") {
		t.Errorf("schedule: got %v", err)
	}
	for name, text := range map[string]string{ManifestName: "{}", HistoryName: "", "nodes/n1/" + RecordsName: ""} {
		d := Dir(t.TempDir())
		for file, content := range map[string]string{ManifestName: `{"version":1}`, name: text + long} {
			if err := d.SaveFile(file, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := (Limits{Record: 200}).Open(string(d)); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) || !strings.Contains(err.Error(), "--max-record") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	d := Dir(t.TempDir())
	if err := cmp.Or(d.SaveFile(ResultName, nil), os.Truncate(d.Path(ResultName), RecordDefault+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadResult(); err == nil || !strings.HasSuffix(err.Error(), "result.json: it is longer than 64 MB, the limit that --max-record sets") {
		t.Errorf("result: got %v", err)
	}
}

// buffers has buffers begin with a size, meanwhile.
func buffers(t *testing.T, size int, do func()) {
	t.Helper()
	before := lineBuffer
	lineBuffer = size
	defer func() { lineBuffer = before }()
	do()
}

// A long line costs no more for coming in small pieces, as from a decoder: it was
// moved for each of them, and this test took hours.
func TestLongLineInPieces(t *testing.T) {
	const size = 32 << 20
	in := pieces{io.MultiReader(strings.NewReader(invoked), io.LimitReader(blanks{}, size), strings.NewReader("\n"+`{"process":1,"type":"invoke"}`))}
	h, info, err := Read(in, "h.jsonl", ReadOptions{})
	if err != nil || h.Len() != 2 || info.Torn != 0 {
		t.Errorf("%d ops, %+v, %v", h.Len(), info, err)
	}
	in = pieces{io.MultiReader(strings.NewReader("["+invoked), io.LimitReader(blanks{}, size), strings.NewReader(`]`))}
	if h, _, err = Read(in, "h.json", ReadOptions{}); err != nil || h.Len() != 1 {
		t.Errorf("array: %d ops, %v", h.Len(), err)
	}
}

// pieces gives at most 256 bytes at a time.
type pieces struct{ io.Reader }

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), 256)]) }

type blanks struct{}

func (blanks) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// A small file that unpacks to a very large one is refused, before that is read
// to its end.
func TestBomb(t *testing.T) {
	defer func(before int64) { unpackFree = before }(unpackFree)
	unpackFree = 1 << 20
	for name, pack := range map[string]func(io.Writer) io.WriteCloser{
		"h.jsonl.zst": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
		"h.edn.gz":    func(w io.Writer) io.WriteCloser { z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed); return z },
	} {
		var packed bytes.Buffer
		z := pack(&packed)
		line := append(bytes.Repeat([]byte(" "), 1<<16), '\n')
		for range 100 {
			if _, err := z.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		read := func(ratio uint32) error {
			_, _, err := Read(bytes.NewReader(packed.Bytes()), name, ReadOptions{Limits: Limits{Ratio: ratio}})
			return err
		}
		if err := read(100); err == nil || !strings.Contains(err.Error(), "read "+name) || !strings.Contains(err.Error(), "it unpacks to more than 100 times its size, the limit that --max-ratio sets") {
			t.Errorf("%s: got %v", name, err)
		}
		if err := read(1 << 31); err != nil {
			t.Errorf("%s: with a higher limit: %v", name, err)
		}
	}
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(z, io.LimitReader(blanks{}, 1<<20))
	z.Flush()
	z.Close()
	if _, _, err := Read(&packed, "h.jsonl.zst", ReadOptions{}); err == nil || !strings.Contains(err.Error(), "larger than 128 MB: pack it again, without --long") {
		t.Errorf("large window: got %v", err)
	}
}

// What is read does not depend on where buffers end.
func TestBuffers(t *testing.T) {
	edn := "#_ #_ a b ; c\n({:process 0 :type :invoke, :f :cas :value #{1 #_2 [3 \\a \\u0041 \"\\u00e9\\n\"]}}\n#op{:type :ok :process 0 :f :cas, :x/y 12345678901234567890N} ; end\n,{:index 7 :process :nemesis :type :info})\n"
	json := "[{\"process\":0,\n\"type\":\"invoke\",\"value\":[1.5e3,\"\\u00e9\\\"\"]} ,\n {\"process\":0,\"type\":\"ok\",\"x\":{\"a\":[{}]}}\n]\n "
	for name, text := range map[string]string{
		"h.edn": edn, "torn.edn": edn[:len(edn)-30], "nul.edn": edn + "{:process 1 :ty\x00\x00\x00", "inner.edn": edn + "{:process 1 \x00 :type :invoke}",
		"bad.edn": edn + "\n {:process 1 \n :type \\toolong}", "cut.edn": "{:process 1 :value [\n" + edn + "{:process 1}",
		"h.json": json, "torn.json": json[:len(json)-10], "bad.json": strings.Replace(json, `{}`, `{?}`, 1), "after.json": json + "x",
		"values.json": strings.Trim(strings.ReplaceAll(json, " ,", ""), "[]\n "), "h.jsonl": invoked + "\n \n" + `{"process":`,
	} {
		h, info, err := Read(strings.NewReader(text), name, ReadOptions{})
		for size := 1; size < 200; size++ {
			buffers(t, size, func() {
				got, gotInfo, gotErr := Read(iotest.OneByteReader(strings.NewReader(text)), name, ReadOptions{})
				if !reflect.DeepEqual(gotInfo, info) || wording(gotErr) != wording(err) {
					t.Fatalf("%s, buffers of %d bytes:\n got %+v, %v\nwant %+v, %v", name, size, gotInfo, gotErr, info, err)
				}
				wantEqual(t, got, h)
			})
		}
	}
}

func wording(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What a hostile value takes is in proportion to its length: what lies deep is
// not written again for each level around it.
func TestDeepValues(t *testing.T) {
	const depth = 9000
	long := `"` + strings.Repeat("x", 4<<20) + `"`
	value := strings.Repeat(`{"b":1,"a":`, depth) + long + strings.Repeat("}", depth)
	h, _, err := Read(strings.NewReader(`{"process":0,"type":"invoke","value":`+value+"}"), "h.jsonl", ReadOptions{})
	if err != nil || h.Len() != 1 {
		t.Fatalf("%d ops, %v", h.Len(), err)
	}
	if want := strings.Repeat(`{"a":`, depth) + long + strings.Repeat(`,"b":1}`, depth); string(h.Value(0)) != want {
		t.Error("the members are not in order")
	}
	for what, text := range map[string]string{
		"a set":            strings.Repeat("#{", 200) + strings.Repeat("}", 200),
		"a key":            strings.Repeat("{", 200) + strings.Repeat("1}", 200),
		"a long number":    "0x" + strings.Repeat("f", 20000),
		"a long exponent":  "1e" + strings.Repeat("1", 20000),
		"discarded things": strings.Repeat("#_", 20000) + " 1",
	} {
		_, _, err := Read(strings.NewReader("{:process 0 :type :invoke :f :x :value "+text+"}"), "h.edn", ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), "want a") || len(err.Error()) > 3000 {
			t.Errorf("%s: got %.3000v", what, err)
		}
	}
}

// What nobody looks at is not kept, and all else is as it was.
func TestFieldsKept(t *testing.T) {
	text := `{"process":0,"type":"invoke","f":"w","value":1,"at":7,"junk":{"a":1},"x":2}
{"process":"n1","type":"info","f":"role","value":{"role":"leader"},"lamport":3,"junk":1}
{"process":"nemesis","type":"info","f":"kill","value":["n1"]}
`
	want := `{"index":0,"time":0,"process":0,"type":"invoke","f":"w","value":1,"at":7}
{"index":1,"time":1,"process":"n1","type":"info","f":"role","lamport":3}
{"index":2,"time":2,"process":"nemesis","type":"info","f":"kill","value":["n1"]}
`
	h, _, err := Read(strings.NewReader(text), "h.jsonl", ReadOptions{Fields: []string{"at", "idx"}, Bare: true})
	if err != nil || write(t, h) != want {
		t.Errorf("got\n%s%v", write(t, h), err)
	}
	for _, text := range []string{`{"process":0,"type":"ok","junk":1,"junk":1}`, `{"nodes":1,"name":2}`} {
		_, _, err := Read(strings.NewReader(text), "h.jsonl", ReadOptions{Fields: []string{}})
		_, _, want := Read(strings.NewReader(text), "h.jsonl", ReadOptions{})
		if err == nil || want == nil || err.Error() != want.Error() {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
