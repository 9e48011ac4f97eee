package docker

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// watched is the reason for which a world ends whose engine lists these
// containers, one answer after the other, the last for ever.
func watched(t *testing.T, prepare func(*World), answers ...string) error {
	t.Helper()
	var asked atomic.Int64
	w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
		switch answer := answers[min(int(asked.Add(1)), len(answers))-1]; answer {
		case "hangs":
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		case "fails":
			http.Error(w, "no", http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}, nil)
	if prepare != nil {
		prepare(w)
	}
	go w.watch(time.Millisecond, 20*time.Millisecond)
	for {
		select {
		case <-w.gone:
			return w.ended()
		case <-time.After(time.Millisecond):
			if int(asked.Load()) > len(answers)+10 {
				return nil
			}
		}
	}
}

const (
	allRun   = `[{"Id":"n1","State":"running"},{"Id":"n2","State":"running"},{"Id":"n3","State":"running"}]`
	n2Paused = `[{"Id":"n1","State":"running"},{"Id":"n2","State":"paused"},{"Id":"n3","State":"running"}]`
	n2Gone   = `[{"Id":"n1","State":"running"},{"Id":"n3","State":"running"}]`
	nowhere  = ""
)

// What somebody else does to a container ends the world by its name; what
// torture does, and what was only seen once, does not.
func TestWatchSeesOthers(t *testing.T) {
	paused := func(w *World) { w.byName["n2"].state = paused }
	acting := func(w *World) { w.byName["n2"].acting <- struct{}{} }
	for _, c := range []struct {
		prepare func(*World)
		answers []string
		want    string
	}{
		{nil, []string{allRun}, nowhere},
		{nil, []string{n2Paused, allRun, n2Gone, allRun}, nowhere},
		{nil, []string{allRun, n2Paused}, "n2 was paused"},
		{nil, []string{n2Gone}, "the container of n2 was removed"},
		{paused, []string{n2Paused}, nowhere},
		{paused, []string{allRun}, "n2 was resumed"},
		{acting, []string{n2Paused}, nowhere},
	} {
		err := watched(t, c.prepare, c.answers...)
		var d *Disturbed
		switch {
		case c.want == nowhere && err != nil:
			t.Errorf("%v: the world ends: %v", c.answers, err)
		case c.want != nowhere && (!errors.As(err, &d) || d.What != c.want):
			t.Errorf("%v: error %v, want that %s", c.answers, err, c.want)
		}
	}
}

// An engine that falls silent, or answers nothing but errors, ends the world;
// one that does so once or twice does not.
func TestWatchMissesTheEngine(t *testing.T) {
	if err := watched(t, nil, "hangs", "fails", allRun, "hangs", "hangs", allRun); err != nil {
		t.Errorf("an engine with hiccups: %v", err)
	}
	for _, failure := range []string{"hangs", "fails"} {
		err := watched(t, nil, allRun, failure)
		if err == nil || !strings.Contains(err.Error(), "does not answer any more") {
			t.Errorf("an engine that %s: error %v", failure, err)
		}
	}
}
