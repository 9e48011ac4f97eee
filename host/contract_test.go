package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/torture-harness/torture/node"
)

// breaker breaks the contract of a node.
type breaker struct{}

func (breaker) Start(env *node.Env)              { env.After(time.Hour, "idle") }
func (breaker) Receive(*node.Env, node.ID, any)  {}
func (breaker) Timer(env *node.Env, name string) { env.After(0, name) }
func (breaker) Request(env *node.Env, r node.Request) {
	switch r.F {
	case "again":
		env.Fail(r, "no")
		env.Reply(r, 3)
		return
	case "stray":
		env.Reply(node.Request{ID: 1000}, 4)
	case "chatter":
		for range 2*sentStep + 1 {
			env.Send(env.ID, ack{})
		}
	case "spin":
		env.After(0, "spin")
	}
	env.Reply(r, nil)
}

// What a node does against its contract is in its records, and how much it
// sends; not an answer to a request of an earlier life.
func TestContract(t *testing.T) {
	n1 := newCluster(t, 1, func(c *Config) { c.New = func() node.Node { return breaker{} } }).nodes["n1"]
	records := func() string {
		b, err := os.ReadFile(filepath.Join(n1.cfg.Dir, "records.jsonl"))
		must(t, err)
		return string(b)
	}
	for _, f := range []string{"again", "stray", "chatter"} {
		n1.op(`{"f":"` + f + `"}`)
	}
	n1 = n1.restart()
	n1.op(`{"f":"stray"}`)
	got := records()
	for want, times := range map[string]int{
		`"f":"answered-twice","value":{"request":1,"type":"ok","value":3}}`:      1,
		`"f":"answered-unasked","value":{"request":1000,"type":"ok","value":4}}`: 1,
		`"f":"sent","value":{"messages":100}}`:                                   2,
		`"f":"livelock"`:                                                         0,
	} {
		if n := strings.Count(got, want); n != times {
			t.Errorf("%d records %s, want %d:\n%s", n, want, times, got)
		}
	}
	n1.op(`{"f":"spin"}`)
	eventually(t, "a record of the livelock", func() bool {
		return strings.Contains(records(), `"f":"livelock","value":{"handler":"Timer spin","times":20001}}`)
	})
}
