package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// FuzzRunDirectory has check, list and convert look at a run's directory that
// anybody may have written.
func FuzzRunDirectory(f *testing.F) {
	golden, err := filepath.Glob("../../histories/golden/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range golden {
		if i%7 != 0 {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		target := []string{"raft", "primary", "total"}[i%3]
		f.Add([]byte(`{"version":2,"target":"`+target+`","world":"docker","nodes":3,"started":"2026-01-01T00:00:00Z"}`), b, []byte(`{"version":1,"verdict":"valid","state":"killed"}`), []byte{}, []byte(`{"f":"role","lamport":3,"value":{"role":"leader","term":1}}`+"\n"), []byte("panic: x\n"))
	}
	for _, target := range []string{"raft", "primary", "total"} {
		store := f.TempDir()
		var out bytes.Buffer
		execute([]string{"run", target, "--world", "sim", "--time-limit", "500ms", "--recovery", "500ms", "--rate", "50", "--nodes", "3", "--seed", "1", "--store", store}, &out, &out)
		dirs, err := filepath.Glob(filepath.Join(store, "*"))
		if err != nil || len(dirs) != 1 {
			f.Fatalf("%v, %v: %s", dirs, err, out.String())
		}
		var parts [2][]byte
		for i, name := range []string{histories.ManifestName, histories.HistoryName} {
			if parts[i], err = os.ReadFile(filepath.Join(dirs[0], name)); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(parts[0], parts[1], []byte("{}"), []byte(`{"time":"1s","process":"nemesis/kill","f":"inject","value":{"id":"k","kind":"kill","targets":["n1"]}}`+"\n"), []byte{}, []byte{})
	}
	f.Fuzz(func(t *testing.T, manifest, history, result, schedule, records, log []byte) {
		store := t.TempDir()
		d := histories.Dir(filepath.Join(store, "r"))
		for name, content := range map[string][]byte{
			histories.ManifestName: manifest, histories.HistoryName: history, histories.ResultName: result, histories.ScheduleName: schedule,
			"nodes/n1/" + histories.RecordsName: records, "nodes/n2/log": log,
		} {
			if len(content) == 0 {
				continue
			}
			path := d.Path(name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for _, args := range [][]string{{"list", "--store", store}, {"check", string(d)}, {"convert", string(d), filepath.Join(store, "h.edn")}} {
			var out, errs bytes.Buffer
			execute(args, &out, &errs)
			for _, printed := range []string{out.String(), errs.String()} {
				if strings.Contains(printed, "torture failed: panic") {
					t.Fatalf("torture %s:\n%s", args[0], printed)
				}
				if strings.ContainsAny(printed, "\x1b\a\r") {
					t.Fatalf("torture %s prints what a terminal obeys: %q", args[0], printed)
				}
			}
		}
	})
}
