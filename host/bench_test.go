package host

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

// BenchmarkOps is operations of 16 clients against nodes in this process, over
// loopback, the clients' work included: echo at one node; sync, which it writes
// and syncs; replicate, which a majority syncs. Without fsync but where it says
// so.
func BenchmarkOps(b *testing.B) {
	for _, bb := range []struct {
		f     string
		nodes int
		fsync bool
	}{{"echo", 1, false}, {"sync", 1, false}, {"sync", 1, true}, {"replicate", 3, false}, {"replicate", 3, true}, {"replicate", 5, false}} {
		b.Run(fmt.Sprintf("%s/nodes=%d/fsync=%v", bb.f, bb.nodes, bb.fsync), func(b *testing.B) {
			c := newCluster(b, bb.nodes, func(c *Config) { c.NoFsync = !bb.fsync })
			c.linked()
			const clients = 16
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
			defer client.CloseIdleConnections()
			body := fmt.Sprintf(`{"f":%q,"key":"x","value":1}`, bb.f)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() {
					for range b.N/clients + min(1, max(0, b.N%clients-i)) {
						resp, err := client.Post(c.nodes["n1"].url+"/op", "application/json", strings.NewReader(body))
						if err != nil {
							b.Error(err)
							return
						}
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// flood sends a message to its peer for each that it receives.
type flood struct{ toy }

func (f *flood) Receive(env *node.Env, from node.ID, m any) { env.Send(from, m) }

// BenchmarkMessages is messages between two nodes, 1000 of them under way.
func BenchmarkMessages(b *testing.B) {
	c := newCluster(b, 2, func(c *Config) {
		c.New = func() node.Node { return &flood{*newToy().(*toy)} }
	})
	c.linked()
	conn, err := net.Dial("tcp", c.nodes["n1"].cfg.PeerListener.Addr().String())
	must(b, err)
	defer conn.Close()
	received := func() (n int64) {
		for _, m := range c.nodes {
			var h health
			m.do("GET", "/health", "", &h)
			n += h.Counters["messages_received"]
		}
		return n
	}
	b.ResetTimer()
	for i := range 1000 {
		_, err := conn.Write(appendFrame(nil, frame{messageFrame, 1, "n2", toyMessages.Append(nil, ack{i})}))
		must(b, err)
	}
	for received() < int64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(received())/b.Elapsed().Seconds(), "messages/s")
}
