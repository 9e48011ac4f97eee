package histories

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the recorder that the tests kill, see recorder.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TORTURE_TEST_RECORD"); dir != "" {
		recorder(dir)
	}
	os.Exit(m.Run())
}

// recorder records as fast as it can, for ever or until it cannot, and tells
// how many ops Sync has made durable.
func recorder(dir string) {
	if os.Getenv("TORTURE_TEST_FULL") != "" {
		signal.Ignore(syscall.SIGXFSZ)
		limit := unix.Rlimit{Cur: 100 << 10, Max: 100 << 10}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			panic(err)
		}
	}
	run, err := Create(dir, Manifest{ID: "killed"})
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		op := Op{Time: Time(i), Process: Process(i / 2 % 10), Type: Invoke, F: "write", Value: Encode(i)}
		if i%2 == 1 {
			op.Type = OK
		}
		if err := run.Record(op); err != nil {
			fmt.Println(err)
			os.Exit(3)
		}
		if i%20000 == 19999 {
			if err := run.Sync(); err != nil {
				fmt.Println(err)
				os.Exit(3)
			}
			fmt.Println(i + 1)
		}
	}
}

func startRecorder(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "TORTURE_TEST_RECORD="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// A run killed at any instant opens, and has all that was synced.
func TestKilledRunOpens(t *testing.T) {
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // the kernel draws most of it anyway
	for k := range 20 {
		dir := filepath.Join(t.TempDir(), "run")
		cmd, out := startRecorder(t, dir)
		wantSyncs := r.IntN(3)
		synced := 0
		for range wantSyncs {
			if !out.Scan() {
				t.Fatal("the recorder ended")
			}
			fmt.Sscan(out.Text(), &synced)
		}
		if wantSyncs == 0 {
			for { // at least the manifest is there
				if _, err := os.Stat(filepath.Join(dir, ManifestName)); err == nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Duration(r.IntN(int(20 * time.Millisecond))))
		cmd.Process.Kill()
		for out.Scan() {
			fmt.Sscan(out.Text(), &synced)
		}
		cmd.Wait()
		o, err := Open(dir)
		if err != nil {
			t.Fatalf("kill %d: %v", k, err)
		}
		if o.Manifest.ID != "killed" || o.Complete || o.Torn > 1 {
			t.Errorf("kill %d: got %+v", k, o)
		}
		if o.History.Len() < synced {
			t.Errorf("kill %d: %d ops were synced, %d are left", k, synced, o.History.Len())
		}
		for i, op := range o.History.All() {
			if op.Index != i || string(op.Value) != fmt.Sprint(i) {
				t.Fatalf("kill %d: op %d is %s", k, i, AppendJSON(nil, op))
			}
		}
	}
}

// When the disk is full, the error names the file, and what was recorded
// before can be read.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cmd, out := startRecorder(t, dir, "TORTURE_TEST_FULL=1")
	var last string
	for out.Scan() {
		last = out.Text()
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("the recorder: %v", err)
	}
	if !strings.Contains(last, filepath.Join(dir, HistoryName)) || !strings.Contains(last, syscall.EFBIG.Error()) {
		t.Errorf("got %q, want the file and %q", last, syscall.EFBIG)
	}
	o, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if o.History.Len() < 1000 || o.Torn != 1 {
		t.Errorf("got %d ops, %d torn", o.History.Len(), o.Torn)
	}
}

func newRun(t testing.TB) *Run {
	t.Helper()
	r, err := Create(filepath.Join(t.TempDir(), "run"), Manifest{ID: "x", Seed: 1<<64 - 1, Started: time.Unix(1, 0).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRecordOpens(t *testing.T) {
	want, err := Of(someOps(rand.New(rand.NewPCG(11, 12)), 500)...)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(t)
	for _, op := range ops(want) {
		op.Index = 77 // the run numbers them
		if err := r.Record(op); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Save(ResultName, map[string]string{"verdict": "valid"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	o, err := Open(string(r.Dir))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, o.History, want)
	if !o.Complete || o.Torn != 0 || o.Manifest.Seed != 1<<64-1 || o.Manifest.Version != ManifestVersion {
		t.Errorf("got %+v", o)
	}
}

func TestRecordFromManyGoroutines(t *testing.T) {
	r := newRun(t)
	var all sync.WaitGroup
	for p := range 4 {
		all.Go(func() {
			for range 1000 {
				if err := errors.Join(r.Record(Op{Process: Process(p), Type: Invoke}), r.Record(Op{Process: Process(p), Type: OK})); err != nil {
					t.Error(err)
				}
			}
			if err := r.Sync(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	o, err := Open(string(r.Dir)) // synced, not closed
	if err != nil || o.History.Len() != 8000 || o.Torn != 0 {
		t.Fatalf("got %+v, %v", o, err)
	}
}

// What is recorded reaches the kernel without being asked for.
func TestRecordIsFlushedByItself(t *testing.T) {
	r := newRun(t)
	if err := r.Record(Op{Type: Invoke}); err != nil {
		t.Fatal(err)
	}
	for {
		if o, err := Open(string(r.Dir)); err != nil {
			t.Fatal(err)
		} else if o.History.Len() == 1 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRecordRefuses(t *testing.T) {
	r := newRun(t)
	for _, c := range []struct {
		op   Op
		want string
	}{
		{Op{F: "w"}, "record op (process 0, none w): none is not a type of a history"},
		{Op{Type: OK, F: "w", Value: raw("{]")}, `record op (process 0, ok w): value "{]" is not JSON`},
		{Op{Type: OK, F: "w", Value: raw("")}, `record op (process 0, ok w): value "" is not JSON`},
		{Op{Type: OK, F: "w", Key: raw("k")}, `record op (process 0, ok w): key "k" is not JSON`},
		{Op{Type: OK, F: "w", Ext: map[string]json.RawMessage{"a": raw("1 2")}}, `record op (process 0, ok w): field a: "1 2" is not JSON`},
		{Op{Type: OK, F: "w", Ext: map[string]json.RawMessage{"index": raw("1")}}, `record op (process 0, ok w): the further field "index" has the name of one that every op has`},
	} {
		if err := r.Record(c.op); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Record(Op{Type: Invoke}); err == nil || !strings.HasSuffix(err.Error(), "history.jsonl is closed") {
		t.Errorf("recording after Close: got %v", err)
	}
	if err := r.Close(); err == nil {
		t.Error("closed twice")
	}
	if o, err := Open(string(r.Dir)); err != nil || o.History.Len() != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestCreateKeepsRuns(t *testing.T) {
	r := newRun(t)
	if _, err := Create(string(r.Dir), Manifest{}); err == nil || !strings.HasSuffix(err.Error(), "holds a run already") {
		t.Errorf("got %v", err)
	}
}

func TestSaveReplaces(t *testing.T) {
	d := Dir(t.TempDir())
	for _, content := range []string{"one", "two"} {
		if err := d.SaveFile("drawings/a.svg", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(d.Path("drawings/a.svg")); err != nil || string(got) != content {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if err := d.Save("x.json", func() {}); err == nil {
		t.Error("saved a function")
	}
	for _, bad := range []string{"../x", "/x", ""} {
		if err := d.SaveFile(bad, nil); err == nil {
			t.Errorf("saved %q", bad)
		}
	}
	var names []string
	if err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
		return err
	}); err != nil || fmt.Sprint(names) != "[a.svg]" {
		t.Errorf("left files %v, %v", names, err)
	}
}

// An error says once what it is about.
func TestErrorsNameTheirFileOnce(t *testing.T) {
	d := Dir(t.TempDir())
	for _, name := range []string{"taken.edn/a", "file"} {
		if err := d.SaveFile(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, _, read := ReadFile(string(d), ReadOptions{})
	_, _, edn := ReadFile(d.Path("taken.edn"), ReadOptions{})
	for _, c := range []struct {
		err  error
		want string
	}{
		{d.SaveFile("taken.edn", nil), "write " + d.Path("taken.edn") + ": file exists"},
		{d.SaveFile("file/x", nil), "write " + d.Path("file/x") + ": it is a regular file, and a run has a folder there"},
		{read, "read " + string(d) + ", line 1: is a directory"},
		{edn, "read " + d.Path("taken.edn") + ": is a directory"},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("got %v, want %s", c.err, c.want)
		}
	}
	full := d.writeAtomically("full", func(f *os.File) error {
		return &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	})
	if want := "write " + d.Path("full") + ": no space left on device"; full.Error() != want || !errors.Is(full, syscall.ENOSPC) {
		t.Errorf("got %v, want %s", full, want)
	}
}

func TestNodeFileAppends(t *testing.T) {
	d := Dir(t.TempDir())
	for range 2 {
		f, err := d.NodeFile("n1", "log")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(f, "hello")
		f.Close()
	}
	if got, err := os.ReadFile(d.NodePath("n1", "log")); err != nil || string(got) != "hello\nhello\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range [][2]string{{"..", "log"}, {"n1", "../log"}, {"n1/x", "log"}, {"", "log"}} {
		if _, err := d.NodeFile(bad[0], bad[1]); err == nil {
			t.Errorf("opened %q", bad)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	d := Dir(t.TempDir())
	if _, err := Open(string(d)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is not the directory of a run") {
		t.Errorf("got %v", err)
	}
	if err := d.SaveFile(ManifestName, []byte(`{"version":3}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(string(d)); err == nil || !strings.HasSuffix(err.Error(), "its version is 3, and this torture reads 1 to 2") {
		t.Errorf("got %v", err)
	}
}

// A run that was killed before it made its history has an empty one.
func TestOpenWithoutHistory(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Save(ManifestName, Manifest{Version: 1}); err != nil {
		t.Fatal(err)
	}
	if o, err := Open(string(d)); err != nil || o.History.Len() != 0 || o.Torn != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func BenchmarkRecord(b *testing.B) {
	all := typical(1000)
	r := newRun(b)
	b.SetBytes(int64(len(AppendJSON(nil, all[500])) + 1))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := r.Record(all[i]); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(all)
	}
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
