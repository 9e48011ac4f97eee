package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/targets/all"
)

// What cannot be done is said before anything begins, with what could be done
// instead.
func TestBadUse(t *testing.T) {
	store := t.TempDir()
	for _, test := range []struct {
		args string
		want []string
	}{
		{"rnu", []string{`unknown command "rnu"`, "run"}},
		{"run", append(all.Targets().Names(), "needs a target")},
		{"hunt", append(all.Targets().Names(), "needs a target")},
		{"run raftt", []string{`no target "raftt"`, "did you mean raft?"}},
		{"hunt rafft", []string{"did you mean raft?"}},
		{"targets show totl", []string{"did you mean total?"}},
		{"selftest raft nothing", []string{`no target "nothing"`, "primary, raft, total"}},
		{"run raft --nope", []string{"unknown flag: --nope", "torture run raft --help"}},
		{"run raft extra", []string{`"extra"`}},
		{"hunt raft --world sim", []string{"unknown flag: --world"}},
		{"run raft --seed minus", []string{"--seed", `"minus"`}},
		{"run raft --world moon", []string{"--world moon", "auto, sim or docker"}},
		{"run raft --world sim --workload nope", []string{`no workload "nope"`, "register, cas, set, append"}},
		{"run raft --world sim --bug nope", []string{`no bug "nope"`, "ack-before-sync"}},
		{"run raft --world sim --reads nope", []string{"--reads nope", "log, index, lease"}},
		{"run raft --world sim --nemesis nope", []string{"--nemesis", `"nope"`, "partition"}},
		{"run total --world sim --nemesis membership", []string{"--nemesis", `"membership"`}},
		{"run raft --world sim --nodes 0", []string{"--nodes 0", "more than 0"}},
		{"run raft --world sim --nodes 100", []string{"--nodes 100", "1 to 99"}},
		{"run raft --world sim --rate -1 --clients 0", []string{"--rate -1", "--clients 0"}},
		{"run raft --world sim --rate NaN", []string{"--rate NaN"}},
		{"run raft --world sim --time-limit 0 --recovery -1s", []string{"--time-limit 0s", "--recovery -1s"}},
		{"run raft --world sim --recovery 2562047h47m --timeout 20000h", []string{"--recovery 2562047h47m0s: want 0s to 10000h0m0s", "--timeout 20000h0m0s"}},
		{"run raft --world sim --budget lots", []string{`budget "lots"`, "minority"}},
		{"run raft --world sim --targets n99", []string{`targets "n99"`, "n1, n2, n3, n4, n5"}},
		{"run raft --world sim --targets halves --nemesis kill", []string{"halves", "kill"}},
		{"run raft --world sim --bug nope --workload nope", []string{"torture: target raft has no workload", "\n         target raft has no bug"}},
		{"run raft --world sim --schedule missing", []string{"missing", "no such file"}},
		{"run raft --world sim --schedule x --nemesis kill", []string{"--schedule and --nemesis"}},
		{"run raft --world sim --swarm --schedule x", []string{"--swarm", "without a schedule"}},
		{"hunt raft --seeds 0", []string{"--seeds 0"}},
		{"hunt raft --for -1s --workers -2", []string{"--for -1s", "--workers -2"}},
		{"hunt raft --twice -1", []string{"--twice -1"}},
		{"check", []string{"check needs one FILE or DIR"}},
		{"check a b", []string{"check needs one FILE or DIR", "2 arguments"}},
		{"check missing", []string{"missing", "no such file"}},
		{"replay", []string{"replay needs one DIR or SCHEDULE"}},
		{"replay missing", []string{"missing", "no such file"}},
		{"replay missing --times 0", []string{"--times"}},
		{"replay missing --world auto", []string{"--world auto", "sim or docker"}},
		{"shrink", []string{"shrink needs one DIR"}},
		{"shrink missing", []string{"missing"}},
		{"targets show", []string{"show needs one NAME"}},
		{"list extra", []string{`"extra"`}},
		{"clean ..", []string{`".." is not a run`}},
		{"clean --all runs/x", []string{"--all and a run"}},
		{"help nosuch", []string{`unknown command "nosuch"`}},
		{"help run nosuch", []string{`no target "nosuch"`}},
		{"help list nosuch", []string{`torture list has no command "nosuch"`}},
		{"run raft --nemsis kill", []string{"unknown flag: --nemsis: did you mean --nemesis?"}},
		{"list --stor x", []string{"unknown flag: --stor: did you mean --store?"}},
		{"list --verdict good", []string{"--verdict good", "valid, invalid, unknown, vacuous, interrupted"}},
		{"list --since tomorrow", []string{"--since tomorrow", "24h"}},
		{"list --sort colour", []string{"--sort colour", "time, size"}},
		{"prune", []string{"prune needs --keep"}},
		{"prune --keep -1", []string{"--keep -1"}},
		{"run raft --world sim --nodes 1 --nemesis kill,clock", []string{"--nemesis kill: nothing can be shown in a cluster of 1 node"}},
	} {
		t.Run(test.args, func(t *testing.T) {
			d := do(t, append(strings.Fields(test.args), "--store", store)...)
			d.want(t, exitUsage, test.want...)
			if d.out != "" {
				t.Errorf("stdout: %s", d.out)
			}
		})
	}
	if left, err := os.ReadDir(store); err != nil || len(left) > 0 {
		t.Errorf("the store holds %v, %v", left, err)
	}
}

// What is wrong with a schedule names the file, and where in it.
func TestBadSchedule(t *testing.T) {
	const kill = `{"time":"1s","process":"nemesis/kill","f":"inject","value":{"id":"a","kind":"kill","targets":["n1"]}}` + "\n"
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"torn", kill + kill[:40], []string{"schedule.jsonl:2", "cut off"}},
		{"time", strings.Replace(kill, "1s", "soon", 1), []string{"schedule.jsonl:1: field time", `"soon"`}},
		{"process", strings.Replace(kill, "nemesis/kill", "n1", 1), []string{"schedule.jsonl:1: field process", "n1"}},
		{"no JSON", "kill n1\n", []string{"schedule.jsonl:1"}},
		{"version", `{"schedule":9}` + "\n" + kill, []string{"schedule.jsonl:1: field schedule", "9"}},
		{"kind", strings.Replace(kill, `"kind":"kill"`, `"kind":"maim"`, 1), []string{"schedule.jsonl: op 0", `"maim"`}},
		{"foreign parameter", strings.Replace(kill, `["n1"]`, `["n1"],"params":{"drop":{"n1":["n2"]}}`, 1), []string{"schedule.jsonl: op 0", "kill has no params.drop: it has at"}},
		{"no link", strings.NewReplacer("kill", "delay", `"targets":["n1"]`, `"params":{"delay":"1s","from":"n1","to":"n9"}`).Replace(kill), []string{"schedule.jsonl: op 0", `"n9"`}},
		{"node", strings.Replace(kill, "n1", "n9", 1), []string{"schedule.jsonl: op 0", `"n9"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "schedule.jsonl", test.content)
			do(t, "run", "raft", "--world", "sim", "--store", t.TempDir(), "--schedule", path).want(t, exitUsage, test.want...)
		})
	}
	path := write(t, "schedule.jsonl", kill)
	do(t, "replay", path, "--store", t.TempDir()).want(t, exitUsage, path, "does not say what to run", "torture run TARGET --schedule")
}

// A schedule of faults takes the place of drawn ones; only its kinds count.
func TestSchedule(t *testing.T) {
	path := write(t, "schedule.jsonl", `{"time":"1s","process":"nemesis/kill","f":"inject","value":{"id":"a","kind":"kill","targets":["n5"]}}
{"time":"6s","process":"nemesis/kill","f":"cure","value":{"id":"a","kind":"kill"}}
`)
	store := t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--time-limit", "10s", "--schedule", path, "--store", store).
		want(t, exitValid, "faults: kill\n", "kill ×1")
	do(t, "replay", onlyRun(t, store), "--store", store).want(t, exitValid, "kill ×1")

	// One link is one link, and the report says which.
	path = write(t, "schedule.jsonl", `{"time":"1s","process":"nemesis/delay","f":"inject","value":{"id":"a","kind":"delay","params":{"delay":"50ms","from":"n1","to":"n5"}}}
{"time":"6s","process":"nemesis/delay","f":"cure","value":{"id":"a","kind":"delay"}}
`)
	store = t.TempDir()
	do(t, "run", "total", "--world", "sim", "--seed", "1", "--time-limit", "10s", "--schedule", path, "--store", store).
		want(t, exitValid, "faults: delay\n", "delay ×1")
	if page := read(t, onlyRun(t, store), "report.html"); !strings.Contains(page, "<td>n1 → n5</td>") {
		t.Error("the report does not say which link was slow")
	}
}

// Help tells what each command is for, by example, and what its exit code says.
func TestHelp(t *testing.T) {
	root := newRootCommand(&app{})
	for _, c := range root.Commands() {
		if c.Short == "" {
			t.Errorf("%s has no short description", c.Name())
		}
		if c.Hidden || c.Name() == "completion" || c.Name() == "help" {
			continue
		}
		d := do(t, "help", c.Name())
		d.want(t, exitValid, "Usage:\n  torture "+c.Name())
		judges := slices.Contains([]string{"run", "hunt", "check", "replay", "shrink", "selftest"}, c.Name())
		if judges && (!strings.Contains(d.out, "EXIT STATUS") || !strings.Contains(d.out, "Examples:\n  torture "+c.Name())) {
			t.Errorf("help of %s has no examples, or does not tell of its exit status:\n%s", c.Name(), d.out)
		}
		for _, sub := range c.Commands() {
			if sub.Short == "" {
				t.Errorf("%s has no short description", sub.CommandPath())
			}
			if judges {
				do(t, c.Name(), sub.Name(), "--help").want(t, exitValid, "EXIT STATUS", "Examples:\n  torture "+c.Name(), "--workload", "--bug")
			}
		}
	}
	help := do(t, "help")
	help.want(t, exitValid, "EXIT STATUS", "torture run raft", "254", "255")
	for _, hidden := range []string{"hunt-worker", "agent "} {
		if strings.Contains(help.out, hidden) {
			t.Errorf("help tells of %s", hidden)
		}
	}
	do(t, "help", "run").want(t, exitValid, "Flags of every target", "--time-limit duration", "--nemesis string", "--world string")
	do(t, "help", "hunt").want(t, exitValid, "Flags of every target", "--seeds int", "--keep-going", "--heartbeat duration")
	do(t, "--version").want(t, exitValid, "torture ", "go1.")
	if again := do(t); again.code != exitValid || again.out != help.out {
		t.Errorf("torture alone: exit %d:\n%s", again.code, again)
	}
}

// The examples of the help are commands that exist, with flags that exist.
func TestExamples(t *testing.T) {
	for _, c := range newRootCommand(&app{}).Commands() {
		for line := range strings.Lines(c.Example) {
			args := strings.Fields(line)
			if len(args) == 0 || args[0] != "torture" {
				t.Errorf("%s: %q is not a command", c.Name(), line)
				continue
			}
			found, rest, err := newRootCommand(&app{}).Find(args[1:])
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		do(t, "completion", shell).want(t, exitValid, "torture")
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"run", ""}, "raft\t"},
		{[]string{"run", "raft", "--bug", ""}, "ack-before-sync\n"},
		{[]string{"hunt", "raft", "--reads", ""}, "lease\n"},
		{[]string{"targets", "show", ""}, "primary\n"},
		{[]string{"selftest", ""}, "total\n"},
		{[]string{"help", ""}, "hunt\t"},
		{[]string{"help", "run", ""}, "raft\t"},
		{[]string{"run", "raft", "--world", ""}, "docker\n"},
		{[]string{"replay", "x", "--world", ""}, "docker\n"},
		{[]string{"run", "raft", "--nemesis", ""}, "none\n"},
		{[]string{"run", "raft", "--nemesis", "kill,"}, "kill,bandwidth\n"},
		{[]string{"hunt", "raft", "--budget", ""}, "minority\n"},
		{[]string{"check", "x", "--checker", ""}, "linearizable\n"},
		{[]string{"list", "--verdict", "valid,"}, "valid,interrupted\n"},
	} {
		do(t, append([]string{"__complete"}, test.args...)...).want(t, exitValid, test.want)
	}
}

// Where a store cannot be made, torture fails, and says where.
func TestStoreUnwritable(t *testing.T) {
	store := filepath.Join(write(t, "file", ""), "runs")
	d := do(t, "run", "total", "--world", "sim", "--store", store)
	d.want(t, exitFailed, "torture failed: --store "+store)
	if d.out != "" {
		t.Errorf("stdout: %s", d.out)
	}
}
