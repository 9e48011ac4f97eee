package docker

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/histories"
	"github.com/torture-harness/torture/nemesis"
)

var three = []string{"n1", "n2", "n3"}

func fault(id string, k nemesis.Kind, p nemesis.Params, targets ...string) nemesis.Fault {
	return nemesis.Fault{ID: id, Kind: k, Params: p, Targets: targets}
}

func TestRules(t *testing.T) {
	loss := func(id string, p float64, on ...string) nemesis.Fault {
		return fault(id, nemesis.Loss, nemesis.Params{Probability: p}, on...)
	}
	rate := func(id string, r int64, on ...string) nemesis.Fault {
		return fault(id, nemesis.Bandwidth, nemesis.Params{Rate: r}, on...)
	}
	drop := func(id string, d map[string][]string) nemesis.Fault {
		return fault(id, nemesis.Partition, nemesis.Params{Drop: d})
	}
	for _, c := range []struct {
		name   string
		leases leases
		want   agent.Rules // of n2
	}{
		{"nothing", nil, agent.Rules{}},
		{"another's", leases{loss("a", 0.5, "n1"), fault("b", nemesis.Client, nemesis.Params{}, "n3")}, agent.Rules{}},
		{"two partitions cut the union", leases{drop("a", map[string][]string{"n2": {"n3"}}), drop("b", map[string][]string{"n2": {"n1", "n3"}, "n1": {"n2"}})},
			agent.Rules{Deaf: []string{"n1", "n3"}}},
		{"nobody is cut from itself", leases{drop("a", map[string][]string{"n2": {"n2"}})}, agent.Rules{}},
		{"losses are independent", leases{loss("a", 0.5, "n2"), loss("b", 0.1, "n1", "n2")}, agent.Rules{Loss: []agent.Loss{{Probability: 0.5}, {Probability: 0.1}}}},
		{"the slowest counts", leases{rate("a", 500, "n2"), rate("b", 300, "n2"), rate("c", 900, "n2")}, agent.Rules{Rate: []agent.Rate{{Rate: 300}}}},
		{"the sender repeats", leases{fault("a", nemesis.Duplicate, nemesis.Params{Probability: 0.2}, "n1", "n2")},
			agent.Rules{Duplicate: []agent.Duplicate{{To: "n1", Probability: 0.2}}}},
		{"delay holds all, reorder some", leases{
			fault("a", nemesis.Delay, nemesis.Params{Delay: 5, Jitter: 2}, "n2"),
			fault("b", nemesis.Reorder, nemesis.Params{Probability: 0.3, Delay: 7}, "n2"),
		}, agent.Rules{Hold: []agent.Hold{{Probability: 1, Delay: 5, Jitter: 2}, {Probability: 0.3, Delay: 7}}}},
		{"one link each", leases{
			fault("a", nemesis.Loss, nemesis.Params{Probability: 0.5, From: "n1", To: "n2"}),
			fault("b", nemesis.Loss, nemesis.Params{Probability: 0.5, From: "n2", To: "n1"}),
			fault("c", nemesis.Delay, nemesis.Params{Delay: 5, From: "n3", To: "n2"}),
			fault("d", nemesis.Reorder, nemesis.Params{Delay: 7, Probability: 0.3, From: "n1", To: "n2"}),
			fault("e", nemesis.Duplicate, nemesis.Params{Probability: 0.2, From: "n2", To: "n3"}),
			fault("f", nemesis.Bandwidth, nemesis.Params{Rate: 500, From: "n2", To: "n3"}),
			fault("g", nemesis.Bandwidth, nemesis.Params{Rate: 400, From: "n2", To: "n3"}),
			fault("h", nemesis.Bandwidth, nemesis.Params{Rate: 300, From: "n3", To: "n2"}),
			rate("i", 900, "n2"),
		}, agent.Rules{
			Loss:      []agent.Loss{{From: "n1", Probability: 0.5}},
			Hold:      []agent.Hold{{From: "n3", Probability: 1, Delay: 5}, {From: "n1", Probability: 0.3, Delay: 7}},
			Duplicate: []agent.Duplicate{{To: "n3", Probability: 0.2}},
			Rate:      []agent.Rate{{Rate: 900}, {To: "n3", Rate: 400}},
		}},
		{"clients", leases{fault("a", nemesis.Client, nemesis.Params{}, "n2")}, agent.Rules{Client: true}},
	} {
		if got := c.leases.rules("n2", three); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: rules of n2 are %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestIntent(t *testing.T) {
	kill, stop, pause := on(nemesis.Kill, "k", "n1"), on(nemesis.Stop, "s", "n1"), on(nemesis.Pause, "p", "n1")
	for _, c := range []struct {
		leases leases
		want   intent
	}{
		{nil, intent{gently: true}},
		{leases{stop}, intent{down: true, gently: true}},
		{leases{stop, kill}, intent{down: true}},
		{leases{pause}, intent{gently: true, paused: true}},
		{leases{pause, kill}, intent{down: true, paused: true}},
	} {
		if got := c.leases.intent("n1"); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.leases, got, c.want)
		}
		if got := c.leases.intent("n2"); got != (intent{gently: true}) {
			t.Errorf("%v: %+v for another node", c.leases, got)
		}
	}
}

func TestHolders(t *testing.T) {
	kill, stop, pause := on(nemesis.Kill, "kill", "n1"), on(nemesis.Stop, "stop", "n1"), on(nemesis.Pause, "pause", "n1")
	jump := fault("jump", nemesis.Clock, nemesis.Params{Shape: "jump"}, "n1")
	cut := fault("cut", nemesis.Partition, nemesis.Params{Drop: map[string][]string{"n1": {"n2"}}})
	for _, c := range []struct {
		over  nemesis.Fault
		still leases
		node  string
		want  string
	}{
		{kill, leases{stop, pause, jump, cut}, "n1", "stop pause"},
		{kill, leases{stop}, "n2", ""},
		{pause, leases{stop}, "n1", "stop"},
		{jump, leases{jump, kill}, "n1", "kill"},
		{on(nemesis.Client, "c", "n1"), leases{kill, cut}, "n1", "kill"},
	} {
		if got := strings.Join(c.still.holders(c.over, c.node), " "); got != c.want {
			t.Errorf("after %s, %v hold at %s: %q, want %q", c.over.ID, c.still, c.node, got, c.want)
		}
	}
}

// What another fault had brought about before, or hides, is no sign of a fault.
func TestHidden(t *testing.T) {
	strobe := func(id string, offset nemesis.Duration) nemesis.Fault {
		return fault(id, nemesis.Clock, nemesis.Params{Shape: "strobe", Offset: offset, Period: ms}, "n1")
	}
	jump := fault("jump", nemesis.Clock, nemesis.Params{Shape: "jump", Offset: 100 * ms}, "n1")
	kill, stop, power, pause := on(nemesis.Kill, "kill", "n1"), on(nemesis.Stop, "stop", "n1"), on(nemesis.Power, "power", "n1"), on(nemesis.Pause, "pause", "n1")
	client := on(nemesis.Client, "client", "n1")
	again := func(f nemesis.Fault) nemesis.Fault { f.ID += "2"; return f }
	for _, c := range []struct {
		fault  nemesis.Fault
		leases leases // that which follow fault come later
		want   string
	}{
		{kill, leases{stop, kill}, "stop"},
		{kill, leases{kill, stop}, ""},
		{stop, leases{power, stop}, "power"},
		{kill, leases{pause, kill}, ""},
		{power, leases{kill, power}, ""},
		{pause, leases{pause, kill}, "kill"},
		{again(pause), leases{pause, again(pause)}, "pause"},
		{again(client), leases{client, again(client)}, "client"},
		{client, leases{client, again(client)}, ""},
		{jump, leases{jump, strobe("s", 50*ms)}, ""},
		{jump, leases{jump, strobe("s", 100*ms)}, "s"},
		{strobe("s", 50*ms), leases{strobe("s", 50*ms), strobe("t", 90*ms)}, "t"},
		{jump, leases{pause, jump}, "pause"},
	} {
		if got := strings.Join(c.leases.hidden(c.fault, "n1"), " "); got != c.want {
			t.Errorf("%v hide %s: %q, want %q", c.leases.ids(), c.fault.ID, got, c.want)
		}
		if got := c.leases.hidden(c.fault, "n2"); got != nil {
			t.Errorf("%v hide %s at another node: %v", c.leases.ids(), c.fault.ID, got)
		}
	}
}

// On a link, too: what others do there may be what f does.
func TestInTheWay(t *testing.T) {
	cut := fault("cut", nemesis.Partition, nemesis.Params{Drop: map[string][]string{"n2": {"n1"}}})
	loss := func(id string, p float64) nemesis.Fault {
		return fault(id, nemesis.Loss, nemesis.Params{Probability: p}, "n2")
	}
	rate := func(id string, r int64) nemesis.Fault {
		return fault(id, nemesis.Bandwidth, nemesis.Params{Rate: r}, "n1")
	}
	delay := func(id string, d, j nemesis.Duration) nemesis.Fault {
		return fault(id, nemesis.Delay, nemesis.Params{Delay: d, Jitter: j}, "n2")
	}
	reorder := func(id string) nemesis.Fault {
		return fault(id, nemesis.Reorder, nemesis.Params{Probability: 0.2, Delay: 10 * ms}, "n2")
	}
	aimed := fault("aimed", nemesis.Loss, nemesis.Params{Probability: 1, From: "n3", To: "n2"})
	other := cut
	other.ID = "other"
	for _, c := range []struct {
		fault   nemesis.Fault
		leases  leases
		inForce bool
		want    string
	}{
		{cut, leases{other, cut}, true, "other"},
		{cut, leases{cut, other}, true, ""},
		{cut, leases{other}, false, "other"},
		{loss("l", 0.3), leases{loss("m", 0.3), loss("l", 0.3)}, true, ""},
		{loss("l", 0.01), leases{loss("m", 0.5), loss("l", 0.01)}, true, "m"},
		{loss("l", 0.3), leases{loss("m", 0.3)}, false, "m"},
		{loss("l", 0.3), leases{aimed, loss("l", 0.3)}, true, ""},
		{rate("b", 1000), leases{rate("c", 2000), rate("b", 1000)}, true, ""},
		{rate("b", 2000), leases{rate("c", 1000), rate("b", 2000)}, true, "c"},
		{delay("d", 20*ms, 0), leases{delay("e", 100*ms, 9*ms), delay("d", 20*ms, 0)}, true, ""},
		{delay("d", 20*ms, 0), leases{delay("e", 100*ms, 90*ms), delay("d", 20*ms, 0)}, true, "e"},
		{reorder("r"), leases{reorder("s"), reorder("r")}, true, "s"},
	} {
		if got := strings.Join(c.leases.inTheWay(c.fault, "n1", "n2", c.inForce), " "); got != c.want {
			t.Errorf("%v, of %s in force %v: %q is in the way, want %q", c.leases.ids(), c.fault.ID, c.inForce, got, c.want)
		}
	}
}

// What a probe sees is judged by the difference that the fault itself makes.
func TestJudge(t *testing.T) {
	const hold = time.Millisecond
	at := func(n int, d time.Duration) []time.Duration { return slices.Repeat([]time.Duration{d}, n) }
	loss := fault("f", nemesis.Loss, nemesis.Params{Probability: 0.5}, "n2")
	delay := fault("f", nemesis.Delay, nemesis.Params{Delay: 10 * ms}, "n2")
	reorder := fault("f", nemesis.Reorder, nemesis.Params{Delay: 10 * ms, Probability: 0.5}, "n2")
	dup := fault("f", nemesis.Duplicate, nemesis.Params{Probability: 0.5}, "n2")
	rate := fault("f", nemesis.Bandwidth, nemesis.Params{Rate: 1000}, "n1")
	fast := fault("f", nemesis.Bandwidth, nemesis.Params{Rate: 1 << 30}, "n1")
	other := fault("other", nemesis.Loss, nemesis.Params{Probability: 0.5}, "n2")
	slow := fault("slow", nemesis.Delay, nemesis.Params{Delay: 100 * ms, Jitter: 10 * ms}, "n2")
	for _, c := range []struct {
		name   string
		fault  nemesis.Fault
		others leases
		link   agent.Link
		in     bool // what is to be seen
		seen   bool
	}{
		{"lost half", loss, nil, agent.Link{Sent: 100, Got: 50}, true, true},
		{"lost nothing", loss, nil, agent.Link{Sent: 100, Got: 100}, true, false},
		{"lost all", loss, nil, agent.Link{Sent: 100}, true, false},
		{"lost all, which is no cure", loss, nil, agent.Link{Sent: 100}, false, true},
		{"lost half, which another does", loss, leases{other}, agent.Link{Sent: 100, Got: 50}, true, false},
		{"lost three quarters", loss, leases{other}, agent.Link{Sent: 100, Got: 25}, true, true},
		{"nothing sent", loss, nil, agent.Link{}, true, false},
		{"late", delay, nil, agent.Link{Sent: 9, Got: 9, Delays: at(9, 10*hold)}, true, true},
		{"late, as all on this machine", delay, nil, agent.Link{Sent: 9, Got: 9, Delays: at(9, 10*hold), Back: at(9, 9*hold)}, true, false},
		{"at once", delay, nil, agent.Link{Sent: 9, Got: 9, Delays: at(9, hold)}, true, false},
		{"late, which another does", delay, leases{slow}, agent.Link{Sent: 9, Got: 9, Delays: at(9, 95*hold)}, true, false},
		{"half held", reorder, nil, agent.Link{Sent: 8, Got: 8, Overtaken: 4, Delays: append(at(4, hold), at(4, 10*hold)...)}, true, true},
		{"half late, in order", reorder, nil, agent.Link{Sent: 8, Got: 8, Delays: append(at(4, hold), at(4, 10*hold)...)}, true, false},
		{"none held", reorder, nil, agent.Link{Sent: 8, Got: 8, Delays: at(8, hold)}, true, false},
		{"half held and all late", reorder, leases{slow}, agent.Link{Sent: 8, Got: 8, Overtaken: 4, Delays: append(at(4, 95*hold), at(4, 105*hold)...)}, true, true},
		{"twice", dup, nil, agent.Link{Sent: 100, Got: 100, Duplicates: 48}, true, true},
		{"once", dup, nil, agent.Link{Sent: 100, Got: 100}, true, false},
		{"slow", rate, nil, agent.Link{Sent: 5, Got: 5, Bytes: 1000, Span: time.Second}, true, true},
		{"fast", rate, nil, agent.Link{Sent: 5, Got: 5, Bytes: 1000, Span: time.Second / 2}, true, false},
		{"a rate that nobody can tell, over", fast, nil, agent.Link{Sent: 5, Got: 5, Bytes: 1000, Span: time.Second}, false, false},
	} {
		got, seen := gaugeOf(c.fault, append(c.others, c.fault), "n1", "n2").judge(c.link, c.in)
		if seen != c.seen {
			t.Errorf("%s: seen %v (%s), want %v", c.name, seen, got, c.seen)
		}
	}
}

// A packet that waits behind all that a narrow line holds is waited for.
func TestPatience(t *testing.T) {
	for _, rate := range []int64{1000, 10_000, 1_000_000} {
		y := leases{fault("b", nemesis.Bandwidth, nemesis.Params{Rate: rate}, "n1")}.way("n1", "n2")
		if got, want := y.patience(), agent.Backlog(rate); got < want {
			t.Errorf("at %d bytes/s a probe is waited for %v, and may take %v", rate, got, want)
		}
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   histories.Op
		after  uint64
		err    string
	}{
		{`{"type":"ok","value":[1],"lamport":7}`, histories.Op{Type: histories.OK, Value: json.RawMessage("[1]")}, 7, ""},
		{`{"type":"ok","value":1,"dot":"a"}`, histories.Op{Type: histories.OK, Value: json.RawMessage("1"), Ext: map[string]json.RawMessage{"dot": json.RawMessage(`"a"`)}}, 0, ""},
		{`{"type":"fail","error":"mismatch","lamport":9}`, histories.Op{Type: histories.Fail, Value: json.RawMessage("5"), Error: "mismatch"}, 9, ""},
		{`{"type":"ok","value":{"b":1.0,"a":"\u003c"}}`, histories.Op{Type: histories.OK, Value: json.RawMessage(`{"a":"<","b":1}`)}, 0, ""},
		{`{"type":"ok","value":{"a":1,"a":2}}`, histories.Op{}, 0, `value: member "a" appears twice`},
		{`{"type":"maybe"}`, histories.Op{}, 0, "neither ok nor fail"},
		{`{"type":"ok","lamport":"x"}`, histories.Op{}, 0, "field lamport"},
		{`<html>`, histories.Op{}, 0, "answer"},
	} {
		op := histories.Op{Value: json.RawMessage("5")}
		after, err := complete(&op, []byte(c.answer))
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: error %v, want %q", c.answer, err, c.err)
			}
		case err != nil || after != c.after || !reflect.DeepEqual(op, c.want):
			t.Errorf("%s: %+v %d %v, want %+v %d", c.answer, op, after, err, c.want, c.after)
		}
	}
}

func TestStamps(t *testing.T) {
	clock := &hlc{}
	o := newOutbox(clock, func() histories.Time { return 1 })
	first := clock.tick()
	far := first + 1<<40 // a node whose clock is ahead
	o.put(histories.Op{F: "a"}, far)
	o.put(histories.Op{F: "b"}, 0)
	a, _ := o.take()
	b, _ := o.take()
	if !(first < far && far < a.Lamport && a.Lamport < b.Lamport) || a.F != "a" || a.Time != 1 {
		t.Errorf("%d, %d, %d, %d: not in the order of happening", first, far, a.Lamport, b.Lamport)
	}
	if op, ok := o.take(); ok {
		t.Errorf("an empty outbox gives %+v", op)
	}
	w := &World{clock: clock}
	op := histories.Op{Lamport: 5}
	if w.Stamp(&op); op.Lamport != 5 {
		t.Errorf("a stamp was changed to %d", op.Lamport)
	}
}

func TestGateway(t *testing.T) {
	for _, c := range []struct {
		daemon, chosen string
		want           string
		remote         bool
	}{
		{"unix:///var/run/docker.sock", "", "127.0.0.1", false},
		{"unix:///var/run/docker.sock", "10.1.2.3", "127.0.0.1", false},
		{"tcp://localhost:2375", "", "127.0.0.1", false},
		{"tcp://[::1]:2375", "", "127.0.0.1", false},
		{"tcp://10.1.2.3:2376", "", "10.1.2.3", true},
		{"tcp://10.1.2.3:2376", "192.0.2.7", "192.0.2.7", true},
		{"tcp://[2001:db8::1]:2376", "", "2001:db8::1", true},
	} {
		got, remote, err := gateway(t.Context(), c.daemon, c.chosen)
		if err != nil || got != c.want || remote != c.remote {
			t.Errorf("%s, %q: %s, remote %v, %v; want %s, %v", c.daemon, c.chosen, got, remote, err, c.want, c.remote)
		}
	}
	if _, _, err := gateway(t.Context(), "tcp://10.1.2.3:2376", "no address"); err == nil || !strings.Contains(err.Error(), "--publish") {
		t.Errorf("error %v: want one that names the flag", err)
	}
}

func TestStatic(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := static(script, runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "not a linux program") {
		t.Errorf("a script: %v", err)
	}
	if _, err := binary(t.Context(), script, "amd64", func(string) {}); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build") {
		t.Errorf("binary does not tell what to do: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := torture(self); err == nil {
		t.Error("a test is taken for torture")
	}
	if runtime.GOOS == "linux" {
		if err := static(self, "s390x"); err == nil || !strings.Contains(err.Error(), "s390x") {
			t.Errorf("a program for another machine: %v", err)
		}
	}
}

func TestLayer(t *testing.T) {
	a, err := layer([]byte("program"))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := layer([]byte("program"))
	if !bytes.Equal(a, b) {
		t.Error("the same program makes two images")
	}
	var names []string
	for r := tar.NewReader(bytes.NewReader(a)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %o %d", h.Name, h.Mode, h.Uid))
	}
	if want := []string{"data/ 775 1000", "torture 755 0"}; !slices.Equal(names, want) {
		t.Errorf("layer of %v, want %v", names, want)
	}
}

func TestName(t *testing.T) {
	if got := containerName(Config{RunID: "2024-05-01T10:20 raft/x"}, "n1"); got != "torture-2024-05-01T10-20-raft-x-n1" {
		t.Errorf("name %q", got)
	}
}
