package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

// childEnv, if set, makes the test program a node with its files there.
const childEnv = "TORTURE_HOST_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(childMain(dir))
	}
	os.Exit(m.Run())
}

func childMain(dir string) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("http://" + ln.Addr().String())
	err = Run(context.Background(), Config{ID: "n1", Peers: []node.ID{"n1"}, PeerAddr: "127.0.0.1:0", HTTPListener: ln,
		Dir: dir, New: newToy, Messages: toyMessages, NoFsync: true, CompactMin: 4000})
	fmt.Fprintln(os.Stderr, err)
	return ExitCode(err)
}

// child is a node in a process of its own.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
}

func spawn(t *testing.T, dir string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the child said nothing: %v", err)
	}
	return &child{t, cmd, strings.TrimSpace(url)}
}

// hammer has the node count until it dies, and returns the last count it
// acknowledged, synced or not, and the last that it acknowledged as synced.
func (c *child) hammer(synced func(i int) bool) (last, durable int) {
	for i := 0; ; i++ {
		f := "write"
		if synced(i) {
			f = "sync"
		}
		var r struct{ Value int }
		if _, err := try(http.DefaultClient, c.url, "POST", "/op", `{"f":"`+f+`"}`, &r); err != nil {
			return last, durable
		}
		if last = r.Value; f == "sync" {
			durable = last
		}
	}
}

// TestKill kills a node at random moments, also while it compacts its file:
// what it acknowledged is there in the next life, synced or not, and it has
// recorded what it did.
func TestKill(t *testing.T) {
	tries := 12
	if testing.Short() {
		tries = 3
	}
	dir := t.TempDir()
	written := 0 // in all lives so far
	for life := 1; life <= tries; life++ {
		c := spawn(t, dir)
		n, keys := c.count()
		if n < written {
			t.Fatalf("life %d: the count is %d, but %d had been acknowledged", life, n, written)
		}
		want := min(n, seenMax)
		if len(keys) != want || want > 0 && (keys[0] != seen(n-want+1) || keys[want-1] != seen(n)) {
			t.Fatalf("life %d: at count %d there are the keys %q", life, n, keys)
		}
		recorded := wrote(t, dir)
		if len(recorded) != n && len(recorded) != n-1 { // it dies between write and record, too
			t.Fatalf("life %d: the count is %d, and %d counts are recorded", life, n, len(recorded))
		}
		for i, v := range recorded {
			if v != i+1 {
				t.Fatalf("life %d: record %d is of count %d", life, i+1, v)
			}
		}
		if n != len(recorded) { // so that the next life's records go on from there
			must(t, appendFile(filepath.Join(dir, "records.jsonl"), fmt.Sprintf(`{"lamport":1,"f":"wrote","value":%d}`+"\n", n)))
		}
		time.AfterFunc(rand.N(60*time.Millisecond), func() { c.cmd.Process.Kill() })
		written, _ = c.hammer(func(i int) bool { return i%7 == 0 })
		written = max(written, n)
		c.cmd.Wait()
	}
	if written == 0 {
		t.Error("nothing was ever written")
	}
	if life, err := os.ReadFile(filepath.Join(dir, "life")); err != nil || string(life) != fmt.Sprintln(tries) {
		t.Errorf("the life is %q (%v), want %d", life, err, tries)
	}
}

// count is the node's count and the keys that it has seen.
func (c *child) count() (int, []string) {
	c.t.Helper()
	var r struct {
		Value int
		Key   []string
	}
	if _, err := try(http.DefaultClient, c.url, "POST", "/op", `{"f":"read"}`, &r); err != nil {
		c.t.Fatal(err)
	}
	return r.Value, r.Key
}

// wrote is the values of the records "wrote", whose Lamport times must grow.
func wrote(t *testing.T, dir string) (values []int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "records.jsonl"))
	must(t, err)
	for line := range bytes.Lines(b) {
		var r struct {
			F     string
			Value json.RawMessage
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
		if r.F == "wrote" {
			var n int
			must(t, json.Unmarshal(r.Value, &n))
			values = append(values, n)
		}
	}
	return values
}

func appendFile(path, s string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(s)
	return err
}

// TestPower takes the power away, by request and by file: what was synced is
// there in the next life; of what was not, some is lost some time, and some is
// kept some time.
func TestPower(t *testing.T) {
	for _, way := range []string{"request", "file"} {
		t.Run(way, func(t *testing.T) {
			n1 := newCluster(t, 1, nil).nodes["n1"]
			lost, kept := 0, 0
			for try := 1; lost == 0 || kept == 0; try++ {
				if try > 60 {
					t.Fatalf("in 60 power losses %d unsynced writes were lost and %d kept", lost, kept)
				}
				n1.op(`{"f":"write"}`)
				var durable, last int
				must(t, json.Unmarshal(n1.op(`{"f":"sync"}`).Value, &durable))
				for range 3 {
					must(t, json.Unmarshal(n1.op(`{"f":"write"}`).Value, &last))
				}
				var l loss
				if way == "request" {
					n1.do("POST", "/power", "", &l)
					<-n1.done
					wantErr(t, n1.err, ErrPowerLost)
				} else {
					must(t, n1.end())
					must(t, os.WriteFile(filepath.Join(n1.cfg.Dir, "power"), nil, 0o644))
				}
				n1 = n1.restart()
				var n int
				must(t, json.Unmarshal(n1.op(`{"f":"read"}`).Value, &n))
				if n < durable || n > last {
					t.Fatalf("after a power loss the count is %d: %d was synced, %d written", n, durable, last)
				}
				if way == "request" && (l.Kept != n-durable || l.Lost != last-n) {
					t.Fatalf("the loss was reported as %+v: %d was synced, %d written, %d are left", l, durable, last, n)
				}
				lost, kept = lost+last-n, kept+n-durable
				if _, err := os.Stat(filepath.Join(n1.cfg.Dir, "power")); !os.IsNotExist(err) {
					t.Fatalf("the file power is still there: %v", err)
				}
			}
		})
	}
}

// TestPowerOfProcess: a process that loses power dies as if killed, and its
// client does not get an answer that it cannot have.
func TestPowerOfProcess(t *testing.T) {
	dir := t.TempDir()
	c := spawn(t, dir)
	silent := make(chan error)
	go func() {
		_, err := try(http.DefaultClient, c.url, "POST", "/op", `{"f":"silent"}`, nil)
		silent <- err
	}()
	eventually(t, "request", func() bool {
		var h health
		_, err := try(http.DefaultClient, c.url, "GET", "/health", "", &h)
		return err == nil && h.Counters["requests"] == 1
	})
	if status, err := try(http.DefaultClient, c.url, "POST", "/power", "", nil); err != nil || status != 200 {
		t.Fatalf("power: %d, %v", status, err)
	}
	if err := <-silent; err == nil {
		t.Error("a request without an answer was answered")
	}
	if c.cmd.Wait(); c.cmd.ProcessState.ExitCode() != 137 {
		t.Errorf("exit code %d, want 137", c.cmd.ProcessState.ExitCode())
	}
}

// TestPowerTooLate: a node that ended otherwise does not say that it lost power:
// its unsynced writes are all there.
func TestPowerTooLate(t *testing.T) {
	cfg := Config{ID: "n1", Peers: []node.ID{"n1"}, PeerAddr: "x", HTTPAddr: "x", Dir: t.TempDir(), New: newToy, Messages: toyMessages, NoFsync: true}
	must(t, cfg.complete())
	h, err := open(cfg)
	must(t, err)
	h.halt(orderStop)
	must(t, h.loop())
	must(t, h.close())
	close(h.dead) // and the server still takes requests
	w := httptest.NewRecorder()
	h.postPower(w, nil)
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "ended before") {
		t.Errorf("got %d %s, want 409", w.Code, w.Body)
	}
}

// TestOrder performs random effects and looks into the files after each: they
// hold a prefix of the writes and records, in their order, and all of them
// before somebody is told.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{ID: "n1", Peers: []node.ID{"n1"}, PeerAddr: "x", HTTPAddr: "x", Dir: dir, New: newToy, Messages: toyMessages, NoFsync: true}
	must(t, cfg.complete())
	h, err := open(cfg)
	must(t, err)
	defer h.close()
	var done []node.EffectKind // Write and Record, as asked for
	for i := range 2000 {
		f := []node.Effect{
			{Kind: node.Write, Changes: []node.Change{node.Put("k", i)}},
			{Kind: node.Record, Name: "r", Value: json.RawMessage("1")},
			{Kind: node.Answer, Req: 1},
			{Kind: node.Send, To: "n1", Body: toyMessages.Append(nil, ack{})},
			{Kind: node.Sync},
		}[rand.IntN(5)]
		h.calls[1] = &call{answer: make(chan answer, 1)} // who is answered, if it is an answer
		must(t, h.perform(&f))
		if f.Kind == node.Write || f.Kind == node.Record {
			done = append(done, f.Kind)
		}
		writes, records := inFiles(t, dir)
		for _, k := range done {
			if k == node.Write && writes > 0 {
				writes--
			} else if k == node.Record && records > 0 {
				records--
			} else if writes > 0 || records > 0 {
				t.Fatalf("effect %d: %d writes and %d records are in the files before one that comes first", i, writes, records)
			} else {
				break
			}
		}
		if f.Kind == node.Answer || f.Kind == node.Send || f.Kind == node.Sync {
			writes, records = inFiles(t, dir)
			if writes+records != len(done) {
				t.Fatalf("effect %d shows while %d of %d effects before are in the files", i, writes+records, len(done))
			}
		}
		if len(done) > 50 { // begin anew: reading the files takes time
			must(t, h.flush())
			must(t, os.Truncate(h.disk.path, int64(len(logHeader))))
			h.disk.size = int64(len(logHeader))
			must(t, os.Truncate(filepath.Join(dir, "records.jsonl"), 0))
			done = nil
		}
	}
}

// TestDiskFails: a write or an fsync that fails ends the node, and nothing after
// it happens.
func TestDiskFails(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	must(t, err)
	must(t, file.Close())
	r, pipe, err := os.Pipe() // takes writes, but no fsync
	must(t, err)
	defer r.Close()
	defer pipe.Close()
	for i, tt := range []struct {
		file *os.File
		then func(*node.Env)
		want string
	}{
		{pipe, func(env *node.Env) { env.Sync() }, "sync"},
		{file, func(env *node.Env) { env.Sync() }, "write"},
		{file, func(env *node.Env) { env.Reply(node.Request{ID: 1}, nil) }, "write"},
		{file, func(env *node.Env) { env.Send("n1", ack{}) }, "write"},
		{file, func(env *node.Env) { env.Record("r", 1) }, "write"},
		{file, func(*node.Env) {}, "write"}, // at the end of the step
	} {
		cfg := Config{ID: "n1", Peers: []node.ID{"n1"}, PeerAddr: "x", HTTPAddr: "x", Dir: t.TempDir(), New: newToy, Messages: toyMessages}
		must(t, cfg.complete())
		h, err := open(cfg)
		must(t, err)
		must(t, h.disk.file.Close())
		h.disk.file = tt.file
		c := &call{answer: make(chan answer, 1)}
		h.calls[1] = c
		err = h.step(func() {
			h.env.Write("k", 1)
			tt.then(h.env)
			h.env.Record("after", 1)
			h.env.Reply(node.Request{ID: 1}, nil)
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d: got error %v, want %s", i, err, tt.want)
		}
		_, records := inFiles(t, cfg.Dir)
		if _, told := h.inbox.take(); told || len(c.answer) > 0 || records > 0 {
			t.Errorf("%d: then the node answered %d times, recorded %d, sent a message: %v", i, len(c.answer), records, told)
		}
		h.disk = nil
		must(t, h.close())
	}
}

// TestHalfStep orders an end while the node is in a step: a stop lets it perform
// its effects, a power loss does not, and takes it between two of them.
func TestHalfStep(t *testing.T) {
	for _, tt := range []struct {
		order uint32
		want  int // effects performed
	}{{orderStop, 3}, {orderPower, 0}} {
		cfg := Config{ID: "n1", Peers: []node.ID{"n1"}, PeerAddr: "x", HTTPAddr: "x", Dir: t.TempDir(), New: newToy, Messages: toyMessages, NoFsync: true}
		must(t, cfg.complete())
		h, err := open(cfg)
		must(t, err)
		err = h.step(func() {
			h.env.Write("k", 1)
			h.env.Record("r", 1)
			h.env.Write("k", 2)
			h.halt(tt.order)
			h.halt(orderStop) // does not take back what is more urgent
		})
		if (err == nil) != (tt.want > 0) {
			t.Errorf("order %d: the step ended with %v", tt.order, err)
		}
		if writes, records := inFiles(t, cfg.Dir); writes+records != tt.want {
			t.Errorf("order %d: %d writes and %d records were performed, want %d in all", tt.order, writes, records, tt.want)
		}
		must(t, h.close())
	}
}

func inFiles(t *testing.T, dir string) (writes, records int) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(dir, "disk.log"))
	must(t, err)
	_, err = scanLog(log, func([]node.Change) { writes++ })
	must(t, err)
	lines, err := os.ReadFile(filepath.Join(dir, "records.jsonl"))
	must(t, err)
	own := bytes.Count(lines, []byte(`"f":"sent","value":{"messages":`)) // the host's, of many sends
	return writes, bytes.Count(lines, []byte("\n")) - own
}

// TestTornRecord: a line that a SIGKILL left without its end is cut off, and
// Lamport times go on from the line before.
func TestTornRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "records.jsonl")
	for _, long := range []int{1, 5000, 100_000} { // more than is read at once
		whole := fmt.Sprintf(`{"lamport":77,"f":"x","value":"%s"}`+"\n", strings.Repeat("y", long))
		for _, tail := range []string{"", `{`, whole[:len(whole)-1]} {
			for _, head := range []string{"", whole, "{\"lamport\":5}\n" + whole} {
				must(t, os.WriteFile(path, []byte(head+tail), 0o644))
				r, last, err := openRecords(path)
				must(t, err)
				r.add(78, "y", nil)
				must(t, r.flush())
				must(t, r.close(nil))
				got, err := os.ReadFile(path)
				must(t, err)
				if want := head + `{"lamport":78,"f":"y","value":null}` + "\n"; string(got) != want || r.size.Load() != int64(len(want)) {
					t.Fatalf("%q + %.20q: the file is %q", head, tail, got)
				}
				if want := uint64(min(len(head), 1) * 77); last != want {
					t.Fatalf("%q: the last Lamport time is %d, want %d", head, last, want)
				}
			}
		}
	}
	must(t, os.WriteFile(path, []byte("nonsense\n"), 0o644))
	if _, _, err := openRecords(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a corrupt records file: got error %v", err)
	}
}

func TestPanics(t *testing.T) {
	tests := []struct{ how, want string }{
		{`{"f":"panic"}`, "boom"},
		{`{"f":"tell","value":{"To":"n1","What":"bomb"}}`, "bombed"},
		{`{"f":"tell","value":{"To":"n2","What":"mine"}}`, "decoder went off"},
	}
	for _, tt := range tests {
		c := newCluster(t, 2, nil)
		c.linked()
		victim := c.nodes["n1"]
		if strings.Contains(tt.how, "n2") {
			victim = c.nodes["n2"]
		}
		c.nodes["n1"].try("POST", "/op", tt.how, nil) // it may die before it answers
		<-victim.done
		wantErr(t, victim.err, ErrPanic)
		if ExitCode(victim.err) != 134 {
			t.Errorf("exit code %d, want 134", ExitCode(victim.err))
		}
		b, err := os.ReadFile(filepath.Join(victim.cfg.Dir, "records.jsonl"))
		must(t, err)
		lines := slices.Collect(strings.Lines(string(b)))
		var r struct {
			F     string
			Value node.Panic
		}
		must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &r))
		if r.F != "panic" || !strings.Contains(r.Value.Error, tt.want) || !strings.Contains(strings.Join(r.Value.Stack, "\n"), "(host/toy_test.go:") {
			t.Errorf("%s: the last record is %+v", tt.how, r)
		}
	}
}

// TestStop: a node that is stopped has performed its effects and says nothing
// of what it has not answered.
func TestStop(t *testing.T) {
	c := newCluster(t, 1, nil)
	n1 := c.nodes["n1"]
	n1.op(`{"f":"write"}`)
	silent := make(chan error)
	go func() {
		_, err := n1.try("POST", "/op", `{"f":"silent"}`, nil)
		silent <- err
	}()
	eventually(t, "request", func() bool {
		var h health
		n1.do("GET", "/health", "", &h)
		return h.Counters["requests"] == 2
	})
	n1.do("POST", "/stop", "", nil)
	if <-n1.done; n1.err != nil {
		t.Error(n1.err)
	}
	if err := <-silent; err == nil {
		t.Error("a request without an answer was answered")
	}
	if r := n1.restart().op(`{"f":"read"}`); string(r.Value) != "1" {
		t.Errorf("after a stop the count is %s, want 1", r.Value)
	}
}

func TestBootErrors(t *testing.T) {
	c := newCluster(t, 1, nil)
	n1 := c.nodes["n1"]
	n1.op(`{"f":"read"}`)
	again := n1.cfg
	again.PeerListener, again.HTTPListener = nil, nil
	again.PeerAddr, again.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
	if err := Run(t.Context(), again); err == nil || !strings.Contains(err.Error(), "is another process running this node?") {
		t.Errorf("two processes on one directory: got error %v", err)
	}
	must(t, n1.end())
	again.HTTPAddr = listenLocal(t, "127.0.0.1:0").Addr().String()
	if err := Run(t.Context(), again); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port that is taken: got error %v", err)
	}
	again.HTTPAddr = "127.0.0.1:0"
	for name, content := range map[string]string{"disk.log": "something else", "life": "x", "clock.json": "x", "records.jsonl": "x\n"} {
		path := filepath.Join(again.Dir, name)
		before, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		must(t, os.WriteFile(path, []byte(content), 0o644))
		if err := Run(t.Context(), again); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("corrupt %s: got error %v", name, err)
		}
		if must(t, os.Remove(path)); before != nil {
			must(t, os.WriteFile(path, before, 0o644))
		}
	}
	again.PeerListener, again.HTTPListener = listenLocal(t, "127.0.0.1:0"), listenLocal(t, "127.0.0.1:0")
	again.Dir = filepath.Join(again.Dir, "life") // a file
	if err := Run(t.Context(), again); err == nil {
		t.Error("a directory that cannot be made: got no error")
	}
	for _, ln := range []net.Listener{again.PeerListener, again.HTTPListener} {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a node that did not boot left the listener %s open", ln.Addr())
		}
	}
	err := Run(t.Context(), Config{ID: "n9", Peers: []node.ID{"n1"}})
	for _, want := range []string{"lack the node itself", `peer "n1" has no address`, "no address to listen at for peers", "for clients", "no data directory", "no node to run"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an empty configuration: got error %v, want %q in it", err, want)
		}
	}
}
