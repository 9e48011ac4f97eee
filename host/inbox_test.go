package host

import (
	"sync"
	"testing"
	"time"
)

// TestInboxFull brings more than the inbox holds: all of it arrives, what one
// goroutine brings in its order, and those that still wait at the end are told.
func TestInboxFull(t *testing.T) {
	in := newInbox()
	const putters, each = 8, inboxLimit
	var wg sync.WaitGroup
	for p := range putters {
		wg.Go(func() {
			for i := range each {
				if !in.put(event{kind: receive, msg: [2]int{p, i}}) {
					t.Errorf("event %d of %d was refused", i, p)
				}
			}
		})
	}
	var next [putters]int
	for n := 0; n < putters*each; {
		ev, ok := in.take()
		if !ok {
			in.wait(time.Hour)
			continue
		}
		n++
		m := ev.msg.([2]int)
		if m[1] != next[m[0]] {
			t.Fatalf("event %d of %d came when %d was due", m[1], m[0], next[m[0]])
		}
		next[m[0]]++
	}
	wg.Wait()

	for range 2 * inboxLimit { // the owner's own do not wait
		if !in.offer(event{}) {
			t.Fatal("the inbox refuses before it is full twice over")
		}
	}
	if in.offer(event{}) {
		t.Error("the inbox has no bound")
	}
	refused := make(chan bool)
	go func() { refused <- !in.put(event{}) }()
	in.close()
	if !<-refused {
		t.Error("a closed inbox took an event")
	}
}
