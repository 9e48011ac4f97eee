package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
)

// engine is the real one. Tests that need it are skipped unless they are asked
// for; then they fail without it.
func engine(t *testing.T) *client.Client {
	t.Helper()
	if os.Getenv("TORTURE_DOCKER") != "1" {
		t.Skip("needs a docker engine: TORTURE_DOCKER=1 go test ./cmd/torture")
	}
	if _, err := docker.Available(t.Context()); err != nil {
		t.Fatal(err)
	}
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

// static builds torture as containers need it, once, in a folder that TestMain
// removes.
var static = sync.OnceValues(func() (string, error) { return buildStatic("torture", "build") })

// staticTest builds the test program so: it is torture that knows the tests' own
// targets.
var staticTest = sync.OnceValues(func() (string, error) { return buildStatic("test", "test", "-c") })

func buildStatic(name string, command ...string) (string, error) {
	if builtDir == "" {
		dir, err := os.MkdirTemp("", "torture-test-*")
		if err != nil {
			return "", err
		}
		builtDir = dir
	}
	path := filepath.Join(builtDir, name)
	cmd := exec.Command("go", append(command, "-trimpath", "-ldflags=-s -w", "-o", path, ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New(err.Error() + ": " + string(out))
	}
	return path, nil
}

// clusterRun begins a run in containers and waits until clients are at work.
func clusterRun(t *testing.T, store string, env []string, args ...string) (p *process, dir string) {
	t.Helper()
	program, err := static()
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "total", "--world", "docker", "--nodes", "3", "--recovery", "2s", "--timeout", "500ms", "--seed", "1", "--store", store}, args...)
	p = start(t, program, env, args...)
	eventually(t, "clients are at work", func() bool {
		if files, _ := filepath.Glob(filepath.Join(store, "*", "history.jsonl")); len(files) == 1 {
			dir = filepath.Dir(files[0])
			return bytes.Count([]byte(read(t, files[0])), []byte(`"type":"ok"`)) > 20
		}
		return false
	})
	t.Cleanup(func() { do(t, "clean", dir) })
	return p, dir
}

// mine selects what belongs to a run.
func mine(dir string) filters.Args {
	return filters.NewArgs(filters.Arg("label", "torture=1"), filters.Arg("label", "torture.run="+filepath.Base(dir)))
}

// nothingLeft checks that the engine has nothing of a run.
func nothingLeft(t *testing.T, cli *client.Client, dir string) {
	t.Helper()
	containers, err := cli.ContainerList(t.Context(), container.ListOptions{All: true, Filters: mine(dir)})
	if err != nil || len(containers) > 0 {
		t.Errorf("containers are left: %v, %v", containers, err)
	}
	networks, err := cli.NetworkList(t.Context(), network.ListOptions{Filters: mine(dir)})
	if err != nil || len(networks) > 0 {
		t.Errorf("networks are left: %v, %v", networks, err)
	}
	volumes, err := cli.VolumeList(t.Context(), volume.ListOptions{Filters: mine(dir)})
	if err != nil || len(volumes.Volumes) > 0 {
		t.Errorf("volumes are left: %v, %v", volumes.Volumes, err)
	}
}

// checkable opens what a run has left and judges it again.
func checkable(t *testing.T, dir string) {
	t.Helper()
	opened, err := histories.Open(dir)
	if err != nil || opened.History.Len() < 20 {
		t.Fatalf("opened: %+v, %v", opened, err)
	}
	d := do(t, "check", dir)
	d.want(t, d.code, "run     "+dir)
	if d.code >= exitUsage {
		t.Errorf("check: exit %d\n%s", d.code, d)
	}
}

func TestContainers(t *testing.T) {
	cli := engine(t)
	p, dir := clusterRun(t, t.TempDir(), nil, "--nemesis", "none", "--time-limit", "5s")
	p.wait(t).want(t, exitValid, "VALID  total/broadcast  docker", "total in containers, seed 1: 3 nodes, 6 clients, faults: none", "run     "+dir)
	nothingLeft(t, cli, dir)
	for _, node := range []string{"n1", "n2", "n3"} {
		if log := read(t, dir, "nodes", node, "log"); log == "" {
			t.Errorf("%s has left no log", node)
		}
	}
	checkable(t, dir)
}

// The engine goes away in the middle of a run: torture says so, what was
// recorded is kept, and once the engine is back, clean removes what is left.
func TestContainersEngineGone(t *testing.T) {
	cli := engine(t)
	proxy := newProxy(t, cli.DaemonHost())
	p, dir := clusterRun(t, t.TempDir(), []string{"DOCKER_HOST=unix://" + proxy.path}, "--nemesis", "none", "--time-limit", "1h")
	proxy.close()
	p.wait(t).want(t, exitFailed, "torture failed: ", "docker engine at unix://"+proxy.path+" is gone", "UNKNOWN", "run     "+dir)
	if result := read(t, dir, "result.json"); !strings.Contains(result, "is gone") {
		t.Errorf("result.json does not say why the run ended: %.500s", result)
	}
	checkable(t, dir)
	do(t, "clean", dir).want(t, exitValid, "removed 6 containers, 1 networks")
	nothingLeft(t, cli, dir)
}

// Somebody does something to a container: the run ends at once, says what it was,
// and judges no node by it.
func TestContainersDisturbed(t *testing.T) {
	cli := engine(t)
	for name, c := range map[string]struct {
		do   func(ctx context.Context, id string) error
		want string
	}{
		"killed":  {func(ctx context.Context, id string) error { return cli.ContainerKill(ctx, id, "KILL") }, "n2 was ended from outside, with exit code 137"},
		"stopped": {func(ctx context.Context, id string) error { return cli.ContainerStop(ctx, id, container.StopOptions{}) }, "n2 was ended from outside, with exit code 0"},
		"paused":  {cli.ContainerPause, "n2 was paused"},
	} {
		t.Run(name, func(t *testing.T) {
			p, dir := clusterRun(t, t.TempDir(), nil, "--nemesis", "none", "--time-limit", "1h")
			filter := mine(dir)
			filter.Add("label", "torture.role=node")
			filter.Add("name", "n2")
			found, err := cli.ContainerList(t.Context(), container.ListOptions{Filters: filter})
			if err != nil || len(found) != 1 {
				t.Fatalf("containers of n2: %v, %v", found, err)
			}
			if err := c.do(t.Context(), found[0].ID); err != nil {
				t.Fatal(err)
			}
			p.wait(t).want(t, exitUnknown, "UNKNOWN", "the run was disturbed: "+c.want)
			nothingLeft(t, cli, dir)
			checkable(t, dir)
			do(t, "check", dir).want(t, exitUnknown, "UNKNOWN", "the run was disturbed: "+c.want)
		})
	}
}

// A harness that is killed leaves a directory that opens, and a cluster that
// clean removes.
func TestContainersKilled(t *testing.T) {
	cli := engine(t)
	p, dir := clusterRun(t, t.TempDir(), nil, "--nemesis", "partition,kill,pause", "--interval", "1s", "--time-limit", "1h")
	if err := syscall.Kill(child(t, p.Process.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).want(t, exitFailed, "torture failed: it crashed", "torture clean "+dir)
	checkable(t, dir)
	do(t, "clean", dir).want(t, exitValid, "removed 6 containers, 1 networks")
	nothingLeft(t, cli, dir)
	do(t, "clean", dir).want(t, exitValid, "removed 0 containers, 0 networks, 0 volumes")
}

// Ctrl-C cures, removes the cluster and judges what there is.
func TestContainersInterrupted(t *testing.T) {
	cli := engine(t)
	p, dir := clusterRun(t, t.TempDir(), nil, "--nemesis", "partition,pause", "--interval", "1s", "--time-limit", "1h")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	d := p.wait(t)
	d.want(t, d.code, "interrupted: ", "run     "+dir)
	if d.code >= exitUsage {
		t.Errorf("exit %d\n%s", d.code, d)
	}
	nothingLeft(t, cli, dir)
	if opened, err := histories.Open(dir); err != nil || !opened.Complete {
		t.Errorf("opened: %+v, %v", opened, err)
	}
	checkable(t, dir)
}

// Who does not wait for that is told what is left.
func TestContainersInterruptedTwice(t *testing.T) {
	cli := engine(t)
	p, dir := clusterRun(t, t.TempDir(), nil, "--nemesis", "none", "--time-limit", "1h")
	eventually(t, "it leaves at once", func() bool {
		_ = p.Process.Signal(syscall.SIGTERM)
		return zombie(t, p.Process.Pid)
	})
	p.wait(t).want(t, exitFailed, "interrupted: ", "interrupted twice: torture leaves at once; torture clean "+dir)
	checkable(t, dir)
	do(t, "clean", dir).want(t, exitValid, "removed")
	nothingLeft(t, cli, dir)
}

// Agents that only say that they harm, or cannot, and worlds that harm others, or
// for ever, make a run worth nothing: never valid.
func TestContainersSabotage(t *testing.T) {
	cli := engine(t)
	program, err := static()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		sabotage        docker.Sabotage
		target, nemesis string
	}{
		{docker.Liar, "total", "partition,loss"},
		{docker.Powerless, "total", "partition,loss"},
		// None of these has at another node the effect of the others at its own.
		{docker.Elsewhere, "raft", "client,clock,duplicate,partition"},
		{docker.Uncured, "total", "clock,duplicate"}, // which do not stop it
	} {
		t.Run(string(c.sabotage), func(t *testing.T) {
			t.Parallel() // the simulator alone cannot
			store := t.TempDir()
			var out, errs bytes.Buffer
			a := &app{stdout: &out, stderr: &errs, sabotage: c.sabotage}
			root := newRootCommand(a)
			root.SetArgs([]string{"run", c.target, "--world", "docker", "--nodes", "3", "--time-limit", "5s", "--recovery", "2s", "--timeout", "500ms", "--interval", "1s",
				"--nemesis", c.nemesis, "--targets", "one", "--seed", strconv.Itoa(i), "--binary", program, "--store", store, "--json"})
			code := exitCode(root.ExecuteContext(context.Background()), &errs)
			d := done{nil, code, out.String(), errs.String()}
			if code != exitVacuous {
				t.Fatalf("exit %d\n%s", code, d)
			}
			o := decode[outcome](t, d)
			nothingLeft(t, cli, o.Run)
			for _, k := range o.Manifest.Nemesis {
				if o.Verdict != checker.Vacuous || !strings.Contains(o.Result.Why, k) {
					t.Errorf("%s: not a word of %s: %s", o.Verdict, k, o.Result.Why)
				}
			}
			if n := strings.Count(o.Result.Why, " seen "); n < 2 {
				t.Errorf("faults of %d kinds were looked for: %s", n, o.Result.Why)
			}
			if strings.Contains(o.Result.Why, "in force: want") {
				t.Errorf("a fault was seen in force: %s", o.Result.Why)
			}
		})
	}
}

// What a node owes its world and its clients is found broken in containers too.
func TestContainersContract(t *testing.T) {
	cli := engine(t)
	program, err := staticTest()
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	start(t, program, []string{envOwn + "=1"}, "run", "unruly", "--bug", "chatters", "--world", "docker", "--nemesis", "none",
		"--time-limit", "4s", "--recovery", "2s", "--timeout", "500ms", "--seed", "1", "--store", store).wait(t).
		want(t, exitInvalid, "INVALID  unruly/echo  docker", "the logs of 3 nodes", "message-storm", " under way: want ", " at most; n",
			"answered-twice", "answered a request again that had its answer (request ")
	nothingLeft(t, cli, onlyRun(t, store))
}

// A schedule from the simulator fails in containers too, whoever leads there: it
// cuts off the leader, which is n4 in one election of five.
func TestReplayInContainers(t *testing.T) {
	cli := engine(t)
	program, err := static()
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	schedule := filepath.Join(store, "schedule.jsonl")
	lines := `{"schedule":1,"run":{"target":"raft","bug":"ack-before-commit","seed":5,"nodes":5,"schedule":true,"end":2500000000,"reigns":[{"from":1000000000,"leaders":["n4"]}]}}
{"time":"1.1s","process":"nemesis/partition","f":"inject","value":{"id":"cut","kind":"partition","targets":["n4"],"params":{"drop":{"n1":["n4"],"n2":["n4"],"n3":["n4"],"n4":["n1","n2","n3","n5"],"n5":["n4"]}}}}
{"time":"1.6s","process":0,"f":"write","value":610,"key":"k1","node":"n4"}
{"time":"1.61s","process":1,"f":"read","key":"k1","node":"n1"}
`
	if err := os.WriteFile(schedule, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	got := do(t, "replay", schedule, "--world", "docker", "--binary", program, "--store", store)
	if got.code != exitInvalid || !strings.Contains(got.out, "stale-read key k1") {
		t.Errorf("want an invalid run: exit %d\n%s", got.code, got)
	}
	dirs, _ := filepath.Glob(filepath.Join(store, "*-raft-docker-5"))
	if len(dirs) != 1 {
		t.Fatalf("the store has %v: want one run", dirs)
	}
	nothingLeft(t, cli, dirs[0])
}

// A client that spoke to a restarted node in the simulator, where it starts at
// once, speaks to one that answers in containers too.
func TestReplayInContainersWaitsForCures(t *testing.T) {
	cli := engine(t)
	program, err := static()
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	schedule := filepath.Join(store, "schedule.jsonl")
	lines := `{"schedule":1,"run":{"target":"primary","seed":6,"nodes":3,"schedule":true,"end":700000000,"done":[{"f":"cure","fault":"k","at":600000000}]}}
{"time":"300ms","process":"nemesis/kill","f":"inject","value":{"id":"k","kind":"kill","targets":["n2"]}}
{"time":"600ms","process":"nemesis/kill","f":"cure","value":{"id":"k","kind":"kill"}}
{"time":"601ms","process":0,"f":"read","key":"k1","node":"n2"}
`
	if err := os.WriteFile(schedule, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	got := do(t, "replay", schedule, "--world", "docker", "--binary", program, "--store", store)
	dirs, _ := filepath.Glob(filepath.Join(store, "*-primary-docker-6"))
	if len(dirs) != 1 {
		t.Fatalf("the store has %v: want one run\n%s", dirs, got)
	}
	nothingLeft(t, cli, dirs[0])
	history := read(t, dirs[0], "history.jsonl")
	if !strings.Contains(history, `"type":"ok","f":"read"`) {
		t.Errorf("the read is not answered: exit %d\n%s\n%s", got.code, got, history)
	}
}

// proxy is a second address of the engine, which can go away.
type proxy struct {
	path     string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	gone     bool
}

func newProxy(t *testing.T, host string) *proxy {
	t.Helper()
	scheme, address, _ := strings.Cut(host, "://")
	dir, err := os.MkdirTemp("", "torture") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &proxy{path: filepath.Join(dir, "docker.sock")}
	if p.listener, err = net.Listen("unix", p.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	go func() {
		for {
			near, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.join(near, scheme, address)
		}
	}()
	return p
}

// join carries what comes from near to the engine, and back.
func (p *proxy) join(near net.Conn, scheme, address string) {
	far, err := net.DialTimeout(scheme, address, 10*time.Second)
	if err != nil {
		near.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, near, far)
	if p.gone {
		near.Close()
		far.Close()
		return
	}
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	go carry(far, near)
	go carry(near, far)
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	for _, c := range p.conns {
		c.Close()
	}
}
