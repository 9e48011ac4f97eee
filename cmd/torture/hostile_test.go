package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Numbers that no run can have are refused before anything is made of their
// size, wherever they stand: in flags, run.json, or a schedule.
func TestNumbersOutOfBounds(t *testing.T) {
	for _, c := range []struct{ flag, value, want string }{
		{"--nodes", "1000000000", "want 1 to 99"},
		{"--clients", "2000000000", "want 1 to 10000"},
		{"--rate", "1e300", "want 1e-06 to 1e+06"},
		{"--recovery", "2562047h47m", "want 0s to 10000h0m0s"},
		{"--time-limit", "2562047h47m", "want 0s to 10000h0m0s"},
		{"--timeout", "2562047h47m", "want 0s to 10000h0m0s"},
		{"--interval", "2562047h47m", "want 0s to 10000h0m0s"},
	} {
		for _, command := range []string{"run", "hunt"} {
			args := []string{command, "total", c.flag, c.value, "--store", t.TempDir()}
			if command == "run" {
				args = append(args, "--world", "sim")
			}
			d := do(t, args...)
			d.want(t, exitUsage, "torture: "+c.flag+" ", c.want)
		}
	}
	do(t, "hunt", "total", "--workers", "1000000", "--store", t.TempDir()).want(t, exitUsage, "--workers 1000000: want at most 1024")
	store := t.TempDir()
	put(t, filepath.Join(store, "r", "run.json"), `{"version":2,"target":"total","world":"sim","nodes":1000000000}`)
	dir := filepath.Join(store, "r")
	for _, command := range []string{"check", "replay", "shrink"} {
		do(t, command, dir).want(t, exitUsage, "run.json: nodes is 1000000000: want 1 to 99")
	}
	do(t, "list", "--store", store).want(t, exitValid, "broken: ", "nodes is 1000000000")
	schedule := write(t, "s.jsonl", `{"schedule":1,"run":{"version":2,"target":"total","world":"sim","clients":2000000000}}`+"\n")
	do(t, "replay", schedule).want(t, exitUsage, "s.jsonl:1: head of the schedule: run: clients is 2000000000: want 1 to 10000")
	for params, want := range map[string]string{
		`"kind":"delay","params":{"delay":"2562047h"}`:             "params.delay is 2562047h0m0s: want at most 10000h0m0s",
		`"kind":"bandwidth","params":{"rate":1000000000000000000}`: "from 1 to 1000000000000",
		`"kind":"loss","params":{"probability":1.5}`:               "(0, 1], not 1.5",
	} {
		schedule := write(t, "s.jsonl", `{"time":"1s","process":"nemesis/`+strings.Split(params, `"`)[3]+`","f":"inject","value":{"id":"x","targets":["n1"],`+params+"}}\n")
		do(t, "run", "total", "--world", "sim", "--schedule", schedule, "--store", t.TempDir()).want(t, exitUsage, want)
	}
}

// The limits of what is read can be raised.
func TestLimitFlags(t *testing.T) {
	file := write(t, "h.jsonl", `{"process":0,"type":"invoke","f":"read"`+strings.Repeat(" ", 2000)+"}\n"+`{"process":0,"type":"ok","f":"read"}`+"\n")
	check := []string{"check", file, "--checker", "linearizable"}
	do(t, append(check, "--max-record", "1kB")...).want(t, exitUsage, file+":1: the line is longer than 1024 bytes, the limit that --max-record sets")
	do(t, append(check, "--max-record", "1MB")...).want(t, exitValid)
	do(t, append(check, "--max-record", "2GB")...).want(t, exitUsage, "want a size from 1 to 1GB, such as 64MB")
	do(t, append(check, "--max-ratio", "-1")...).want(t, exitUsage, "--max-ratio")
	out := filepath.Join(t.TempDir(), "out.edn")
	do(t, "run", "total", "--world", "sim", "--schedule", file, "--max-record", "1kB").want(t, exitUsage, "the limit that --max-record sets")
	do(t, "convert", file, out, "--max-record", "1kB").want(t, exitUsage, "--max-record")
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}
