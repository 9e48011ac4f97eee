package docker

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

// An agent that says yes and does nothing is found out by what is seen at the
// victims.
func TestLiar(t *testing.T) {
	cfg := config(t, 3)
	cfg.Sabotage = Liar
	d := start(t, cfg)
	lie := func(f nemesis.Fault) {
		t.Helper()
		if e, done := d.nemesis(nemesis.InjectOp(f)); e.Verified || done.Type != histories.Info {
			t.Errorf("inject %s with an agent that lies: %s: %+v", f.ID, done.Type, e)
		}
	}
	for _, f := range oneOfEach {
		switch f.Kind {
		case nemesis.Loss, nemesis.Delay, nemesis.Duplicate, nemesis.Reorder, nemesis.Bandwidth, nemesis.Client:
			lie(f)
		case nemesis.Partition:
			lie(f)
			d.nemesis(nemesis.CureOp(f)) // or else there were no link to see the others on
		}
	}
}

// An agent without its capability says so.
func TestPowerless(t *testing.T) {
	cfg := config(t, 3)
	cfg.Sabotage = Powerless
	d := start(t, cfg)
	for _, f := range oneOfEach {
		if f.Kind != nemesis.Partition && f.Kind != nemesis.Delay {
			continue
		}
		e, done := d.nemesis(nemesis.InjectOp(f))
		if e.Verified || done.Type != histories.Info || !strings.Contains(done.Error, "not permitted") {
			t.Errorf("inject %s without NET_ADMIN: %s %s: %+v", f.ID, done.Type, done.Error, e)
		}
	}
}

// Doctor tells what works here, and what would not without the capability.
func TestDoctor(t *testing.T) {
	cfg := config(t, 1)
	for _, cfg.Sabotage = range []Sabotage{"", Powerless} {
		found, err := doctor(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []nemesis.Kind
		for _, c := range found {
			kinds = append(kinds, c.Kind)
			_, needy := needs[c.Kind]
			if want := cfg.Sabotage == "" || !needy; c.OK != want || !c.OK && c.Reason == "" {
				t.Errorf("sabotage %q: %+v, want %v", cfg.Sabotage, c, want)
			}
		}
		if len(kinds) != len(nemesis.Kinds) {
			t.Errorf("doctor tells of %v only", kinds)
		}
	}
}

// A node that does not answer is an error that says where to look.
func TestAbsent(t *testing.T) {
	cfg := config(t, 1)
	cfg.Target = "absent"
	w, err := New(t.Context(), cfg)
	if err == nil {
		w.Close()
		t.Fatal("a cluster of nodes that do not start is up")
	}
	if !strings.Contains(err.Error(), "node n1") || !strings.Contains(err.Error(), filepath.Join("n1", "log")) {
		t.Errorf("error %v, want node and log", err)
	}
	if log := read(t, cfg, "n1", "log"); !strings.Contains(log, "target absent does not start") {
		t.Errorf("log of n1: %q, want its last words", log)
	}
	leftovers(t, cfg.RunID)
}

// Nodes that answer nothing: every operation times out, and nothing is taken
// for a success.
func TestMute(t *testing.T) {
	cfg := config(t, 1)
	cfg.Options.Bug, cfg.Timeout = "mute", 100*time.Millisecond
	d := start(t, cfg)
	for _, f := range []string{"read", "write"} {
		if op := d.do("n1", f, 1); op.Type != histories.Info {
			t.Errorf("%s of a mute node: %+v", f, op)
		}
	}
	if e, done := d.nemesis(nemesis.InjectOp(on(nemesis.Membership, "m", "n1"))); e.Verified || done.Type != histories.Info {
		t.Errorf("membership of a mute group: %+v %+v", done, e)
	}
}

// A cure does not wait for an injection that takes its time: here a node that
// does not end when it is asked to, and is given an hour.
func TestCureFirst(t *testing.T) {
	defer func(d time.Duration) { stopGrace = d }(stopGrace)
	stopGrace = time.Hour
	cfg := config(t, 1)
	cfg.Target = "stubborn"
	d := start(t, cfg)
	f := on(nemesis.Stop, "s", "n1")
	d.w.Invoke(nemesis.InjectOp(f))
	d.cure(f)
	if op := d.do("n1", "read", nil); op.Type != histories.OK {
		t.Errorf("read after the cure: %+v", op)
	}
}

// When an agent dies nobody can cure its node: the world ends, and says why.
func TestAgentDies(t *testing.T) {
	d := start(t, config(t, 1))
	if err := d.w.cli.ContainerKill(t.Context(), d.w.byName["n1"].agentID, "KILL"); err != nil {
		t.Fatal(err)
	}
	_, _, err := d.w.Wait(t.Context(), d.w.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "the agent of n1 was ended from outside, with exit code 137") {
		t.Errorf("error %v, want that the agent of n1 ended", err)
	}
}

// When the engine is gone in the middle, the error names it.
func TestEngineGone(t *testing.T) {
	cfg := config(t, 1)
	cli, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	p := newProxy(t, cli)
	before := os.Getenv("DOCKER_HOST")
	t.Setenv("DOCKER_HOST", "unix://"+p.path)
	w, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	_, _, err = w.Wait(t.Context(), w.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "docker engine at unix://"+p.path+" is gone") {
		t.Errorf("error %v, want that the engine is gone", err)
	}
	if err := w.Close(); err == nil {
		t.Error("Close removed everything without an engine")
	}
	// The engine comes back, and torture clean with it.
	os.Setenv("DOCKER_HOST", before)
	if _, err := remove(t.Context(), cli, cfg.RunID, true); err != nil {
		t.Error(err)
	}
	leftovers(t, cfg.RunID)
}

// proxy is a second address of the engine, which can go away.
type proxy struct {
	path     string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
}

func newProxy(t *testing.T, cli *client.Client) *proxy {
	t.Helper()
	scheme, address, _ := strings.Cut(cli.DaemonHost(), "://")
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
			far, err := net.Dial(scheme, address)
			if err != nil {
				near.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, near, far)
			p.mu.Unlock()
			go func() { io.Copy(far, near); far.(interface{ CloseWrite() error }).CloseWrite() }()
			go func() { io.Copy(near, far); near.(interface{ CloseWrite() error }).CloseWrite() }()
		}
	}()
	return p
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// No engine at all is said plainly.
func TestNoEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	_, err := Available(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no docker engine answers at unix:///nonexistent/docker.sock") {
		t.Errorf("Available: %v", err)
	}
	_, again := New(t.Context(), Config{RunID: "none", Dir: t.TempDir(), Nodes: []string{"n1"}})
	if again == nil || again.Error() != err.Error() {
		t.Errorf("New: %v, want %v", again, err)
	}
	if _, again = Clean(t.Context()); again == nil || again.Error() != err.Error() {
		t.Errorf("Clean: %v, want %v", again, err)
	}
}

// A harness that is killed leaves its cluster; cleaning removes that and
// nothing else.
func TestAbandoned(t *testing.T) {
	cfg := config(t, 2)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "TORTURE_TEST_ABANDON="+cfg.Dir, "TORTURE_TEST_RUN="+cfg.RunID, "TORTURE_TEST_BINARY="+cfg.Binary)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "up\n" {
		t.Errorf("the harness says %q, %v", line, err)
	}
	// It keeps what it has seen, which comes a moment after the node is up.
	eventually(t, "records arrive", func() bool { return strings.Contains(read(t, cfg, "n1", "records.jsonl"), `"started"`) })
	cmd.Process.Kill()
	cmd.Wait()

	cli, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	defer cli.Close()
	image, err := cli.ContainerInspect(t.Context(), containerName(cfg, "n1"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := cli.ContainerCreate(t.Context(), &container.Config{Image: image.Image, Labels: map[string]string{"torture-like": "1"}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer cli.ContainerRemove(context.Background(), stranger.ID, container.RemoveOptions{Force: true})
	r, err := remove(t.Context(), cli, cfg.RunID, true)
	if err != nil || len(r.Containers) != 4 || len(r.Networks) != 1 || len(r.Volumes) != 2 {
		t.Errorf("removed %+v, %v; want 4 containers, a network, 2 volumes", r, err)
	}
	leftovers(t, cfg.RunID)
	if _, err := cli.ContainerInspect(t.Context(), stranger.ID); err != nil {
		t.Errorf("a stranger's container: %v", err)
	}
	if records := read(t, cfg, "n1", "records.jsonl"); !strings.Contains(records, `"started"`) {
		t.Errorf("records of n1 after the harness was killed: %q", records)
	}
}

func containerName(cfg Config, parts ...string) string {
	w := &World{cfg: cfg}
	return w.name(parts...)
}
