package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torture-harness/torture/docker"
	"github.com/torture-harness/torture/histories"
)

// storeOf makes a store of runs that came to these, the oldest first; a verdict
// may be followed by a state. An empty one was not checked.
func storeOf(t *testing.T, verdicts ...string) string {
	t.Helper()
	store := t.TempDir()
	for i, v := range verdicts {
		dir := filepath.Join(store, fmt.Sprintf("run-%d", i))
		target := []string{"total", "raft"}[i%2]
		began := time.Date(2026, 1, 2+i, 12, 0, 0, 0, time.Local).Format(time.RFC3339)
		put(t, filepath.Join(dir, "run.json"), fmt.Sprintf(`{"version":1,"target":%q,"workload":"w","world":"sim","seed":%d,"time_limit":20000000000,"started":%q}`, target, i, began))
		put(t, filepath.Join(dir, "history.jsonl"), strings.Repeat("\n", 1000*(10-i)))
		if verdict, state, _ := strings.Cut(v, " "); v != "" {
			put(t, filepath.Join(dir, "result.json"), fmt.Sprintf(`{"version":1,"verdict":%q,"state":%q}`, verdict, state))
		}
	}
	return store
}

// order is the runs of a list, in its order.
func order(t *testing.T, store string, args ...string) string {
	t.Helper()
	var names []string
	for _, r := range decode[[]histories.Summary](t, do(t, append([]string{"list", "--json", "--store", store}, args...)...)) {
		names = append(names, strings.TrimPrefix(r.Name, "run-"))
	}
	return strings.Join(names, " ")
}

func TestList(t *testing.T) {
	store := storeOf(t, "valid complete", "invalid complete", "unknown interrupted", "unknown failed", "", "vacuous complete")
	// Results of before there was a version open as well.
	put(t, filepath.Join(store, "run-1", "result.json"), `{"verdict":"invalid","result":{"checker":"x","verdict":"invalid"}}`)
	put(t, filepath.Join(store, "run-3", "result.json"), `{"verdict":"unknown","error":"the engine is gone"}`)
	do(t, "list", "--store", store).want(t, exitValid, "unknown (interrupted)", "unknown (failed)", "not checked", "raft/w", "6 runs, ")
	for _, test := range []struct{ args, want string }{
		{"", "0 1 2 3 4 5"},
		{"--target raft", "1 3 5"},
		{"--verdict invalid,vacuous", "1 5"},
		{"--verdict unknown", "2 3"},
		{"--verdict interrupted", "2"},
		{"--verdict failed,unchecked", "3 4"},
		{"--since 2026-01-05", "3 4 5"},
		{"--since 2026-01-05T13:00", "4 5"},
		{"--since 1h", ""},
		{"--sort size", "4 5 3 2 1 0"},
		{"--sort target", "1 3 5 0 2 4"},
		{"--verdict unknown --target raft", "3"},
	} {
		if got := order(t, store, strings.Fields(test.args)...); got != test.want && test.args != "--sort size" {
			t.Errorf("list %s: %s, want %s", test.args, got, test.want)
		}
	}
	sizes := decode[[]histories.Summary](t, do(t, "list", "--json", "--sort", "size", "--store", store))
	for i := range sizes[1:] {
		if sizes[i].Size > sizes[i+1].Size {
			t.Errorf("--sort size: %d before %d", sizes[i].Size, sizes[i+1].Size)
		}
	}
	put(t, filepath.Join(store, "run-5", "result.json"), `{"version":99,"verdict":"valid"}`)
	do(t, "list", "--store", store).want(t, exitValid, "broken: ", "its version is 99")
}

// prune keeps the last, and all that failed or was not judged.
func TestPrune(t *testing.T) {
	store := storeOf(t, "valid complete", "invalid complete", "valid complete", "unknown interrupted", "", "vacuous complete", "valid complete")
	put(t, filepath.Join(store, "notes", "todo.txt"), "not a run")
	do(t, "prune", "--keep", "2", "--dry-run", "--store", store).want(t, exitValid, "would remove "+filepath.Join(store, "run-0"), "would remove 2 runs")
	if got := order(t, store, "--since", "2000-01-01"); got != "0 1 2 3 4 5 6" {
		t.Errorf("after a dry run: %s", got)
	}
	p := decode[pruned](t, do(t, "prune", "--keep", "2", "--store", store, "--json"))
	if got := order(t, store, "--since", "2000-01-01"); got != "1 3 4 5 6" || len(p.Removed) != 2 || p.Kept != 6 || p.Bytes < 18000 {
		t.Errorf("kept %s; %+v", got, p)
	}
	do(t, "prune", "--keep", "0", "--target", "total", "--store", store).want(t, exitValid, "removed 1 run")
	if got := order(t, store, "--since", "2000-01-01"); got != "1 3 4 5" {
		t.Errorf("kept %s", got)
	}
	if _, err := os.Stat(filepath.Join(store, "notes", "todo.txt")); err != nil {
		t.Error(err)
	}
	do(t, "prune", "--keep", "0", "--store", filepath.Join(store, "none")).want(t, exitValid, "removed 0 runs")
}

// clean without a run lists what there is, of whoever it is, and removes
// nothing; a run that there is not is an error.
func TestCleanAsks(t *testing.T) {
	var removed atomic.Int32
	left := true
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `[]`
		switch {
		case r.Method == http.MethodDelete:
			removed.Add(1)
		case strings.HasSuffix(r.URL.Path, "/version"):
			answer = `{"Os":"linux","Version":"99","ApiVersion":"1.41"}`
		case strings.HasSuffix(r.URL.Path, "/volumes"):
			answer = `{}`
		case left && strings.HasSuffix(r.URL.Path, "/containers/json") && !strings.Contains(r.URL.RawQuery, "torture.run%3D"):
			answer = `[{"Id":"1","Names":["/somebodys-n1"]}]`
		}
		fmt.Fprint(w, answer)
	}))
	defer engine.Close()
	t.Setenv("DOCKER_HOST", "tcp://"+engine.Listener.Addr().String())
	do(t, "clean").want(t, exitUsage, "container  somebodys-n1\n", "nothing was removed", "torture clean --all")
	if r := decode[docker.Report](t, do(t, "clean", "--json")); len(r.Containers) != 1 {
		t.Errorf("%+v", r)
	}
	do(t, "clean", "nosuch", "--store", t.TempDir()).want(t, exitUsage, "nosuch: there is no such run")
	do(t, "clean", "run-0", "--store", storeOf(t, "valid complete")).want(t, exitValid, "removed 0 containers")
	if n := removed.Load(); n > 0 {
		t.Errorf("%d things were removed", n)
	}
	left = false
	do(t, "clean").want(t, exitValid, "nothing of torture's is on the engine")
}
