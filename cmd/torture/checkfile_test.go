package main

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
)

const stale = `{:process 0, :type :invoke, :f :write, :value 1, :time 10}
{:process 0, :type :ok, :f :write, :value 1, :time 20}
{:process 1, :type :invoke, :f :read, :value nil, :time 30}
{:process 1, :type :ok, :f :read, :value 2, :time 40}
`

// Histories as people have them are judged, or it is said what to do.
func TestCheckForms(t *testing.T) {
	tuples := strings.NewReplacer(":value 1", ":value [7 1]", ":value 2", ":value [7 2]", ":value nil", ":value [7 nil]").Replace(stale)
	// By the times the calls overlap; by the places the read is stale.
	ends := `{:process 0 :type :invoke :f :write :value 1 :time 15}
{:process 0 :type :ok :f :write :value 1 :time 26}
{:process 1 :type :invoke :f :read :time 14}
{:process 1 :type :ok :f :read :time 27}
`
	for _, test := range []struct {
		name, file, content string
		args                string
		code                int
		want                []string
	}{
		{"tuples", "h.edn", tuples, "", exitUsage, []string{"h.edn: all values are [key value]", "--independent"}},
		{"tuples that are some", "h.edn", tuples, "--independent", exitInvalid, []string{"read 7 2"}},
		{"tuples that are none", "h.edn", tuples, "--independent=false", exitInvalid, []string{"INVALID"}},
		{"completions only", "h.edn", strings.ReplaceAll(stale, ":invoke", ":ok"), "", exitUsage, []string{"h.edn:1: op 0", "never invoked", "--compact"}},
		{"index of each process", "h.edn", strings.NewReplacer(":time 10", ":index 1", ":time 20", ":index 2", ":time 30", ":index 1", ":time 40", ":index 2").Replace(stale), "",
			exitInvalid, []string{"h.edn: in line 3 the index goes back", "the index of 4 ops is not the place"}},
		{"seconds", "h.edn", strings.ReplaceAll(stale, ":time ", ":time 0.0"), "", exitInvalid, []string{"h.edn: times have fractions and are taken for seconds", "0.040s"}},
		{"history.txt", "h.txt", "0\t:invoke\t:write\t5\n", "", exitUsage, []string{"h.txt", "history.edn that lies beside it"}},
		{"test map", "h.edn", `{:name "x" :history [` + stale + `]}`, "", exitUsage, []string{"h.edn:1: it is a test map"}},
		{"UTF-16", "h.edn", "\xff\xfe{\x00:\x00", "", exitUsage, []string{"h.edn: it is UTF-16", "iconv"}},

		{"ends", "h.edn", ends, "", exitUnknown, []string{"the times of 1 op contradict the order of the file, by up to 12ns, first in line 3; the verdict depends on which is right",
			"in the order of the file it is invalid (", "in the order of its times valid", "--order time"}},
		{"ends, by place", "h.edn", ends, "--order file", exitInvalid, []string{"INVALID"}},
		{"ends, by time", "h.edn", ends, "--order time", exitValid, []string{"VALID"}},
		{"wrong in any order", "h.edn", strings.Replace(ends, ":read :time 27", ":read :value 9 :time 27", 1), "", exitInvalid, []string{"the verdict is the same in both orders", "read 9"}},
		{"no history by time", "h.edn", ends + "{:process 1 :type :invoke :f :read :time 16}\n", "", exitInvalid, []string{"judged is the order of the file: by its times it is no history"}},
		{"no history by time, and asked for", "h.edn", ends + "{:process 1 :type :invoke :f :read :time 16}\n", "--order time", exitUsage, []string{"in the order of its times: op"}},
		{"no order", "h.edn", ends, "--order up", exitUsage, []string{"--order up: want file, time or both"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.file, test.content)
			args := append([]string{"check", path, "--checker", "linearizable"}, strings.Fields(test.args)...)
			do(t, args...).want(t, test.code, test.want...)
		})
	}
}

func TestCheckStandardInput(t *testing.T) {
	file, err := os.Open(write(t, "h", stale))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	old := os.Stdin
	defer func() { os.Stdin = old }()
	os.Stdin = file
	do(t, "check", "-", "--checker", "linearizable").want(t, exitInvalid, "read 2")
	do(t, "check", "-").want(t, exitUsage, "standard input: say with --checker", "torture check - --checker linearizable")
	// It is read to its end now.
	do(t, "check", "-", "--checker", "linearizable").want(t, exitVacuous)
}

// A directory of Jepsen's store stands for its history.
func TestCheckJepsenStore(t *testing.T) {
	store := t.TempDir()
	dir := filepath.Join(store, "20240101")
	put(t, filepath.Join(dir, "history.edn"), stale)
	put(t, filepath.Join(dir, "results.edn"), "{:valid? true}")
	if err := os.Symlink(dir, filepath.Join(store, "latest")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(store, "latest")} {
		do(t, "check", path, "--checker", "linearizable").want(t, exitInvalid, "read 2")
		do(t, "check", path).want(t, exitUsage, path+" is a run of Jepsen, with its history in history.edn", "torture check "+path+" --checker linearizable")
	}
	do(t, "check", store).want(t, exitUsage, "holds runs of Jepsen and is none: say which, as "+filepath.Join(store, "latest"))
	do(t, "check", filepath.Join(dir, "results.edn"), "--checker", "linearizable").want(t, exitUsage, "results.edn:1: it is a result of Jepsen's checkers")

	packed := t.TempDir()
	f, err := os.Create(filepath.Join(packed, "history.edn.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(stale)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	do(t, "check", packed, "--checker", "linearizable").want(t, exitInvalid, "read 2")

	binary := t.TempDir()
	put(t, filepath.Join(binary, "test.jepsen"), "JEPSEN")
	do(t, "check", binary).want(t, exitUsage, "without its history.edn")
	dangling := t.TempDir()
	if err := os.Symlink(filepath.Join(dangling, "gone"), filepath.Join(dangling, "latest")); err != nil {
		t.Fatal(err)
	}
	do(t, "check", filepath.Join(dangling, "latest")).want(t, exitUsage, "no such file")
	do(t, "check", dangling).want(t, exitUsage, "is not the directory of a run")
}

// A checked file gets a report where that is asked for; else no drawing is
// named that nobody kept.
func TestCheckReport(t *testing.T) {
	path, dir := write(t, "h.edn", strings.ReplaceAll(stale, ":value 2", ":value nil")), filepath.Join(t.TempDir(), "of", "a file")
	args := []string{"check", path, "--checker", "linearizable"}
	do(t, append(args, "--report", dir)...).want(t, exitInvalid, "report  "+dir+"/report.html")
	r := decode[checker.Result](t, done{out: read(t, dir, "result.json")})
	if r.Verdict != checker.Invalid || len(r.Anomalies) != 1 || r.Anomalies[0].File == "" {
		t.Fatalf("result.json: %+v", r)
	}
	read(t, dir, r.Anomalies[0].File)
	if page := read(t, dir, "report.html"); !strings.Contains(page, r.Anomalies[0].File) || !strings.Contains(page, r.Anomalies[0].Kind) {
		t.Error("report.html does not show the anomaly and its drawing")
	}

	do(t, args...).want(t, exitInvalid, "report  by --report DIR")
	for _, more := range [][]string{{"--report", dir}, nil} {
		r := decode[checker.Result](t, do(t, append(append(args, "--json"), more...)...))
		if len(r.Anomalies) != 1 || (r.Anomalies[0].File != "") != (more != nil) {
			t.Errorf("%v: anomalies %+v", more, r.Anomalies)
		}
	}
	do(t, append(args, "--report", filepath.Join(path, "x"))...).want(t, exitFailed, "torture failed:")
}
