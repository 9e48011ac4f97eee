package node

import (
	"strings"
	"testing"
)

type clumsy struct{ list []int }

func (c *clumsy) reach(i int) int { return c.list[i] }

// A panic tells the functions that it went through, without the world's own.
func TestProtect(t *testing.T) {
	if p := Protect(func() {}); p != nil {
		t.Errorf("nothing happened, and it is a panic: %+v", p)
	}
	p := Protect(func() { new(clumsy).reach(3) })
	if p == nil || !strings.Contains(p.Error, "index out of range [3]") {
		t.Fatalf("got %+v", p)
	}
	if want := "node.(*clumsy).reach (node/panic_test.go:10)"; len(p.Stack) != 1 || p.Stack[0] != want {
		t.Errorf("stack %q, want %q", p.Stack, want)
	}
}
