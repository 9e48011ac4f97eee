package host

import (
	"fmt"
	"testing"
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
