package raft

import (
	"fmt"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/torture-harness/torture/node"
)

const settle = 3 * time.Second // a leader is elected

func TestOperations(t *testing.T) {
	for _, reads := range []string{"log", "index", "lease"} {
		t.Run(reads, func(t *testing.T) {
			w := newNetwork(t, 3, "", "reads", reads)
			w.run(settle)
			for i, id := range w.ids { // followers and leader take requests alike
				key := fmt.Sprintf(`"k%d"`, i)
				w.want(w.do(id, "read", key, "null"), "null")
				w.want(w.do(id, "write", key, "7"), "7")
				w.want(w.do(id, "cas", key, "[7, 8]"), "[7,8]")
				w.want(w.do(id, "cas", key, "[7,9]"), "fail: mismatch")
				w.want(w.do(w.ids[(i+1)%3], "read", key, "null"), "8")
			}
			w.want(w.do("n1", "read", "", "null"), "[]")
			w.want(w.do("n1", "add", "", "3"), "3")
			w.want(w.do("n2", "add", "", "1"), "1")
			w.want(w.do("n3", "read", "", "null"), "[3,1]")
			w.want(w.do("n1", "txn", "", `[["r",1,null],["append",1,5],["r",1,null]]`), `[["r",1,null],["append",1,5],["r",1,[5]]]`)
			w.want(w.do("n2", "txn", "", `[["append",1,6],["append",2,7]]`), `[["append",1,6],["append",2,7]]`)
			w.want(w.do("n3", "txn", "", `[["r",1,null],["r",2,null]]`), `[["r",1,[5,6]],["r",2,[7]]]`)
			w.agree()
		})
	}
}

// A value is the same value however it is written, and whatever carried it.
func TestValuesHoweverWritten(t *testing.T) {
	w := newNetwork(t, 3, "", "snapshot-every", "10")
	w.run(settle)
	w.want(w.do("n1", "write", `"k"`, `"a\u003cb"`), `"a<b"`)
	w.want(w.do("n2", "add", "", `"\u003c"`), `"<"`)
	for i := range 20 { // a snapshot takes the place of the log
		w.do("n2", "write", `"other"`, fmt.Sprint(i))
	}
	w.crash("n3", true)
	w.boot("n3")
	w.run(settle)
	w.want(w.do("n3", "read", `"\u006b"`, "null"), `"a<b"`)
	w.want(w.do("n3", "read", "", "null"), `["<"]`)
	w.want(w.do("n3", "cas", `"k"`, `["a<b", {"b":1.0, "a":"&"}]`), `["a<b",{"a":"&","b":1}]`)
	w.want(w.do("n1", "cas", `"k"`, `[{"a":"&","b":1},2]`), `[{"a":"&","b":1},2]`)
	w.agree()
	if got := string(restore(w.replica("n3").machine.encode(false)).encode(false)); got != string(w.replica("n3").machine.encode(false)) {
		t.Errorf("a snapshot became %s", got)
	}
}

func TestBadOperationsFail(t *testing.T) {
	w := newNetwork(t, 1, "")
	w.run(settle)
	for _, bad := range []struct{ f, value, why string }{
		{"fly", "1", "unknown"},
		{"cas", "1", "want [old, new]"},
		{"cas", "[1]", "want [old, new]"},
		{"txn", "{}", "want a list"},
		{"txn", `[["w",1,2]]`, "append"},
		{"write", "{", "value"},
		{"write", "\"\xff\"", "UTF-8"},
		{Leave, `"n9"`, "no such node"},
		{Join, `7`, "no such node"},
		{Leave, `"n1"`, "too few members"},
	} {
		if got := w.do("n1", bad.f, "", bad.value); !strings.HasPrefix(got, "fail: ") || !strings.Contains(got, bad.why) {
			t.Errorf("%s of %s: got %q, want a failure that says %q", bad.f, bad.value, got, bad.why)
		}
	}
}

// A leader that dies is replaced, and what it acknowledged stays.
func TestFailover(t *testing.T) {
	w := newNetwork(t, 5, "")
	w.run(settle)
	old := w.leader()
	w.want(w.do(old, "write", "1", "10"), "10")
	w.crash(old, true)
	w.run(settle)
	if w.leader() == old {
		t.Fatal("the dead lead")
	}
	w.want(w.do(w.leader(), "read", "1", "null"), "10")
	w.want(w.do(w.leader(), "write", "1", "11"), "11")
	w.boot(old)
	w.want(w.do(old, "read", "1", "null"), "11")
	w.agree()
}

// All nodes lose their power at once, and nothing that they acknowledged.
func TestPowerLoss(t *testing.T) {
	for _, bug := range []string{"", "ack-before-sync"} {
		w := newNetwork(t, 3, bug)
		w.run(settle)
		for i := range 20 {
			w.do(w.ids[i%3], "add", "", fmt.Sprint(i))
		}
		for _, id := range w.ids {
			w.crash(id, true)
		}
		for _, id := range w.ids {
			w.boot(id)
		}
		w.run(settle)
		all := "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]"
		if got := w.do("n1", "read", "", "null"); (got == all) != (bug == "") {
			t.Errorf("bug %q: the set is %s", bug, got)
		}
		w.agree()
	}
}

// A node that was away while the others compacted their logs gets a snapshot,
// and answers from it; it restarts from it too.
func TestSnapshotToLaggard(t *testing.T) {
	w := newNetwork(t, 3, "", "snapshot-every", "10")
	w.run(settle)
	away := w.other(w.leader())
	w.cut[away] = true
	for i := range 40 {
		w.call("", w.leader(), "add", "", fmt.Sprint(i))
		w.run(20 * time.Millisecond)
	}
	before := w.recorded(away, "snapshot")
	w.cut[away] = false
	w.run(settle)
	if got := w.recorded(away, "snapshot"); got == before {
		t.Error("the laggard has installed no snapshot")
	}
	w.agree()
	if n := len(w.hosts[away].disk.Keys("log/")); n > 20 {
		t.Errorf("the laggard keeps %d entries", n)
	}
	state := string(w.replica(away).machine.encode(false))
	w.crash(away, true)
	w.boot(away)
	w.run(settle)
	w.agree()
	if got := string(w.replica(away).machine.encode(false)); !strings.Contains(got, "39") || len(got) < len(state)/2 {
		t.Errorf("after a restart the state is %s, before it was %s", got, state)
	}
}

// A snapshot takes the place of entries that a leader which was cut off had put
// into its log alone.
func TestSnapshotToDeposedLeader(t *testing.T) {
	w := newNetwork(t, 3, "", "snapshot-every", "10")
	w.run(settle)
	old := w.leader()
	w.cut[old] = true
	for i := range 30 {
		w.call("", old, "add", "", fmt.Sprint(100+i))
	}
	w.run(settle)
	for i := range 20 {
		w.want(w.do(w.leader(), "add", "", fmt.Sprint(i)), fmt.Sprint(i))
	}
	w.run(forgetAfter)
	w.cut[old] = false
	w.run(settle)
	w.agree()
	w.want(w.do(old, "read", "", "null"), "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]")
}

// A snapshot that is lost on its way is sent again.
func TestLostSnapshot(t *testing.T) {
	w := newNetwork(t, 3, "", "snapshot-every", "10")
	w.run(settle)
	away := w.other(w.leader())
	w.cut[away] = true
	for i := range 40 {
		w.call("", w.leader(), "add", "", fmt.Sprint(i))
		w.run(20 * time.Millisecond)
	}
	lost := 0
	w.lose = func(m any) bool {
		raft, ok := m.(message)
		snap := ok && raft.GetType() == pb.MsgSnap && lost < 2
		if snap {
			lost++
		}
		return snap
	}
	w.cut[away] = false
	w.run(3 * settle)
	if lost != 2 {
		t.Errorf("%d snapshots were lost, want 2", lost)
	}
	w.agree()
}

// A command that is in the log twice is done once, also after the snapshot that
// contains the first of them, and its second reply is the first one.
func TestSessions(t *testing.T) {
	m := newMachine()
	c := command{origin: "n1", life: 2, seq: 5, low: 5, f: "add", key: "null", value: "1"}
	m.apply(c, false)
	m = restore(m.encode(false))
	if r := m.apply(parse(string(c.encode())), false); string(r.Value) != "1" {
		t.Errorf("the reply to the second copy is %+v", r)
	}
	later := command{origin: "n1", life: 2, seq: 7, low: 6, f: "add", key: "null", value: "2"}
	m.apply(later, false)
	m.apply(c, false) // its client is gone: low says so
	newLife := command{origin: "n1", life: 3, f: "add", key: "null", value: "3"}
	m.apply(newLife, false)
	m.apply(later, false) // of a life that is over
	other := command{origin: "n2", life: 1, f: "add", key: "null", value: "4"}
	m.apply(other, false)
	if got := m.read("null"); got != "[1,2,3,4]" {
		t.Errorf("the set is %s", got)
	}
	if n := len(m.sessions["n1"].Replies); n != 1 {
		t.Errorf("%d replies are kept, want 1", n)
	}
	m.apply(other, true)
	if got := m.read("null"); got != "[1,2,3,4,4]" {
		t.Errorf("with the bug the set is %s", got)
	}
}

// A request that waits out an election is answered, and done once, though it
// was sent again several times.
func TestRetry(t *testing.T) {
	w := newNetwork(t, 3, "")
	w.run(settle)
	old := w.leader()
	taker := w.other(old)
	w.cut[old] = true
	w.call("add", taker, "add", "", "1")
	w.run(settle)
	w.want(w.answers["add"], "1")
	w.want(w.do(taker, "read", "", "null"), "[1]")
	w.cut[old] = false
	w.run(settle)
	w.agree()
}

// What a leader that was cut off put into its log alone is replaced, and its
// clients are not told that it took effect.
func TestReplacedSuffix(t *testing.T) {
	w := newNetwork(t, 3, "")
	w.run(settle)
	old := w.leader()
	w.cut[old] = true
	for i := range 5 {
		w.call(fmt.Sprint("lost ", i), old, "add", "", fmt.Sprint(90+i))
	}
	w.run(settle)
	for i := range 3 {
		w.want(w.do(w.leader(), "add", "", fmt.Sprint(i)), fmt.Sprint(i))
	}
	w.run(forgetAfter) // else it would try again
	w.cut[old] = false
	w.run(settle)
	if w.recorded(old, "truncate") != 1 {
		t.Error("no entry was replaced: the case tests nothing")
	}
	for i := range 5 {
		w.want(w.answers[fmt.Sprint("lost ", i)], "")
	}
	w.crash(old, true)
	w.boot(old)
	w.want(w.do(old, "read", "", "null"), "[0,1,2]")
	w.agree()
}

// The reply to a request whose command came in a snapshot is in the snapshot.
func TestAnswerFromSnapshot(t *testing.T) {
	w := newNetwork(t, 3, "", "snapshot-every", "10")
	w.run(settle)
	leader := w.leader()
	taker := w.other(leader)
	w.call("mine", taker, "add", "", "99")
	w.run(time.Millisecond) // it is on its way
	for _, p := range w.posts {
		m, _ := Messages.Decode(p.body)
		w.step(w.hosts[leader], func() { w.hosts[leader].node.Receive(w.hosts[leader].env, taker, m) })
	}
	w.posts = nil
	w.cut[taker] = true
	for i := range 40 {
		w.call("", leader, "add", "", fmt.Sprint(i))
		w.run(20 * time.Millisecond)
	}
	w.want(w.answers["mine"], "")
	w.cut[taker] = false
	w.run(settle)
	w.want(w.answers["mine"], "99")
	if got := w.do(leader, "read", "", "null"); strings.Count(got, "99") != 1 {
		t.Errorf("the set is %s", got)
	}
}

func TestMembership(t *testing.T) {
	w := newNetwork(t, 5, "", "snapshot-every", "10")
	w.run(settle)
	leader := w.leader()
	gone := w.other(leader)
	name := func(id node.ID) string { return `"` + string(id) + `"` }

	w.want(w.do(leader, Leave, "", name(gone)), name(gone))
	var left []string
	for _, id := range w.ids {
		if id != gone {
			left = append(left, name(id))
		}
	}
	w.want(w.do(leader, Members, "", "null"), "["+strings.Join(left, ",")+"]")
	w.run(settle) // it finds out
	w.want(w.do(gone, Members, "", "null"), "["+strings.Join(left, ",")+"]")
	w.want(w.do(gone, "write", "1", "1"), "fail: not a member")
	w.crash(gone, true)
	w.boot(gone)
	w.run(settle)
	w.want(w.do(gone, "write", "1", "1"), "fail: not a member")
	w.want(w.do(leader, Leave, "", name(gone)), name(gone)) // it has already

	// The leader leaves, by way of a follower.
	second := w.other(leader, gone)
	w.want(w.do(second, Leave, "", name(leader)), name(leader))
	w.run(settle)
	third := w.leader()
	if third == leader || third == gone {
		t.Fatalf("%s leads, who has left", third)
	}
	w.want(w.do(third, Leave, "", name(w.other(leader, gone, third))), "fail: too few members would be left")
	for i := range 30 {
		w.want(w.do(third, "write", "1", fmt.Sprint(i)), fmt.Sprint(i))
	}

	// Both come back, to logs that have been compacted.
	w.want(w.do(third, Join, "", name(gone)), name(gone))
	w.want(w.do(third, Join, "", name(leader)), name(leader))
	w.run(settle)
	w.want(w.do(gone, "write", "1", "77"), "77")
	w.want(w.do(leader, "read", "1", "null"), "77")
	w.agree()
}

// Who is a member is part of the state that a snapshot is of: where nodes differ
// in that, so do their records.
func TestSnapshotTellsMembers(t *testing.T) {
	record := func(members ...uint64) string {
		env := node.NewEnv(node.Host{ID: "n1", Peers: []node.ID{"n1", "n2", "n3"}, Codec: Messages, Disk: store{}})
		env.Begin(0, 0)
		n := replica{conf: &pb.ConfState{Voters: members}, applied: 7}
		n.recordSnapshot(env, []byte("state"))
		return string(env.End()[0].Value)
	}
	all, some := record(1, 2, 3), record(1, 3)
	if all == some || all != record(1, 2, 3) {
		t.Errorf("the state with members 1, 2 and 3 is recorded as %s, that with 1 and 3 as %s", all, some)
	}
}

// A candidate that is behind in its term learns that from whoever it asks, also
// if that one, which campaigns by itself, never asks it.
func TestCandidateLearnsTheTerm(t *testing.T) {
	w := newNetwork(t, 3, "", "pre-vote", "off")
	w.run(settle)
	gone := w.leader()
	ahead := w.other(gone)
	behind := w.other(gone, ahead)
	w.cut[ahead] = true
	w.want(w.do(gone, "write", "1", "1"), "1")
	w.run(10 * time.Second) // in each second or two ahead begins a term
	w.cut[gone], w.cut[ahead] = true, false
	w.lose = func(m any) bool {
		of := m.(message)
		return of.GetType() == pb.MsgVote && w.ids[of.GetFrom()-1] == ahead
	}
	w.run(15 * time.Second)
	w.want(w.do(behind, "write", "1", "2"), "2")
}

// A request to leave that has been on its way for long does not undo a later one
// to join, whether that had anything to do or not.
func TestStaleLeave(t *testing.T) {
	for _, left := range []bool{true, false} {
		w := newNetwork(t, 5, "")
		w.run(settle)
		leader := w.leader()
		taker := w.other(leader)
		victim := w.other(leader, taker)
		name := `"` + string(victim) + `"`
		w.cut[taker] = true
		w.call("stale", taker, Leave, "", name)
		w.run(100 * time.Millisecond)
		if left {
			w.want(w.do(leader, Leave, "", name), name)
		}
		w.want(w.do(leader, Join, "", name), name)
		w.want(w.answers["stale"], "")
		w.cut[taker] = false
		w.run(settle)
		w.want(w.answers["stale"], "fail: the membership has changed meanwhile")
		w.want(w.do(victim, "write", "1", "1"), "1")
	}
}

// A leader that is cut off answers no read once its lease is over, and a
// planted bug does.
func TestReadsOfDeposedLeader(t *testing.T) {
	for _, c := range []struct{ reads, bug, want string }{
		{"log", "", ""}, {"index", "", ""}, {"lease", "", ""},
		{"log", "local-reads", "1"}, {"index", "read-index-skips-quorum", "1"},
	} {
		w := newNetwork(t, 3, c.bug, "reads", c.reads)
		w.run(settle)
		old := w.leader()
		w.want(w.do(old, "write", "1", "1"), "1")
		w.cut[old] = true
		w.run(leaseSpan + tick)
		if !w.replica(old).lead {
			t.Fatal("it leads no more: the case tests nothing")
		}
		w.call("read", old, "read", "1", "null")
		w.run(time.Millisecond)
		w.want(w.answers["read"], c.want)
	}
}

// A lease is as good as the clocks: a leader whose clock is slow serves what its
// successor has overwritten.
func TestLeaseOfSlowClock(t *testing.T) {
	for _, c := range []struct {
		slow time.Duration
		want string
	}{{1, ""}, {5, "1"}} {
		w := newNetwork(t, 3, "", "reads", "lease")
		for _, id := range w.ids {
			w.hosts[id].slow = c.slow // all alike, and then the leader alone
		}
		w.run(settle * c.slow)
		old := w.leader()
		w.want(w.do(old, "write", "1", "1"), "1")
		for _, id := range w.ids {
			if id != old {
				w.hosts[id].slow = 1
			}
		}
		w.run(time.Second)
		w.cut[old] = true
		w.run(2200 * time.Millisecond)
		w.want(w.do(w.leader(), "write", "1", "2"), "2")
		w.call("read", old, "read", "1", "null")
		w.run(time.Millisecond)
		w.want(w.answers["read"], c.want)
	}
}

// A lease is over before a follower may begin an election, though the leader's
// clock be 10 % slow and the follower's as much fast.
func TestLeaseEndsBeforeElections(t *testing.T) {
	w := newNetwork(t, 3, "", "reads", "lease")
	w.run(settle)
	least := time.Hour
	for round := range 40 {
		old := w.leader()
		w.run(time.Duration(round) * 7 * time.Millisecond)
		w.cut[old] = true
		for begun := false; !begun; w.run(time.Millisecond) {
			for _, id := range w.ids {
				if r := w.replica(id); id != old && r.role != "follower" {
					begun, least = true, min(least, w.hosts[id].env.Now-r.heard)
				}
			}
		}
		w.run(settle)
		w.cut[old] = false
		w.run(settle)
	}
	if least*9/11 < leaseSpan {
		t.Errorf("a follower began an election %v after it had heard its leader, whose lease is %v", least, leaseSpan)
	}
}

// Who restarts votes for nobody while a leader that it may have heard can have a
// lease: it is all that keeps one who is cut off from that leader from being
// elected beside it.
func TestLeaseOutlivesARestart(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond} {
		w := newNetwork(t, 3, "", "reads", "lease")
		w.run(settle)
		old := w.leader()
		voter := w.other(old)
		rival := w.other(old, voter)
		w.want(w.do(old, "write", "1", "1"), "1")
		apart := func(m any, a, b node.ID) bool {
			of := m.(message)
			from, to := w.ids[of.GetFrom()-1], w.ids[of.GetTo()-1]
			return from == a && to == b || from == b && to == a
		}
		w.lose = func(m any) bool { return apart(m, old, rival) }
		for w.replica(rival).role == "follower" {
			w.run(time.Millisecond)
		}
		w.crash(voter, false) // who is asked for its vote when it is back
		w.boot(voter)
		w.lose = func(m any) bool { return apart(m, old, rival) || apart(m, old, voter) }
		w.run(20*time.Millisecond + after)
		if w.replica(rival).lead && w.replica(old).surelyLeads(w.hosts[old].env.Now) {
			t.Errorf("%v after its voter's restart %s leads, and %s has a lease", after, rival, old)
		}
		w.call("write", rival, "write", "1", "2")
		w.run(20 * time.Millisecond)
		w.call("read", old, "read", "1", "null")
		w.run(time.Millisecond)
		if w.answers["write"] != "" && w.answers["read"] != "" {
			t.Errorf("%s answered a write with %s, and then %s a read with %s", rival, w.answers["write"], old, w.answers["read"])
		}
	}
}

// A lease spares the question.
func TestLeaseReadsAtOnce(t *testing.T) {
	w := newNetwork(t, 3, "", "reads", "lease")
	w.run(settle)
	w.call("read", w.leader(), "read", "1", "null")
	w.want(w.answers["read"], "null")
}

func TestKeysSortAsIndices(t *testing.T) {
	for _, i := range []uint64{0, 1, 9, 15, 16, 255, 1 << 40, 1<<64 - 2} {
		if got, want := key(i), fmt.Sprintf("log/%016x", i); got != want {
			t.Errorf("key of %d: got %s, want %s", i, got, want)
		}
		if key(i) >= key(i+1) {
			t.Errorf("key of %d does not sort before the next", i)
		}
	}
}
