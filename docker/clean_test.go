package docker

import (
	"io"
	"net/http"
	"reflect"
	"strings"
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
