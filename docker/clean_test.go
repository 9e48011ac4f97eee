package docker

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

// The report names what was removed, and the error what was not.
func TestCleanPartly(t *testing.T) {
	w := fakeWorld(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "-stuck"):
			http.Error(w, `{"message":"it is stuck"}`, http.StatusInternalServerError)
		case r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "-gone"):
			http.Error(w, `{"message":"it is gone"}`, http.StatusNotFound)
		case r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/images/"):
			io.WriteString(w, `[]`)
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			io.WriteString(w, `[{"Id":"c-stuck","Names":["/stuck"]},{"Id":"c-gone","Names":["/gone"]},{"Id":"c","Names":["/removed"]}]`)
		case strings.HasSuffix(r.URL.Path, "/networks"):
			io.WriteString(w, `[{"Id":"n-stuck","Name":"stuck"},{"Id":"n","Name":"removed"}]`)
		case strings.HasSuffix(r.URL.Path, "/volumes"):
			io.WriteString(w, `{"Volumes":[{"Name":"v-stuck"},{"Name":"v"}]}`)
		case strings.HasSuffix(r.URL.Path, "/images/json"):
			io.WriteString(w, `[{"Id":"i-stuck","RepoTags":["stuck"]},{"Id":"i","RepoTags":["removed"]}]`)
		}
	}, nil)
	got, err := remove(t.Context(), w.cli, "", true)
	if err == nil || strings.Count(err.Error(), "it is stuck") != 4 {
		t.Errorf("error %v, want all that is stuck", err)
	}
	want := Report{Containers: []string{"gone", "removed"}, Networks: []string{"removed"}, Volumes: []string{"v"}, Images: []string{"removed"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("removed %+v, want %+v", got, want)
	}
}

// What is being made when a start is given up is waited for: it has to be removed.
func TestUncut(t *testing.T) {
	for what, bring := range map[string]func(context.Context, *World) error{
		"network": func(ctx context.Context, w *World) error { return w.createNetwork(ctx) },
		"volume":  func(ctx context.Context, w *World) error { return w.members[0].makeVolume(ctx) },
	} {
		begun, given := make(chan struct{}), make(chan struct{})
		var asked, cut atomic.Int32
		w := fakeWorld(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			asked.Add(1)
			close(begun)
			select {
			case <-given:
			case <-r.Context().Done():
				cut.Add(1)
			}
			rw.WriteHeader(http.StatusCreated)
			_, _ = rw.Write([]byte("{}"))
		}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- bring(ctx, w) }()
		<-begun
		cancel()
		close(given)
		if err := <-done; err != nil || asked.Load() != 1 || cut.Load() != 0 {
			t.Errorf("%s: %v; asked %d times, cut short %d times", what, err, asked.Load(), cut.Load())
		}
		if err := bring(ctx, w); err == nil || asked.Load() != 1 {
			t.Errorf("%s: it is begun after the end: %v", what, err)
		}
	}
}
