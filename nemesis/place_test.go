package nemesis

import (
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// A place in a schedule written by hand is checked.
func TestPlaces(t *testing.T) {
	for at, want := range map[string]string{
		`{"n1":[{"handler":"start","after":"write","before":"sync","nth":1}]}`:                     "",
		`{"n1":[{"within":"5ms"},{"handler":"start","after":"begin","before":"end","nth":2}]}`:     "",
		`{"n1":[{"handler":"timer tick","after":"write","before":"fsync","nth":1,"within":"1s"}]}`: `before "fsync"`,
		`{"n1":[{"handler":"start","after":"end","before":"end","nth":1}]}`:                        `after "end"`,
		`{"n1":[{"handler":"start","after":"write","before":"sync"}]}`:                             "nth, counted from 1, not 0",
		`{"n1":[{}]}`: "needs within",
		`{"n1":[{"after":"write","within":"5ms"}]}`:                   "needs the handler",
		`{"n2":[{"within":"5ms"}]}`:                                   `"n2", which is none of its targets`,
		`{"n1":[{"within":"5ms"},{"within":"5ms"},{"within":"5ms"}]}`: "3 places",
	} {
		op := histories.Op{Process: Kill.Process(), Type: histories.Invoke, F: Inject, Value: []byte(`{"id":"kill-1","kind":"kill","targets":["n1"],"params":{"at":` + at + `}}`)}
		switch _, err := Decode(op); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", at, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v, want one that says %q", at, err, want)
		}
	}
	pause := histories.Op{Process: Pause.Process(), Type: histories.Invoke, F: Inject, Value: []byte(`{"id":"pause-1","kind":"pause","targets":["n1"],"params":{"at":{"n1":[{"within":"5ms"}]}}}`)}
	if _, err := Decode(pause); err == nil {
		t.Error("a pause that says where a node dies is no error")
	}
}
