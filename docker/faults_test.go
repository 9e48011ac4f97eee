package docker

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

const ms = nemesis.Duration(time.Millisecond)

// oneOfEach has a fault of every kind, on n2 or between it and the others.
var oneOfEach = []nemesis.Fault{
	{ID: "partition", Kind: nemesis.Partition, Params: nemesis.Params{Drop: map[string][]string{"n1": {"n2"}, "n2": {"n1", "n3"}}}},
	{ID: "kill", Kind: nemesis.Kill, Targets: []string{"n2"}},
	{ID: "stop", Kind: nemesis.Stop, Targets: []string{"n2"}},
	{ID: "power", Kind: nemesis.Power, Targets: []string{"n2"}},
	{ID: "pause", Kind: nemesis.Pause, Targets: []string{"n2"}},
	{ID: "jump", Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "jump", Offset: -2000 * ms}},
	{ID: "strobe", Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "strobe", Offset: 200 * ms, Period: 50 * ms}},
	{ID: "drift", Kind: nemesis.Clock, Targets: []string{"n2"}, Params: nemesis.Params{Shape: "drift", Drift: 0.1}},
	{ID: "loss", Kind: nemesis.Loss, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.3}},
	{ID: "delay", Kind: nemesis.Delay, Targets: []string{"n2"}, Params: nemesis.Params{Delay: 50 * ms, Jitter: 10 * ms}},
	{ID: "duplicate", Kind: nemesis.Duplicate, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.2}},
	{ID: "reorder", Kind: nemesis.Reorder, Targets: []string{"n2"}, Params: nemesis.Params{Probability: 0.3, Delay: 20 * ms}},
	{ID: "bandwidth", Kind: nemesis.Bandwidth, Targets: []string{"n2"}, Params: nemesis.Params{Rate: 100_000}},
	{ID: "client", Kind: nemesis.Client, Targets: []string{"n2"}},
	{ID: "membership", Kind: nemesis.Membership, Targets: []string{"n2"}},
}

// aimed has the faults that can be aimed at one link, here from n3 to n2, and a
// partition that cuts it one way.
var aimed = []nemesis.Fault{
	{ID: "one-way", Kind: nemesis.Partition, Params: nemesis.Params{Drop: map[string][]string{"n2": {"n3"}}}},
	{ID: "loss-link", Kind: nemesis.Loss, Params: nemesis.Params{Probability: 0.3, From: "n3", To: "n2"}},
	{ID: "delay-link", Kind: nemesis.Delay, Params: nemesis.Params{Delay: 50 * ms, From: "n3", To: "n2"}},
	{ID: "duplicate-link", Kind: nemesis.Duplicate, Params: nemesis.Params{Probability: 0.2, From: "n3", To: "n2"}},
	{ID: "reorder-link", Kind: nemesis.Reorder, Params: nemesis.Params{Probability: 0.3, Delay: 20 * ms, From: "n3", To: "n2"}},
	{ID: "bandwidth-link", Kind: nemesis.Bandwidth, Params: nemesis.Params{Rate: 100_000, From: "n3", To: "n2"}},
}

func on(kind nemesis.Kind, id, node string) nemesis.Fault {
	return nemesis.Fault{ID: id, Kind: kind, Targets: []string{node}}
}

// TestCluster is one cluster that goes through all that does not break it.
func TestCluster(t *testing.T) {
	cfg := config(t, 3)
	d := start(t, cfg)
	part := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			d.at(t)
			defer d.at(t)
			f(t)
		})
	}

	part("operations", func(t *testing.T) {
		for _, c := range []struct {
			f      string
			want   histories.Type
			reason string
		}{
			{"write", histories.OK, ""},
			{"read", histories.OK, ""},
			{"refuse", histories.Fail, "refused by the node"},
			{"silence", histories.Info, "timeout"},
		} {
			got := d.do("n1", c.f, 7)
			if got.Type != c.want || got.Error != c.reason || got.Node != "n1" {
				t.Errorf("%s: %+v, want %s %q", c.f, got, c.want, c.reason)
			}
			if c.f == "read" && (string(got.Value) != "7" || string(got.Ext["by"]) != `"n1"`) {
				t.Errorf("read: %s %v, want 7, by n1", got.Value, got.Ext)
			}
		}
	})

	part("control", func(t *testing.T) {
		for _, path := range []string{pathPower, pathClock, "/stop"} {
			resp, err := http.Post("http://"+d.w.Address("n1")+path, "application/json", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("whoever reaches the clients' port gets %s for %s, want 403", resp.Status, path)
			}
		}
	})

	part("roles", func(t *testing.T) {
		d.do("n3", "lead", nil)
		eventually(t, "n3 leads", func() bool { return strings.Join(d.w.Primaries(), " ") == "n3" })
		from := len(d.history)
		d.inject(on(nemesis.Kill, "depose", "n3"))
		if got := d.w.Primaries(); len(got) != 0 {
			t.Errorf("primaries %v while the leader is down", got)
		}
		if op := d.do("n3", "read", nil); op.Type != histories.Fail || op.Error != refused {
			t.Errorf("read of a killed node: %+v, want it refused", op)
		}
		d.cure(on(nemesis.Kill, "depose", "n3"))
		crash, restart, heal := d.record(from, "n3", "crash"), d.record(from, "n3", "restart"), d.record(from, "world", "heal")
		if string(crash.Value) != `{"kind":"kill"}` || string(restart.Value) != `{"life":2}` {
			t.Errorf("crash %s, restart %s", crash.Value, restart.Value)
		}
		if inject := d.next(from, "the injection", func(o histories.Op) bool { return o.F == nemesis.Inject }); inject.Lamport <= crash.Lamport {
			t.Errorf("crash %d, injection complete %d: out of order", crash.Lamport, inject.Lamport)
		}
		if crash.Lamport >= restart.Lamport || restart.Lamport >= heal.Lamport {
			t.Errorf("crash %d, restart %d, heal %d: out of order", crash.Lamport, restart.Lamport, heal.Lamport)
		}
	})

	for _, f := range oneOfEach {
		part(f.ID, func(t *testing.T) {
			from := len(d.history)
			d.inject(f)
			d.cure(f)
			d.record(from, "world", "heal")
		})
	}

	part("exempt", func(t *testing.T) {
		// Everything that disturbs messages at once: clients notice nothing.
		heavy := []nemesis.Fault{
			{ID: "e1", Kind: nemesis.Partition, Params: nemesis.Params{Drop: map[string][]string{"n1": {"n2"}, "n2": {"n1"}}}},
			{ID: "e2", Kind: nemesis.Loss, Targets: cfg.Nodes, Params: nemesis.Params{Probability: 0.9}},
			{ID: "e3", Kind: nemesis.Delay, Targets: cfg.Nodes, Params: nemesis.Params{Delay: 900 * ms}},
			{ID: "e4", Kind: nemesis.Bandwidth, Targets: cfg.Nodes, Params: nemesis.Params{Rate: 500}},
		}
		for _, f := range heavy { // without the evidence, which takes its time under so much of it
			if err := d.w.take(f); err != nil {
				t.Fatal(err)
			}
			if _, err := d.w.enact(t.Context(), f, true); err != nil {
				t.Error(err)
			}
		}
		big := strings.Repeat("x", 20_000) // 40 s at that rate, lost for sure at that loss
		for _, n := range cfg.Nodes {
			for range 5 {
				if op := d.do(n, "write", big); op.Type != histories.OK {
					t.Errorf("write to %s: %s %s", n, op.Type, op.Error)
				}
			}
		}
		if err := d.w.Heal(t.Context()); err != nil {
			t.Error(err)
		}
	})

	part("client", func(t *testing.T) {
		d.inject(on(nemesis.Client, "c", "n1"))
		if op := d.do("n1", "read", nil); op.Type != histories.Info || op.Error != "timeout" {
			t.Errorf("read over a cut: %+v", op)
		}
		if op := d.do("n2", "read", nil); op.Type != histories.OK {
			t.Errorf("read beside a cut: %+v", op)
		}
		d.cure(on(nemesis.Client, "c", "n1"))
		if op := d.do("n1", "read", nil); op.Type != histories.OK {
			t.Errorf("read after the cure: %+v", op)
		}
	})

	part("one way", func(t *testing.T) {
		f := nemesis.Fault{ID: "w", Kind: nemesis.Partition, Params: nemesis.Params{Drop: map[string][]string{"n2": {"n1"}}}}
		d.do("n3", "write", "before")
		eventually(t, "all know", func() bool {
			return string(d.do("n1", "told", nil).Value) == `"before"` && string(d.do("n2", "told", nil).Value) == `"before"`
		})
		d.inject(f)
		d.do("n2", "write", "heard")
		eventually(t, "n1 hears n2", func() bool { return string(d.do("n1", "told", nil).Value) == `"heard"` })
		d.do("n1", "write", "unheard")
		eventually(t, "n3 hears n1", func() bool { return string(d.do("n3", "told", nil).Value) == `"unheard"` })
		if got := d.do("n2", "told", nil); string(got.Value) != `"before"` {
			t.Errorf("n2 heard %s over a cut", got.Value)
		}
		d.cure(f)
	})

	part("one link", func(t *testing.T) {
		for _, f := range aimed {
			d.inject(f)
			for _, link := range [][2]string{{"n1", "n2"}, {"n2", "n3"}, {"n3", "n1"}} {
				same := f
				same.ID, same.Params.Drop = "elsewhere", nil
				if f.Kind == nemesis.Partition {
					same.Params.Drop = map[string][]string{link[1]: {link[0]}}
				} else {
					same.Params.From, same.Params.To = link[0], link[1]
				}
				if e := seen(t, d.w, same, false); !e.Verified {
					t.Errorf("%s is seen from %s to %s as well: %+v", f.ID, link[0], link[1], e)
				}
			}
			d.cure(f)
		}
	})

	part("power", func(t *testing.T) {
		for _, how := range []string{"running", "paused", "down"} {
			d.do("n1", "write", "durable")
			d.do("n1", "sync", nil)
			d.do("n1", "write", "volatile")
			before := on(nemesis.Pause, "before", "n1")
			switch how {
			case "down":
				before.Kind = nemesis.Kill
				fallthrough
			case "paused":
				d.inject(before)
			}
			d.inject(on(nemesis.Power, "p-"+how, "n1"))
			if how != "running" {
				d.cure(before)
			}
			d.cure(on(nemesis.Power, "p-"+how, "n1"))
			got := string(d.do("n1", "read", nil).Value)
			// What is not synced may survive: the host decides by chance.
			if got != `"durable"` && got != `"volatile"` {
				t.Errorf("%s: after a power loss the value is %s", how, got)
			}
			if log := read(t, cfg, "n1", "log"); how != "running" && !strings.Contains(log, "n1 begins") {
				t.Errorf("log of n1: %s", log)
			}
		}
	})

	part("leases", func(t *testing.T) {
		// Two hold n2 down, one holds it still: neither frees it of the others.
		kill, stop, pause := on(nemesis.Kill, "l1", "n2"), on(nemesis.Stop, "l2", "n2"), on(nemesis.Pause, "l3", "n2")
		d.inject(pause)
		d.inject(kill)
		if e, done := d.nemesis(nemesis.InjectOp(stop)); done.Type != histories.Info || e.Verified || len(e.Holders) != 1 || e.Holders[0] != "l1" {
			t.Errorf("a dead node is stopped: %s %+v", done.Type, e)
		}
		if e := d.cure(kill); len(e.Holders) == 0 || len(e.Checks) != 0 {
			t.Errorf("the kill was cured while others held the node: %+v", e)
		}
		if got := d.w.byName["n2"].now(); got != down {
			t.Errorf("n2 is %v while a lease holds it down", got)
		}
		if e := d.cure(stop); len(e.Holders) != 1 || e.Holders[0] != "l3" {
			t.Errorf("stop cured, paused still: %+v", e)
		}
		if got := d.w.byName["n2"].now(); got != paused {
			t.Errorf("n2 is %v while a lease pauses it", got)
		}
		d.cure(pause)
		if op := d.do("n2", "read", nil); op.Type != histories.OK {
			t.Errorf("read after all cures: %+v", op)
		}
	})

	part("clocks survive", func(t *testing.T) {
		jump := on(nemesis.Clock, "cs", "n2")
		jump.Params = nemesis.Params{Shape: "jump", Offset: 5000 * ms}
		kill := on(nemesis.Kill, "csk", "n2")
		d.inject(kill)
		if e, done := d.nemesis(nemesis.InjectOp(jump)); done.Type != histories.Info || e.Verified || len(e.Holders) != 1 {
			t.Errorf("a jump of a dead node's clock: %s %+v", done.Type, e)
		}
		d.cure(kill)
		r, err := d.w.byName["n2"].readClock(t.Context())
		if err != nil || r.offset() != 5*time.Second {
			t.Errorf("clock after the restart: %+v %v", r, err)
		}
		d.cure(jump)
	})

	part("bad faults", func(t *testing.T) {
		bad := on(nemesis.Kill, "b", "n9")
		if _, done := d.nemesis(nemesis.InjectOp(bad)); done.Type != histories.Fail || !strings.Contains(done.Error, "n9") {
			t.Errorf("a fault on nobody: %+v", done)
		}
		if _, done := d.nemesis(nemesis.CureOp(bad)); done.Type != histories.Fail {
			t.Errorf("a cure of nothing: %+v", done)
		}
	})

	part("agent reconnects", func(t *testing.T) {
		l := d.w.byName["n1"].link
		l.mu.Lock()
		l.conn.Close()
		l.mu.Unlock()
		eventually(t, "the agent is there again", func() bool { return d.w.byName["n1"].answers(t.Context(), time.Second) == nil })
		d.do("n1", "write", "after the break")
		eventually(t, "records go on", func() bool { return strings.Contains(read(t, cfg, "n1", "records.jsonl"), "after the break") })
		if err := d.w.ended(); err != nil {
			t.Error(err)
		}
	})

	part("panic", func(t *testing.T) {
		from := len(d.history)
		d.do("n1", "panic", nil)
		if crash := d.record(from, "n1", "crash"); string(crash.Value) != `{"kind":"panic"}` {
			t.Errorf("crash %s, want a panic", crash.Value)
		}
		if op := d.do("n1", "read", nil); op.Type != histories.Fail {
			t.Errorf("read of a node that panicked: %+v", op)
		}
	})

	part("heal", func(t *testing.T) {
		from := len(d.history)
		d.inject(on(nemesis.Pause, "h", "n3"))
		if err := d.w.Heal(t.Context()); err != nil {
			t.Error(err)
		}
		d.record(from, "world", "heal")
		if op := d.do("n3", "read", nil); op.Type != histories.OK {
			t.Errorf("read after Heal: %+v", op)
		}
	})

	if err := d.w.Close(); err != nil {
		t.Error(err)
	}
	for _, n := range cfg.Nodes {
		records := read(t, cfg, n, "records.jsonl")
		if !strings.Contains(records, `"started"`) || !strings.HasSuffix(records, "\n") {
			t.Errorf("records of %s: %s", n, records)
		}
		if _, err := os.Stat(filepath.Join(cfg.Dir, "nodes", n, "disk.log")); err != nil {
			t.Error(err)
		}
	}
	if n := bytes.Count([]byte(read(t, cfg, "n3", "log")), []byte("n3 begins, uid 1000")); n != 2 {
		t.Errorf("the log of n3 tells of %d lives, want 2", n)
	}
}

// A node that is killed keeps what it has written: that is no loss of power.
// Nor is one that had to be killed one that stopped.
func TestDownIsNotAllThatIsSeen(t *testing.T) {
	d := start(t, config(t, 1))
	d.do("n1", "write", "not synced")
	kill := on(nemesis.Kill, "k", "n1")
	d.inject(kill)
	for _, c := range []struct {
		kind nemesis.Kind
		want []bool // of each check
	}{{nemesis.Kill, []bool{true}}, {nemesis.Stop, []bool{false}}, {nemesis.Power, []bool{true, false}}} {
		var got []bool
		checks := d.w.byName["n1"].seeDown(t.Context(), on(c.kind, "x", "n1"), true)
		for _, check := range checks {
			got = append(got, check.OK)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("a killed node, taken for one of %s: %+v", c.kind, checks)
		}
	}
	d.cure(kill)
}

func read(t *testing.T, cfg Config, node, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(cfg.Dir, "nodes", node, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits until ok, for as long as a busy machine may take.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
