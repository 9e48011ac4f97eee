package histories

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/iotest"
)

// Whatever is read can be written, and is the same when it is read again.

func FuzzRead(f *testing.F) {
	golden, err := filepath.Glob("golden/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range golden {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false, true)
	}
	f.Add(AppendJSON(nil, full), false, false)
	f.Add([]byte(`{"process":"nemesis","type":"info","f":"kill"}`+"\n"+`{"process":0,"type":"ok","value":[1, [2,3]],"time":7}`+"\n"+`{"index"`), true, true)
	f.Add([]byte(`[{"process":0,"type":"invoke","value":"\ud83d\u0000","x":{}},`+"\n"+`{"process":0,"type":"ok","error":{"a":1.0}}]`), false, false)
	f.Add([]byte("\n\x00\x00\n"), false, false)
	f.Add([]byte(`{"process":0,"type":"invoke","value":[{"#_x":1},{"#t":{"#inst":-0}},{"a b":1e400,":":"\\"}],"key":18446744073709551616,"#":[]}`), false, false)
	f.Add([]byte(`{"process":"#_","type":"info","f":"_","node":"","value":{"":0,"nil":null,"-1":0.10,"#_":{}}}`), false, false)
	f.Add([]byte("\ufeff{\n \"process\": \"0\",\n\"type\":\"invoke\", \"time\": 0.5, \"index\":-1 }\n{\"process\":0,\n\"type\":\"ok\",\"time\":-1,\"final?\":true}"), false, false)
	f.Add([]byte(`{"process":"adder","type":"info"}`+"\n"+`{"process":"adder","type":"invoke","value":[["r",1]],"time":2.5e3,"index":3}`+"\n"+`{"process":"adder","type":"ok","value":[["r",1,[2]]],"index":1}`), false, false)
	f.Fuzz(func(t *testing.T, data []byte, independent, compact bool) {
		h, _, err := inBuffers(t, data, "h.jsonl", ReadOptions{Independent: independent, Compact: compact})
		if err != nil {
			return
		}
		h.Calls()
		h.Intervals()
		if timed, err := ByTime(h); err == nil && timed.Len() != h.Len() {
			t.Fatalf("by time %d of %d ops", timed.Len(), h.Len())
		}
		again(t, h, "h.jsonl", compact, Write)
		edn := throughEDN(t, h, compact)
		again(t, edn, "h.edn", compact, WriteEDN)
	})
}

// inBuffers is Read, which is the same with small buffers.
func inBuffers(t *testing.T, data []byte, name string, o ReadOptions) (h History, info ReadInfo, err error) {
	t.Helper()
	h, info, err = Read(bytes.NewReader(data), name, o)
	for _, size := range []int{1, 7, 64} {
		buffers(t, size, func() {
			got, gotInfo, gotErr := Read(iotest.HalfReader(bytes.NewReader(data)), name, o)
			if !reflect.DeepEqual(gotInfo, info) || wording(gotErr) != wording(err) {
				t.Fatalf("buffers of %d bytes:\n got %+v, %v\nwant %+v, %v", size, gotInfo, gotErr, info, err)
			}
			wantEqual(t, got, h)
		})
	}
	return h, info, err
}

// throughEDN is h, written as EDN and read again: the same but for the
// spelling of values.
func throughEDN(t *testing.T, h History, compact bool) History {
	t.Helper()
	var b bytes.Buffer
	if err := WriteEDN(&b, h); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	got, info, err := Read(&b, "h.edn", ReadOptions{Compact: compact})
	if err != nil || info.Torn != 0 || got.Len() != h.Len() {
		t.Fatalf("%d of %d ops, %+v, %v\n%s", got.Len(), h.Len(), info, err, text)
	}
	for i := range h.Len() {
		if g, w := meaning(t, got.At(i)), meaning(t, h.At(i)); !reflect.DeepEqual(g, w) {
			t.Fatalf("op %d\n got %v\nwant %v\nfrom %s", i, g, w, text)
		}
	}
	return got
}

// meaning is what op says, however its values are spelt.
func meaning(t *testing.T, op Op) (m map[string]any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(AppendJSON(nil, op)))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzEDN(f *testing.F) {
	f.Add([]byte(`{:index 0, :time 5, :type :invoke, :process 3, :f :cas, :value [1 2N 1.5M 1/2 0x1f \a "s\n"]}`), true, false)
	f.Add([]byte(`[#op{:type :info, :process :nemesis, :f nil :value #{:a} #_ x, :error {:b #c.D [1]}} ; x`+"\n"+`{:type :ok :process 1 :x/y #:n{:a 1 2 3}}`), false, true)
	f.Add([]byte(`({:type :invoke :process 0 :f :txn :value [[:append :x 1e400] [:r "y" nil]]})`), false, false)
	f.Add([]byte(`{:type :invoke :process "adder" :f :read :value [[:r :x]] :final? true :time 1.5 :index 7} {:type :info :process :adder :f :read :index 3}`), false, false)
	f.Fuzz(func(t *testing.T, data []byte, independent, compact bool) {
		h, _, err := inBuffers(t, data, "h.edn", ReadOptions{Independent: independent, Compact: compact})
		if err != nil {
			return
		}
		again(t, h, "h.edn", compact, WriteEDN)
		again(t, h, "h.jsonl", compact, Write)
	})
}

func FuzzSchedule(f *testing.F) {
	f.Add([]byte(`{"schedule":1,"run":{"version":1,"target":"raft","rate":1.5,"nemesis":["kill"],"started":"2026-01-01T00:00:00Z"}}
{"time":"2s","process":"nemesis/kill","f":"inject","value":{"id":"k"}}
{"time":3000000000,"process":7,"f":"write","key":"k","value":1,"type":"invoke","ctx":[1]}`))
	f.Add([]byte(`{"time":"1h1m1.000000001s","process":0,"f":"read","schedule":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSchedule(bytes.NewReader(data), "s.jsonl", Limits{})
		if err != nil {
			return
		}
		b, err := s.encode()
		if err != nil {
			t.Fatalf("%s\ncannot be written: %v", data, err)
		}
		got, err := readSchedule(bytes.NewReader(b), "s.jsonl", Limits{})
		if err != nil {
			t.Fatalf("%s\nwritten as\n%s\n%v", data, b, err)
		}
		run, _ := json.Marshal(s.Run)
		gotRun, _ := json.Marshal(got.Run)
		if !reflect.DeepEqual(got.Ops, s.Ops) || !bytes.Equal(run, gotRun) {
			t.Fatalf("%s\nwritten as\n%s", data, b)
		}
	})
}

// again wants h to be the same when it has been written and read again.
func again(t *testing.T, h History, name string, compact bool, write func(w io.Writer, h History) error) {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, h); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	got, info, err := Read(&b, name, ReadOptions{Compact: compact})
	if err != nil || info.Torn != 0 || info.Renumbered != 0 {
		t.Fatalf("read again: %+v, %v\n%s", info, err, text)
	}
	wantEqual(t, got, h)
}
