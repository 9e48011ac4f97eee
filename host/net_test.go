package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/torture-harness/torture/node"
	"go.uber.org/zap"
)

func TestReplicates(t *testing.T) {
	c := newCluster(t, 3, nil)
	n1 := c.nodes["n1"]
	c.linked()
	for i := 1; i <= 10; i++ {
		if r := n1.op(`{"f":"replicate"}`); r.Type != "ok" || string(r.Value) != fmt.Sprint(i) {
			t.Fatalf("replicate %d: got %+v", i, r)
		}
	}
}

// TestLamport merges what three nodes recorded by Lamport time: sending comes
// before receiving, that before the acknowledgement, and a request before all
// that it caused, even if its client's clock is far ahead.
func TestLamport(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.linked()
	ahead := c.nodes["n1"].op(`{"f":"echo"}`).Lamport + 3_600_000_000_000
	type answered struct {
		node node.ID
		n    int
		at   uint64
	}
	var mu sync.Mutex
	var answers []answered
	var wg sync.WaitGroup
	for _, id := range c.ids {
		for client := range 3 {
			wg.Go(func() {
				for i := range 10 {
					body := `{"f":"replicate"}`
					if id == "n2" && client == 0 && i == 5 {
						body = fmt.Sprintf(`{"f":"replicate","lamport":%d}`, ahead)
					}
					var r struct {
						Value   int
						Lamport uint64
					}
					if _, err := c.nodes[id].try("POST", "/op", body, &r); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					answers = append(answers, answered{id, r.Value, r.Lamport})
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	// What each node recorded of each message, by (origin, number).
	type name struct {
		f  string
		at node.ID
		n  int
	}
	stamps := map[name][]uint64{}
	for _, id := range c.ids {
		must(t, c.nodes[id].end())
		b, err := os.ReadFile(filepath.Join(c.nodes[id].cfg.Dir, "records.jsonl"))
		must(t, err)
		last := uint64(0)
		for line := range bytes.Lines(b) {
			var r struct {
				Lamport uint64
				F       string
				Value   json.RawMessage
			}
			must(t, json.Unmarshal(line, &r))
			if r.Lamport <= last {
				t.Fatalf("%s: a record of time %d follows one of %d", id, r.Lamport, last)
			}
			last = r.Lamport
			var n int
			if json.Unmarshal(r.Value, &n) == nil {
				k := name{r.F, id, n}
				stamps[k] = append(stamps[k], r.Lamport)
			}
		}
		if last <= ahead {
			t.Errorf("%s ends at %d: the request of %d has not reached it", id, last, ahead)
		}
	}
	for _, a := range answers {
		sent, acked := stamps[name{"sent", a.node, a.n}], stamps[name{"acked", a.node, a.n}]
		if len(sent) != 1 || len(acked) != 1 {
			t.Fatalf("%s recorded %d times that it sent %d, %d times that it was acknowledged", a.node, len(sent), a.n, len(acked))
		}
		if sent[0] >= acked[0] || acked[0] >= a.at {
			t.Errorf("%s sent %d at %d, had it acknowledged at %d, answered at %d", a.node, a.n, sent[0], acked[0], a.at)
		}
		got := 0 // by whom, between the two
		for _, id := range c.ids {
			for _, s := range stamps[name{"got", id, a.n}] {
				if id != a.node && sent[0] < s && s < acked[0] {
					got++
				}
			}
		}
		if got == 0 {
			t.Errorf("%s sent %d at %d and had it acknowledged at %d, and nobody got it between", a.node, a.n, sent[0], acked[0])
		}
	}
}

// TestDeaf: a node that cannot be reached by its peers any more ends, and says
// why.
func TestDeaf(t *testing.T) {
	n1 := newCluster(t, 2, nil).nodes["n1"]
	n1.op(`{"f":"read"}`)
	must(t, n1.cfg.PeerListener.Close())
	<-n1.done
	if n1.err == nil || !strings.Contains(n1.err.Error(), "listen for peers") {
		t.Errorf("got error %v", n1.err)
	}
}

// TestReconnect: a peer that was away is reached again, both ways, and what it
// was sent meanwhile is dropped and counted.
func TestReconnect(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.linked()
	n1 := c.nodes["n1"]
	for range 3 {
		must(t, c.nodes["n2"].end())
		for range 10 { // n3 is majority enough
			n1.op(`{"f":"replicate"}`)
		}
		var h health
		eventually(t, "dropped frames", func() bool {
			n1.op(`{"f":"replicate"}`)
			n1.do("GET", "/health", "", &h)
			return h.Counters["frames_dropped"] > 0
		})
		var p struct{ Pong bool }
		if n1.do("GET", "/peers/n2/ping?timeout=1ms", "", &p); p.Pong {
			t.Error("a dead node answered a ping")
		}
		c.nodes["n2"] = c.nodes["n2"].restart()
		c.linked()
	}
}

// TestIdleReconnect: a link notices that its peer is gone, and back, without
// sending anything; so the first message after that is not lost.
func TestIdleReconnect(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.linked()
	n1 := c.nodes["n1"]
	must(t, c.nodes["n2"].end())
	eventually(t, "n1 has lost its connection", func() bool { return !linked(n1, "n2") })
	n2 := c.nodes["n2"].restart()
	eventually(t, "n1 has a connection", func() bool { return linked(n1, "n2") })
	n1.do("POST", "/probe", `{"to":"n2","nonce":"first"}`, nil)
	eventually(t, "the first probe", func() bool {
		var got struct{ Probes []probe }
		n2.do("GET", "/probes", "", &got)
		return len(got.Probes) == 1
	})
}

// TestLinkEnds: frames have not left while they are being written, and a peer
// that stops reading in the middle does not keep the node from ending.
func TestLinkEnds(t *testing.T) {
	l := newLink("n2", "nowhere", zap.NewNop())
	l.enqueue(frame{messageFrame, 1, "n1", make([]byte, 100)})
	here, there := net.Pipe()
	defer there.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.pump(ctx, here) }()
	_, err := io.ReadFull(there, make([]byte, 50))
	must(t, err)
	if l.idle() {
		t.Error("half a frame is written, and the link is idle")
	}
	cancel()
	if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the link outlived its node: %v", err)
	}
}

// TestQueueBounds: a peer that cannot be reached costs bounded memory.
func TestQueueBounds(t *testing.T) {
	l := newLink("n2", "nowhere", zap.NewNop())
	f := frame{messageFrame, 1, "n1", make([]byte, 1000)}
	queued := 0
	for range 3 * linkFrames {
		if l.enqueue(f) {
			queued++
		}
	}
	if queued != l.frames || len(l.queue) > linkBytes+2000 || l.lost.Load() != int64(3*linkFrames-queued) {
		t.Errorf("%d of %d frames, %d bytes queued, %d dropped", queued, 3*linkFrames, len(l.queue), l.lost.Load())
	}
	l.take(nil)
	if big := (frame{messageFrame, 1, "n1", make([]byte, linkBytes+1)}); !l.enqueue(big) || l.enqueue(f) {
		t.Error("a frame larger than the queue must fit alone, and nothing beside it")
	}
	l.take(nil)
	if l.enqueue(frame{messageFrame, 1, "n1", make([]byte, frameMax)}) {
		t.Error("a frame that no peer would read was queued")
	}
}

// TestProbe: nonces arrive once, from whom they are, at itself too.
func TestProbe(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.linked()
	for _, from := range c.ids {
		for _, to := range c.ids {
			var sent struct{ Sent bool }
			c.nodes[from].do("POST", "/probe", fmt.Sprintf(`{"to":%q,"nonce":"%s-%s"}`, to, from, to), &sent)
			if !sent.Sent {
				t.Errorf("the probe from %s to %s was not sent", from, to)
			}
		}
	}
	for _, to := range c.ids {
		for _, from := range c.ids {
			var got struct{ Probes []probe }
			eventually(t, fmt.Sprintf("probe from %s at %s", from, to), func() bool {
				c.nodes[to].do("GET", "/probes?from="+string(from), "", &got)
				return len(got.Probes) > 0
			})
			if len(got.Probes) != 1 || got.Probes[0].Nonce != fmt.Sprintf("%s-%s", from, to) {
				t.Errorf("%s has from %s the probes %+v", to, from, got.Probes)
			}
		}
	}
}
