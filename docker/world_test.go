package docker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"go.uber.org/zap/zaptest"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
	"github.com/torture-harness/torture/run"
)

var _ run.World = (*World)(nil)

var withEngine = flag.Bool("docker", os.Getenv("TORTURE_DOCKER") == "1", "run the tests that need a docker engine")

// runPrefix begins the ids of these tests' runs.
var runPrefix = fmt.Sprintf("test-%d-", os.Getpid())

// needsEngine skips a test that cannot run here, and says why.
func needsEngine(t testing.TB) {
	t.Helper()
	if !*withEngine {
		t.Skip("needs a docker engine: go test ./docker -docker, or TORTURE_DOCKER=1")
	}
	if _, err := Available(t.Context()); err != nil {
		t.Fatal(err) // who asks for these tests wants to know
	}
}

// testnode builds the small torture of internal/testnode, once.
var testnode = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "torture-testnode-*")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "testnode")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./internal/testnode")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// built is the directory that testnode made, or "".
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv("TORTURE_TEST_ABANDON"); dir != "" {
		abandon(dir)
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// config describes a cluster of n nodes for a test.
func config(t testing.TB, n int) Config {
	t.Helper()
	needsEngine(t)
	binary, err := testnode()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		RunID: runPrefix + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()), Dir: t.TempDir(),
		Target: "register", Binary: binary, Primary: "leader", Leave: "leave", Join: "join", Members: "members", Log: zaptest.NewLogger(t),
	}
	for i := range n {
		cfg.Nodes = append(cfg.Nodes, fmt.Sprintf("n%d", i+1))
	}
	return cfg
}

// start starts a cluster that ends with the test, and leaves nothing.
func start(t testing.TB, cfg Config) *driver {
	t.Helper()
	w, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		leftovers(t, cfg.RunID)
	})
	return &driver{t: t, w: w}
}

// leftovers fails the test if anything of the run is on the engine.
func leftovers(t testing.TB, runID string) {
	t.Helper()
	for _, what := range []string{"container ls -a", "network ls", "volume ls"} {
		args := append(strings.Fields(what), "-q", "--filter", "label="+labelRun+"="+runID)
		out, err := exec.Command("docker", args...).CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return
		}
		if err != nil || len(out) > 0 {
			t.Errorf("docker %s: %s %v, want nothing", what, out, err)
		}
	}
}

// driver drives a world as the loop does, and keeps what it is told.
type driver struct {
	t       testing.TB
	w       *World
	history []histories.Op
	process histories.Process
}

// at makes a later part of a test report to its own t.
func (d *driver) at(t testing.TB) *driver {
	d.t = t
	return d
}

// next waits for the first op, among those not looked at, that match says.
func (d *driver) next(from int, what string, match func(histories.Op) bool) histories.Op {
	d.t.Helper()
	deadline := d.w.Now().Add(40 * time.Second)
	for i := from; ; i++ {
		for i >= len(d.history) {
			op, ok, err := d.w.Wait(d.t.Context(), deadline)
			if err != nil {
				d.t.Fatalf("waiting for %s: %v", what, err)
			}
			if !ok {
				d.t.Fatalf("no %s came", what)
			}
			d.history = append(d.history, op)
		}
		if match(d.history[i]) {
			return d.history[i]
		}
	}
}

// do performs one operation of a fresh client.
func (d *driver) do(node, f string, value any) histories.Op {
	d.t.Helper()
	d.process++
	op := histories.Op{Process: d.process, Type: histories.Invoke, F: f, Value: histories.Encode(value), Node: node}
	d.w.Stamp(&op)
	from := len(d.history)
	d.w.Invoke(op)
	done := d.next(from, "completion of "+f, func(o histories.Op) bool { return o.Process == op.Process })
	if done.Lamport <= op.Lamport || done.F != f {
		d.t.Errorf("%s: completion %+v does not come after invocation %+v", f, done, op)
	}
	return done
}

// nemesis performs an operation of a nemesis, and returns its evidence.
func (d *driver) nemesis(op histories.Op) (nemesis.Evidence, histories.Op) {
	d.t.Helper()
	from := len(d.history)
	d.w.Stamp(&op)
	d.w.Invoke(op)
	done := d.next(from, "completion of "+op.F, func(o histories.Op) bool { return o.Process == op.Process && o.F == op.F })
	var e nemesis.Evidence
	if done.Type != histories.Fail {
		var err error
		if e, err = histories.Decode[nemesis.Evidence](done); err != nil {
			d.t.Fatal(err)
		}
	}
	return e, done
}

// inject and cure want to see the fault in force, and over.
func (d *driver) inject(f nemesis.Fault) nemesis.Evidence {
	d.t.Helper()
	e, done := d.nemesis(nemesis.InjectOp(f))
	if !e.Verified || done.Type != histories.OK {
		d.t.Errorf("inject %s: %s %s: %+v", f.ID, done.Type, done.Error, e)
	}
	return e
}

func (d *driver) cure(f nemesis.Fault) nemesis.Evidence {
	d.t.Helper()
	e, done := d.nemesis(nemesis.CureOp(f))
	if !e.Verified || done.Type != histories.OK {
		d.t.Errorf("cure %s: %s %s: %+v", f.ID, done.Type, done.Error, e)
	}
	return e
}

// record waits for a record that came since from.
func (d *driver) record(from int, process, f string) histories.Op {
	d.t.Helper()
	return d.next(from, process+"'s "+f, func(o histories.Op) bool { return o.Process.String() == process && o.F == f })
}

// abandon is a harness that starts a cluster and waits for its death.
func abandon(dir string) {
	w, err := New(context.Background(), Config{
		RunID: os.Getenv("TORTURE_TEST_RUN"), Dir: dir, Nodes: []string{"n1", "n2"},
		Target: "register", Binary: os.Getenv("TORTURE_TEST_BINARY"),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	_ = w
	fmt.Println("up")
	select {}
}

// A container that somebody made of our image has its labels, and is not ours.
func TestOthersAreLeftAlone(t *testing.T) {
	d := start(t, config(t, 1))
	foreign, err := d.w.cli.ContainerCreate(t.Context(), &container.Config{Image: d.w.image, Cmd: []string{"help"}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.w.cli.ContainerRemove(context.Background(), foreign.ID, container.RemoveOptions{}); err != nil {
			t.Error(err)
		}
	}()
	found, err := d.w.cli.ContainerList(t.Context(), container.ListOptions{All: true, Filters: ours("")})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, c := range found {
		ids[c.ID] = true
	}
	m := d.w.members[0]
	if ids[foreign.ID] || !ids[m.nodeID] || !ids[m.agentID] {
		t.Errorf("clean would remove %v: want %s and %s, and not %s", ids, m.nodeID, m.agentID, foreign.ID)
	}
}
