package histories

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

const (
	oneJSON = `{"process":0,"type":"invoke","f":"read"}` + "\n"
	oneEDN  = "{:process 0, :type :invoke, :f :read}\n"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(text), nil))
}

// oneBzip2 is oneJSON, compressed by bzip2.
const oneBzip2 = "425a6839314159265359f75261d3000013d9800010100440102f29dd2a20002220d00d0c87a851a32068d3234162bb4ea1f04b5ce0eaaa6db8b429b1f848a8b88f808fc5dc914e14243dd49874c0"

// utf16Of is an ASCII text in two bytes a character.
func utf16Of(text string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// However a file is packed, and whatever it is called, it holds the same.
func TestUnpack(t *testing.T) {
	bz, err := hex.DecodeString(oneBzip2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, content string
		compressed    bool
	}{
		{"h.jsonl", oneJSON, false},
		{"h.jsonl", byteOrderMark + oneJSON, false},
		{"h.edn", byteOrderMark + oneEDN, false},
		{"h.jsonl.gz", gzipped(t, oneJSON), true},
		{"h.edn.gz", gzipped(t, oneEDN), true},
		{"h.edn", gzipped(t, byteOrderMark+oneEDN), true},
		{"h", gzipped(t, oneEDN), true},
		{"h.jsonl.gz", gzipped(t, oneJSON[:10]) + gzipped(t, oneJSON[10:]), true},
		{"h.jsonl.zst", zstandard(t, oneJSON), true},
		{"h", zstandard(t, oneEDN), true},
		{"h.jsonl.bz2", string(bz), true},
		{"h", string(bz), true},
		// The content tells more than the name.
		{"h.jsonl", oneEDN, false},
		{"h.json", "[" + oneEDN + "]", false},
		{"h.json", "; a comment\n" + oneEDN, false},
		{"h.edn", oneJSON, false},
		{"h.txt", oneEDN, false},
	} {
		h, info, err := Read(strings.NewReader(c.content), c.file, ReadOptions{})
		if err != nil || h.Len() != 1 || h.F(0) != "read" || info.Compressed != c.compressed {
			t.Errorf("%s %.40q: %d ops, %+v, %v", c.file, c.content, h.Len(), info, err)
		}
	}
}

// What is not a history in a form that is read is refused by its name, with
// what to do.
func TestForeign(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"UTF-16 with a mark", "\xff\xfe" + utf16Of(oneJSON, false), "it is UTF-16: convert it to UTF-8, as by iconv -f UTF-16 -t UTF-8"},
		{"UTF-16, big ends first", "\xfe\xff" + utf16Of(oneJSON, true), "it is UTF-16"},
		{"UTF-16 without a mark", utf16Of(oneEDN, false), "it is UTF-16"},
		{"UTF-16 without a mark, big ends first", utf16Of(oneEDN, true), "it is UTF-16"},
		{"UTF-16, compressed", gzipped(t, utf16Of(oneEDN, true)), "it is UTF-16"},
		{"zip", "PK\x03\x04xxxxxxx", "it is a zip archive: unpack it"},
		{"tar", strings.Repeat("\x00", 257) + "ustar\x00", "it is a tar archive: unpack it"},
		{"xz", "\xfd7zXZ\x00xx", "it is compressed by xz"},
		{"Jepsen's binary", "JEPSEN\x00\x00", "give the history.edn or history.edn.gz that lies beside it"},
		{"history.txt", "0\t:invoke\t:write\t5\n", "it is what Jepsen prints for people"},
		{"history.txt from the nemesis", ":nemesis\t:info\t:start\tnil\n", "give the history.edn that lies beside it"},
		{"jepsen.log", "2024-05-05 12:00:00,123{GMT}\tINFO\t[jepsen worker 1] jepsen.util: 0\t:invoke\t:read\tnil\n", "it is what Jepsen prints for people"},
	} {
		_, _, err := Read(strings.NewReader(c.content), "h.edn", ReadOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), "read h.edn: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct{ content, want string }{
		{`{"name":"demo","history":[]}`, "h.json:1: it is a test map of Jepsen, and not an op: give what it has under :history"},
		{`{:name "demo", :history []}`, "h.json:1: it is a test map of Jepsen, and not an op: give what it has under :history"},
		{"{:name \"demo\",\n:nodes [\"n1\"]}", "h.json:1: it is a test map of Jepsen, and not an op: the history lies beside it"},
		{`{:valid? true}`, "h.json:1: it is a result of Jepsen's checkers"},
	} {
		_, _, err := Read(strings.NewReader(c.content), "h.json", ReadOptions{})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.content, err, c.want)
		}
	}
}

func TestDamagedGzip(t *testing.T) {
	whole := gzipped(t, strings.Repeat(oneJSON, 100))
	for _, content := range []string{whole[:len(whole)/2], whole[:5], whole[:len(whole)-8] + "\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if _, _, err := Read(strings.NewReader(content), "h.jsonl.gz", ReadOptions{}); err == nil || !strings.Contains(err.Error(), "h.jsonl.gz") {
			t.Errorf("%d of %d bytes: got %v", len(content), len(whole), err)
		}
	}
}
