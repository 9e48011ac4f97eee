package run_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/run"
	"github.com/torture-harness/torture/targets/all"
)

// FuzzReplay reads a schedule that anybody may have written and, if it can be
// played and is small, plays it: what is wrong with it is told, and what is not
// wrong comes to an end.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"schedule":1,"run":{"version":2,"target":"raft","world":"sim","seed":3,"nodes":3,"clients":3,"rate":20,"time-limit":2000000000}}
{"time":"500ms","process":"nemesis/kill","f":"inject","value":{"id":"kill-1","kind":"kill","targets":["n1"]}}
{"time":"1s","process":"nemesis/clock","f":"inject","value":{"id":"c","kind":"clock","targets":["n2"],"params":{"shape":"strobe","offset":"1s","period":"10ms"}}}
{"time":"1.5s","process":"nemesis/kill","f":"cure","value":{"id":"kill-1","kind":"kill"}}
`))
	f.Add([]byte(`{"schedule":1,"run":{"version":2,"target":"primary","world":"sim","flags":{"reads":"primary"},"conditions":{"floor":1000,"mean":1000,"spread":2,"loss":0.1,"drift":0.1},"end":1000000000,"reigns":[{"from":0,"leaders":["n1"]}],"done":[{"f":"inject","fault":"p","at":200000000}]}}
{"time":"1ms","process":0,"f":"write","key":"k1","value":1,"node":"n1"}
{"time":"100ms","process":"nemesis/partition","f":"inject","value":{"id":"p","kind":"partition","params":{"drop":{"n1":["n2","n3"]}}}}
{"time":"150ms","process":1,"f":"read","key":"k1","node":"n2"}
{"time":"300ms","process":"nemesis/bandwidth","f":"inject","value":{"id":"b","kind":"bandwidth","params":{"from":"n1","to":"n2","rate":1000}}}
`))
	f.Add([]byte(`{"schedule":1,"run":{"version":2,"target":"total","world":"sim","load":[{"for":100000000,"rate":50}],"keys":"one","nemesis":["pause"],"budget":"1","targets":"one"}}` + "\n"))
	golden, err := filepath.Glob("../nemesis/testdata/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range golden {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "s.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := histories.ReadSchedule(path)
		if err != nil || s.Run == nil {
			return
		}
		target, err := all.Targets().Named(s.Run.Target)
		if err != nil {
			return
		}
		m := *s.Run
		m.World, m.Schedule = "sim", true
		tr, err := run.NewTrial(target, m, s.Ops)
		if err != nil || !small(tr.Manifest, s.Ops) {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, _, _ = tr.Simulate(ctx)
	})
}

// small tells whether a replay takes no more than a moment.
func small(m histories.Manifest, script []histories.Op) bool {
	const long = 3 * time.Second
	busy := func(p histories.Phase) bool { return p.Rate > 100 }
	return m.Nodes <= 5 && m.Clients <= 10 && m.Rate <= 100 && m.TimeLimit <= long && m.Timeout <= long && m.Recovery <= long && m.End <= long &&
		!slices.ContainsFunc(m.Load, busy) && len(script) <= 50 &&
		!slices.ContainsFunc(script, func(op histories.Op) bool { return op.Time.Duration() > long })
}
