package histories

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func readScheduleFile(t testing.TB, text string) (Schedule, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSchedule(path)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), filepath.Dir(path)+"/", ""))
	}
	return s, err
}

func TestReadSchedule(t *testing.T) {
	got, err := readScheduleFile(t, `
{"schedule":1,"run":{"version":1,"target":"raft","seed":7,"time_limit":30000000000}}
{"time":"2s","process":"nemesis/partition","f":"inject","value":{"id":"p-1","kind":"partition"}}
{"time":2000000001,"process":0,"type":"invoke","f":"write","value":1,"key":"k","node":"n1","final":true,"ctx":{"a":1}}

{"index":99,"time":"1m1.5s","process":"nemesis/partition","f":"cure","value":{"id":"p-1","kind":"partition"}}`)
	if err != nil {
		t.Fatal(err)
	}
	nemesis := Named("nemesis/partition")
	want := Schedule{&Manifest{Version: 1, Target: "raft", Seed: 7, TimeLimit: 30 * time.Second}, []Op{
		{Index: 0, Time: 2e9, Process: nemesis, Type: Invoke, F: "inject", Value: raw(`{"id":"p-1","kind":"partition"}`)},
		{Index: 1, Time: 2e9 + 1, Process: 0, Type: Invoke, F: "write", Value: raw("1"), Key: raw(`"k"`), Node: "n1", Final: true,
			Ext: map[string]json.RawMessage{"ctx": raw(`{"a":1}`)}},
		{Index: 2, Time: 61.5e9, Process: nemesis, Type: Invoke, F: "cure", Value: raw(`{"id":"p-1","kind":"partition"}`)},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	path := filepath.Join(t.TempDir(), "again.jsonl")
	if err := WriteSchedule(path, got); err != nil {
		t.Fatal(err)
	}
	if again, err := ReadSchedule(path); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("written and read again: got %+v, %v\nwant %+v", again, err, want)
	}
}

func TestReadScheduleWithoutRun(t *testing.T) {
	for text, want := range map[string]int{"": 0, `{"schedule":1}`: 0, `{"time":0,"process":1,"f":"read"}`: 1} {
		if s, err := readScheduleFile(t, text); err != nil || s.Run != nil || len(s.Ops) != want {
			t.Errorf("%s: got %+v, %v", text, s, err)
		}
	}
}

func TestWriteScheduleIsShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.jsonl")
	s := Schedule{Ops: []Op{{Index: 5, Time: 1500e6, Process: Named("nemesis/kill"), Type: Invoke, F: "inject", Value: raw(`{"id":"k"}`)}}}
	if err := WriteSchedule(path, s); err != nil {
		t.Fatal(err)
	}
	want := `{"schedule":1}` + "\n" + `{"time":"1.5s","process":"nemesis/kill","f":"inject","value":{"id":"k"}}` + "\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestScheduleMalformed(t *testing.T) {
	const good = `{"time":"1s","process":"nemesis/kill","f":"inject","value":{}}` + "\n"
	for _, c := range []struct{ text, want string }{
		{`{"time":"1s","f":"inject"}`, `field process: it is missing: want nemesis/<kind>, or the number of a client`},
		{`{"process":0,"f":"inject"}`, `field time: it is missing: want a duration such as "1.5s", or a number of nanoseconds`},
		{`{"time":"2","process":0,"f":"x"}`, `field time: got "2", want a duration such as "1.5s", or a number of nanoseconds`},
		{`{"time":[],"process":0,"f":"x"}`, `field time: got [], want a number of nanoseconds`},
		{`{"time":"-2s","process":0,"f":"x"}`, `field time: got -2s: a run begins at 0`},
		{`{"time":"999ms","process":0,"f":"x"}`, `field time: got 999ms after 1s: want them in order`},
		{`{"time":"2s","process":0}`, `field f: it is missing: want inject, cure, or the name of a client's operation`},
		{`{"time":"2s","process":0,"f":"x","type":"ok"}`, `field type: got ok: a schedule has invocations only`},
		{`{"time":"2s","process":"nemsis/kill","f":"x"}`, `field process: got nemsis/kill, want nemesis/<kind>, or the number of a client`},
		{`{"time":"2s","process":"nemesis/kill","f":"inject","vaule":{}}`, `field vaule: a nemesis has no such field: want time, process, f and value`},
		{`{"schedule":1}`, `field process: it is missing: want nemesis/<kind>, or the number of a client`},
		{`{"time":"2s",`, `the record is cut off`},
	} {
		_, err := readScheduleFile(t, good+c.text)
		if want := "read schedule: s.jsonl:2: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{`{"schedule":2}`, `field schedule: got version 2, and this torture reads 1`},
		{`{"schedule":1,"run":{"nodez":3}}`, `head of the schedule: json: unknown field "nodez"`},
		{`{"schedule":1,"run":{"nodes":"3"}}`, `field run.nodes: got a string, want int`},
	} {
		_, err := readScheduleFile(t, c.text)
		if want := "read schedule: s.jsonl:1: " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, want)
		}
	}
}

func TestWriteScheduleRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.jsonl")
	for _, ops := range [][]Op{
		{{Type: OK, F: "x"}},
		{{F: ""}},
		{{F: "x", Time: 2}, {F: "x", Time: 1}},
		{{F: "x", Value: raw("{")}},
		{{F: "x", Process: Named("n1")}},
	} {
		if err := WriteSchedule(path, Schedule{Ops: ops}); err == nil {
			t.Errorf("wrote %+v", ops)
		}
		if _, err := os.Stat(path); err == nil {
			t.Fatal("a schedule that was refused left a file")
		}
	}
}
