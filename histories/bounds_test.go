package histories

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// A manifest tells which of its numbers no run can have, by the names that they
// have in run.json, wherever it is read.
func TestBounds(t *testing.T) {
	for _, m := range []Manifest{{}, {
		Nodes: NodesMax, Clients: ClientsMax, Rate: RateMax, TimeLimit: DurationMax, Timeout: DurationMax, Recovery: DurationMax, Interval: DurationMax, End: DurationMax,
		Load: []Phase{{1, RateMin, false}, {DurationMax, RateMax, true}}, Conditions: &Conditions{linkMax, linkMax, slowerMax, 1, 1, true, DurationMax, 0.5, DurationMax},
		Done: []Done{{At: Time(DurationMax)}}, Reigns: []Reign{{From: 0}},
	}} {
		if err := m.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, m := range map[string]Manifest{
		"nodes is 1000000000: want 1 to 99":                             {Nodes: 1e9},
		"clients is 2000000000: want 1 to 10000":                        {Clients: 2e9},
		"clients is -1: want 1 to 10000":                                {Clients: -1},
		"rate is 1e+300: want 1e-06 to 1e+06":                           {Rate: 1e300},
		"rate is 1e-300: want 1e-06 to 1e+06":                           {Rate: 1e-300},
		"rate is NaN: want 1e-06 to 1e+06":                              {Rate: math.NaN()},
		"time-limit is 2562047h47m0s: want 0s to 10000h0m0s":            {TimeLimit: 2562047*time.Hour + 47*time.Minute},
		"timeout is 10000h0m0.000000001s: want 0s to 10000h0m0s":        {Timeout: DurationMax + 1},
		"recovery is -1ns: want 0s to 10000h0m0s":                       {Recovery: -1},
		"interval is 2562047h47m16.854775807s: want 0s to 10000h0m0s":   {Interval: math.MaxInt64},
		"end is -2562047h47m16.854775808s: want 0s to 10000h0m0s":       {End: math.MinInt64},
		"load[1].rate is 0: want 1e-06 to 1e+06":                        {Load: []Phase{{1, 1, false}, {1, 0, false}}},
		"load[0].for is 0s: want 1ns to 10000h0m0s":                     {Load: []Phase{{0, 1, false}}},
		"conditions.loss is 1.5: want 0 to 1":                           {Conditions: &Conditions{Loss: 1.5}},
		"conditions.spread is 1e+09: want 0 to 1000":                    {Conditions: &Conditions{Spread: 1e9}},
		"done[0].at is 2562047h47m16.854775807s: want 0s to 10000h0m0s": {Done: []Done{{At: math.MaxInt64}}},
		"reigns[0].from is -1ns: want 0s to 10000h0m0s":                 {Reigns: []Reign{{From: -1}}},
	} {
		if err := m.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if !(m.Rate == m.Rate) {
			continue // no file can say that
		}
		m.Version = 1
		d := Dir(t.TempDir())
		if err := d.Save(ManifestName, m); err != nil {
			t.Fatal(err)
		}
		var bad *BoundError
		if _, err := Open(string(d)); !errors.As(err, &bad) || !strings.HasSuffix(err.Error(), "run.json: "+want) {
			t.Errorf("run.json: got %v, want %s", err, want)
		}
		if _, err := readSchedule(strings.NewReader(`{"schedule":1,"run":`+string(Encode(m))+"}\n"), "s.jsonl", Limits{}); !errors.As(err, &bad) || !strings.HasSuffix(err.Error(), "s.jsonl:1: head of the schedule: run: "+want) {
			t.Errorf("schedule: got %v, want %s", err, want)
		}
	}
	if err := (Manifest{Reigns: make([]Reign, 1000), Done: []Done{{At: -1}}, Load: make([]Phase, 1000)}).Validate(); strings.Count(err.Error(), "\n") >= boundsMax {
		t.Errorf("it tells all of %d", strings.Count(err.Error(), "\n"))
	}
	_, err := readSchedule(strings.NewReader(`{"time":"10001h","process":0,"f":"read"}`), "s.jsonl", Limits{})
	if err == nil || err.Error() != "s.jsonl:1: field time: got 10001h0m0s: a run lasts at most 10000h0m0s" {
		t.Errorf("got %v", err)
	}
}
