package histories

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// merged makes a run of history lines and records of nodes, in a language of
// one word an op: process:f@lamport. It returns the merged history, in the
// same.
func merged(t *testing.T, history string, nodes map[string]string) (string, *Opened) {
	t.Helper()
	d := Dir(t.TempDir())
	if err := os.WriteFile(d.Path(ManifestName), []byte(`{"version":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for i, word := range strings.Fields(history) {
		process, f, lamport := parseWord(t, word)
		op := Op{Index: i, Time: Time(100 * i), Process: process, Type: Info, F: f, Lamport: lamport}
		lines = append(AppendJSON(lines, op), '\n')
	}
	if err := os.WriteFile(d.Path(HistoryName), lines, 0o600); err != nil {
		t.Fatal(err)
	}
	for node, words := range nodes {
		f, err := d.NodeFile(node, RecordsName)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(words) {
			if text, isText := strings.CutPrefix(word, "="); isText {
				io.WriteString(f, text)
				continue
			}
			_, name, lamport := parseWord(t, "0:"+word)
			fmt.Fprintf(f, `{"lamport":%d,"f":%q}`+"\n", lamport, name)
		}
		f.Close()
	}
	o, err := Open(string(d))
	if err != nil {
		t.Fatal(err)
	}
	// Merge does the same, for good, and doing it again changes nothing.
	for range 2 {
		if err := Merge(string(d)); err != nil {
			t.Fatal(err)
		}
		h, _, err := ReadFile(d.Path(HistoryName), ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, h, o.History)
	}
	return inWords(o.History), o
}

func parseWord(t *testing.T, word string) (p Process, f string, lamport uint64) {
	t.Helper()
	who, rest, _ := strings.Cut(word, ":")
	f, at, _ := strings.Cut(rest, "@")
	fmt.Sscan(at, &lamport)
	p = Named(who)
	return p, f, lamport
}

func inWords(h History) string {
	var words []string
	for _, op := range h.All() {
		word := fmt.Sprintf("%s:%s", op.Process, op.F)
		if op.Lamport > 0 {
			word += fmt.Sprintf("@%d", op.Lamport)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestMergeRecords(t *testing.T) {
	for _, c := range []struct {
		name, history string
		nodes         map[string]string
		want          string
	}{
		{"nothing to merge", "nemesis:a n1:b nemesis:c", nil, "nemesis:a n1:b nemesis:c"},
		{"all heard", "nemesis:a@1 n1:b@2 nemesis:c@3", map[string]string{"n1": "b@2"}, "nemesis:a@1 n1:b@2 nemesis:c@3"},
		{"some not heard", "nemesis:a@1 n1:b@2 nemesis:c@5", map[string]string{"n1": "b@2 d@3 e@6", "n2": "x@4"},
			"nemesis:a@1 n1:b@2 n1:d@3 n2:x@4 nemesis:c@5 n1:e@6"},
		// The harness reads a record after the answer that it caused.
		{"heard late", "nemesis:a@1 nemesis:c@5 n1:b@2", map[string]string{"n1": "b@2"}, "nemesis:a@1 n1:b@2 nemesis:c@5"},
		{"crash seen before the last records", "n1:crash@9 n1:b@2", map[string]string{"n1": "b@2 c@3"}, "n1:b@2 n1:c@3 n1:crash@9"},
		{"the harness' order is kept", "nemesis:a@5 nemesis:b@3 n1:x@4", map[string]string{"n1": "x@4"}, "n1:x@4 nemesis:a@5 nemesis:b@3"},
		{"a node's order is kept", "nemesis:a@4", map[string]string{"n1": "x@5 y@3 z@6"}, "nemesis:a@4 n1:x@5 n1:y@3 n1:z@6"},
		{"a node's order is kept, some of it heard", "n1:y@3", map[string]string{"n1": "x@5 y@3 z@6"}, "n1:x@5 n1:y@3 n1:z@6"},
		{"several of one time", "nemesis:a@5 n1:x@5 n1:x@5", map[string]string{"n1": "x@5 x@5 y@5 x@5"}, "nemesis:a@5 n1:x@5 n1:x@5 n1:y@5 n1:x@5"},
		{"ties go to the history", "nemesis:a@5", map[string]string{"n1": "x@5", "n2": "x@5"}, "nemesis:a@5 n1:x@5 n2:x@5"},
		{"without a time of its own", "nemesis:a@5 world:heal n1:x nemesis:b@7", map[string]string{"n1": "y@6"}, "nemesis:a@5 world:heal n1:x n1:y@6 nemesis:b@7"},
		{"history empty", "", map[string]string{"n1": "y@6"}, "n1:y@6"},
		{"torn records", "nemesis:a@5", map[string]string{"n1": `x@4 ={"lamport":7,"f`, "n2": `={"lam`}, "n1:x@4 nemesis:a@5"},
	} {
		got, o := merged(t, c.history, c.nodes)
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
		if want := strings.Count(c.name, "torn") * 2; o.Torn != want {
			t.Errorf("%s: got %d torn, want %d", c.name, o.Torn, want)
		}
	}
}

// A record without a time has that of the op before it.
func TestMergedTime(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Save(ManifestName, Manifest{Version: 1}); err != nil {
		t.Fatal(err)
	}
	if err := d.SaveFile(HistoryName, []byte(`{"time":50,"process":0,"type":"invoke","lamport":5}`)); err != nil {
		t.Fatal(err)
	}
	records := `{"lamport":4,"f":"early"}` + "\n" + `{"lamport":6,"f":"late","value":{"a":1},"more":2}` + "\n" + `{"lamport":7,"time":70,"f":"timed"}` + "\n" + `{"lamport":8,"f":"last"}`
	if err := d.SaveFile("nodes/n1/"+RecordsName, []byte(records)); err != nil {
		t.Fatal(err)
	}
	o, err := Open(string(d))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"index":0,"time":0,"process":"n1","type":"info","f":"early","lamport":4}
{"index":1,"time":50,"process":0,"type":"invoke","lamport":5}
{"index":2,"time":50,"process":"n1","type":"info","f":"late","value":{"a":1},"lamport":6,"more":2}
{"index":3,"time":70,"process":"n1","type":"info","f":"timed","lamport":7}
{"index":4,"time":70,"process":"n1","type":"info","f":"last","lamport":8}
`
	if got := write(t, o.History); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A run is merged wherever it lies, whatever the characters of its path.
func TestMergeInAnyDirectory(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "[a-b]*?\\"))
	if err := d.Save(ManifestName, Manifest{Version: 1}); err != nil {
		t.Fatal(err)
	}
	if err := d.SaveFile("nodes/n1/"+RecordsName, []byte(`{"lamport":1,"f":"x"}`+"\n")); err != nil {
		t.Fatal(err)
	}
	o, err := Open(string(d))
	if err != nil {
		t.Fatal(err)
	}
	if got := inWords(o.History); got != "n1:x@1" {
		t.Errorf("got %q, want the record of n1", got)
	}
}

func TestMergeRefuses(t *testing.T) {
	for _, c := range []struct{ record, want string }{
		{`{"lamport":1}`, "1: field f: it is missing: want the record's name"},
		{`{"lamport":1,"f":"x","process":"n2"}`, "1: field process: got n2, want n1 or nothing"},
		{`{"lamport":1,"f":"x","type":"ok"}`, "1: field type: got ok, want info or nothing"},
		{"{\n{}", "1: the record is cut off, and it is not the last one"},
	} {
		d := Dir(t.TempDir())
		if err := d.Save(ManifestName, Manifest{Version: 1}); err != nil {
			t.Fatal(err)
		}
		if err := d.SaveFile("nodes/n1/"+RecordsName, []byte(c.record)); err != nil {
			t.Fatal(err)
		}
		want := "open run: " + d.NodePath("n1", RecordsName) + ":" + c.want
		if _, err := Open(string(d)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Whatever the harness heard of what nodes recorded, the merged history has
// all, in an order in which causes come first.
func TestMergeKeepsCauses(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		// Processes exchange messages; each event has a number of its own, and
		// hears of what its process has heard of.
		names := []string{"nemesis", "n1", "n2"}
		var clock [3]uint64
		var log [3][]string // of each process
		var inbox [3]uint64
		for range 30 {
			p := r.IntN(3)
			clock[p] = max(clock[p], inbox[p]) + uint64(r.IntN(2)) + 1
			log[p] = append(log[p], fmt.Sprintf("e%d@%d", len(log[p]), clock[p]))
			if q := r.IntN(3); r.IntN(2) == 0 {
				inbox[q] = max(inbox[q], clock[p])
			}
		}
		// The harness heard a prefix of each node's log, at any time.
		var history []string
		heard := [3]int{len(log[0]), r.IntN(len(log[1]) + 1), r.IntN(len(log[2]) + 1)}
		var at [3]int
		for at != heard {
			if p := r.IntN(3); at[p] < heard[p] {
				history = append(history, names[p]+":"+log[p][at[p]])
				at[p]++
			}
		}
		got, _ := merged(t, strings.Join(history, " "), map[string]string{"n1": strings.Join(log[1], " "), "n2": strings.Join(log[2], " ")})
		var last uint64
		var seen [3]int
		for _, word := range strings.Fields(got) {
			p, f, lamport := parseWord(t, word)
			if lamport < last {
				t.Fatalf("seed %d: %s: %s comes too late", seed, got, word)
			}
			last = lamport
			for k, name := range names {
				if p == Named(name) {
					if want := fmt.Sprintf("e%d", seen[k]); f != want {
						t.Fatalf("seed %d: %s: got %s, want %s of %s", seed, got, f, want, name)
					}
					seen[k]++
				}
			}
		}
		if seen != [3]int{len(log[0]), len(log[1]), len(log[2])} {
			t.Fatalf("seed %d: got %v records", seed, seen)
		}
	}
}

func TestList(t *testing.T) {
	store := t.TempDir()
	for _, name := range []string{"b", "a", "torn", "broken"} {
		r, err := Create(filepath.Join(store, name), Manifest{ID: name})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Record(Op{Type: Invoke}); err != nil {
			t.Fatal(err)
		}
		if name == "a" {
			if err := r.Save(ResultName, map[string]any{"verdict": "invalid", "parts": []int{1}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(store, "torn", HistoryName), 10); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store, "broken", ManifestName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(store, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Dir(store).SaveFile("foreign/dir/file", make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := List(store)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, fmt.Sprintf("%s id=%q verdict=%q complete=%t torn=%t broken=%t size=%t",
			s.Name, s.Manifest.ID, s.Verdict, s.Complete, s.Torn, s.Error != "", s.Size > 100))
	}
	want := `a id="a" verdict="invalid" complete=true torn=false broken=false size=true
b id="b" verdict="" complete=false torn=false broken=false size=true
broken id="" verdict="" complete=false torn=false broken=true size=false
empty id="" verdict="" complete=false torn=false broken=true size=false
foreign id="" verdict="" complete=false torn=false broken=true size=false
torn id="torn" verdict="" complete=false torn=true broken=false size=true`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if _, err := List(filepath.Join(store, "none")); err == nil {
		t.Error("listed a store that does not exist")
	}
}
