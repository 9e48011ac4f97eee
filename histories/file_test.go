package histories

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestWriteFileReads(t *testing.T) {
	want, err := Of(someOps(rand.New(rand.NewPCG(15, 16)), 1000)...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var sizes []int64
	for _, name := range []string{"h.jsonl", "h.edn", "h.jsonl.zst", "h.edn.zst"} {
		path := filepath.Join(dir, name)
		if err := WriteFile(path, want); err != nil {
			t.Fatal(err)
		}
		got, info, err := ReadFile(path, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, got, want)
		if format := strings.Split(name, ".")[1]; info.Format != format || info.Compressed != strings.HasSuffix(name, ".zst") {
			t.Errorf("%s: got %+v", name, info)
		}
		// Without a suffix, the content tells.
		plain := filepath.Join(dir, "plain")
		if err := os.Rename(path, plain); err != nil {
			t.Fatal(err)
		}
		again, asked, err := ReadFile(plain, ReadOptions{})
		if err != nil || !reflect.DeepEqual(asked, info) {
			t.Fatalf("%s without its suffix: %+v, %v", name, asked, err)
		}
		wantEqual(t, again, want)
		stat, err := os.Stat(plain)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, stat.Size())
	}
	if sizes[2] >= sizes[0]/2 || sizes[3] >= sizes[1]/2 {
		t.Errorf("got sizes %v: the last two should be compressed", sizes)
	}
	if err := WriteFile(filepath.Join(dir, "h.txt"), want); err == nil || !strings.Contains(err.Error(), "want a name that ends in .jsonl or .edn") {
		t.Errorf("got %v", err)
	}
}

func TestReadFileNamesWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl")
	if _, _, err := ReadFile(path, ReadOptions{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestReadRefusesDamagedCompression(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h.jsonl.zst")
	h, err := Of(typical(1000)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, h); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(bytes.NewReader(b[:len(b)/2]), path, ReadOptions{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("half a compressed file: got %v", err)
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "jsonl"},
		{" \n", "jsonl"},
		{`{"process":0,"type":"invoke"}`, "jsonl"},
		{" \n{ \"process\":0,\"type\":\"invoke\"}", "jsonl"},
		{`[ {"process":0,"type":"invoke"}]`, "jsonl"},
		{`[`, "jsonl"},
		{`{:process 0 :type :invoke}`, "edn"},
		{`[{:process 0 :type :invoke}]`, "edn"},
		{`#op{:process 0 :type :invoke}`, "edn"},
		{"; comment\n{:process 0 :type :invoke}", "edn"},
	} {
		_, info, err := Read(strings.NewReader(c.text), "standard input", ReadOptions{})
		if err != nil || info.Format != c.want {
			t.Errorf("%q: got %s, %v, want %s", c.text, info.Format, err, c.want)
		}
	}
}

func TestReadArray(t *testing.T) {
	const text = "[{\"process\":0,\"type\":\"invoke\",\"value\":[1,\n2]},\n {\"process\":0,\n \"type\":\"ok\"}\n]\n"
	h := read(t, text, ReadOptions{})
	if h.Len() != 2 || string(h.Value(0)) != "[1,2]" || h.Type(1) != OK {
		t.Errorf("got %s", write(t, h))
	}
	if got := read(t, "[ ]", ReadOptions{}); got.Len() != 0 {
		t.Errorf("got %d ops of an empty array", got.Len())
	}
	for end := range len(text) - 1 {
		h, info, err := Read(strings.NewReader(text[:end]), "h.json", ReadOptions{})
		if err != nil {
			t.Fatalf("%q: %v", text[:end], err)
		}
		whole := strings.Count(text[:end], "}")
		wantTorn := 1
		if end == 0 || strings.HasSuffix(text[:end], "]") && whole == 2 {
			wantTorn = 0
		}
		if h.Len() != whole || info.Torn != wantTorn {
			t.Errorf("%q: got %d ops, %d torn", text[:end], h.Len(), info.Torn)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"[{\"process\":0,\"type\":\"invoke\"}\n{}]", "h.json:2: column 1: got '{', want a comma or ]"},
		{"[{\"process\":0,\"type\":\"invoke\"},\n {\"process\":0,\n\"type\":\"okay\"}]", "h.json:2: field type: got \"okay\", want invoke, ok, fail or info"},
		{"[\n{\"a\" 1}]", "h.json:2: column 6: got '1', want a colon"},
		{"[]\nx", "h.json:2: column 1: got 'x', want the end of the file"},
		{"[1]", "h.json:1: column 1: got '1', want an op: { … }"},
	} {
		if _, _, err := Read(strings.NewReader(c.text), "h.json", ReadOptions{}); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}

func TestReadHead(t *testing.T) {
	const head, op = `{"example":"e-1","valid":false}`, `{"process":0,"type":"invoke"}`
	h, info, err := Read(strings.NewReader(head+"\n"+op+"\n"), "h.jsonl", ReadOptions{})
	if err != nil || h.Len() != 1 || string(info.Head) != head {
		t.Errorf("got %d ops, %+v, %v", h.Len(), info, err)
	}
	if _, _, err := Read(strings.NewReader(op+"\n"+head), "h.jsonl", ReadOptions{}); err == nil {
		t.Error("a head after an op was read")
	}
	h, info, err = Read(strings.NewReader(`{"process":0,"type":"invoke","example":1}`), "h.jsonl", ReadOptions{})
	if err != nil || h.Len() != 1 || info.Head != nil {
		t.Errorf("an op with a field of that name: got %d ops, %+v, %v", h.Len(), info, err)
	}
}

// Every golden history can be read.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("golden/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file == "golden/README.md" {
			continue
		}
		if h, info, err := ReadFile(file, ReadOptions{Compact: true}); err != nil || info.Torn != 0 {
			t.Errorf("%s: %d ops, %d torn, %v", file, h.Len(), info.Torn, err)
		}
	}
}
