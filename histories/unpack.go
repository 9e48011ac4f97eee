package histories

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// unpack returns the text of a file, which may be compressed and may begin
// with a byte order mark. A file that is packed in another way is refused by
// name. done must be called when all is read.
func unpack(r io.Reader, name string, l Limits) (in *bufio.Reader, compressed bool, done func(), err error) {
	packed := &counter{r: r}
	in, done = bufio.NewReaderSize(packed, textBuffer), func() {}
	head, _ := in.Peek(4)
	for _, c := range compressions {
		if !bytes.HasPrefix(head, []byte(c.magic)) {
			continue
		}
		unpacked, err := c.open(in)
		if err != nil {
			return in, true, done, fmt.Errorf("read %s: %w", name, err)
		}
		if closer, ok := unpacked.(interface{ Close() }); ok {
			done = closer.Close
		}
		bounded := &inflated{counter: counter{r: unpacked}, packed: packed, ratio: cmp.Or(l.Ratio, RatioDefault)}
		in, compressed = bufio.NewReaderSize(bounded, textBuffer), true
		break
	}
	head, _ = in.Peek(512)
	if what := foreign(head); what != "" {
		done()
		return in, compressed, func() {}, fmt.Errorf("read %s: %s", name, what)
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		_, _ = in.Discard(len(byteOrderMark))
	}
	return in, compressed, done, nil
}

const (
	textBuffer    = 64 << 10
	byteOrderMark = "\ufeff"
)

// compressions are those that are read, by the bytes that a file of each
// begins with. Of them, zstd and gzip are written.
var compressions = []struct {
	magic string
	open  func(io.Reader) (io.Reader, error)
}{
	{"\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	}},
	{"\x1f\x8b", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
}

// suffixes are those of compressed files.
var suffixes = []string{".zst", ".gz", ".bz2"}

// plainName is the name without the suffix of its compression.
func plainName(name string) string {
	for _, s := range suffixes {
		if plain, ok := strings.CutSuffix(name, s); ok {
			return plain
		}
	}
	return name
}

// foreign says what a file is that begins with head, and what to do, if it is
// known not to be a history.
func foreign(head []byte) string {
	starts := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	const unpackIt = ": unpack it, and give the history in it"
	switch {
	case starts("\xff\xfe"), starts("\xfe\xff"), wide(head):
		return "it is UTF-16: convert it to UTF-8, as by iconv -f UTF-16 -t UTF-8"
	case starts("PK\x03\x04"):
		return "it is a zip archive" + unpackIt
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return "it is a tar archive" + unpackIt
	case starts("\xfd7zXZ\x00"):
		return "it is compressed by xz, which torture does not read: unpack it, or give it as gzip, bzip2 or zstd"
	case starts("JEPSEN"):
		return "it is Jepsen's binary format: give the history.edn or history.edn.gz that lies beside it"
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	if printedOp.Match(line) {
		return "it is what Jepsen prints for people (history.txt, jepsen.log), where values are cut: give the history.edn that lies beside it"
	}
	return ""
}

// printedOp is an op as Jepsen's history.txt and log have it.
var printedOp = regexp.MustCompile(`^\s*[^\s{"\[(;#].*\s:(invoke|ok|fail|info)\s+:`)

// wide tells whether head is a text of two bytes a character, all of them
// ASCII.
func wide(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	return head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0 ||
		head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0
}

// formatOf tells whether a file holds jsonl or edn: by what it begins with, if
// only one of them can begin so, else by its name's suffix.
func formatOf(name string, in *bufio.Reader) string {
	head, _ := in.Peek(4 << 10)
	rest := bytes.TrimLeft(head, " \t\r\n")
	if len(rest) > 0 && rest[0] == '[' {
		rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	}
	named := ""
	switch name = plainName(name); {
	case strings.HasSuffix(name, ".jsonl"), strings.HasSuffix(name, ".json"):
		named = "jsonl"
	case strings.HasSuffix(name, ".edn"):
		named = "edn"
	}
	switch {
	case len(rest) == 0:
	case rest[0] == '{':
		switch member := bytes.TrimLeft(rest[1:], " \t\r\n"); {
		case len(member) == 0:
		case bytes.IndexByte([]byte(":#;"), member[0]) >= 0:
			return "edn"
		case member[0] == '"' && (named == "" || jsonMember.Match(member)):
			return "jsonl"
		case named == "":
			return "edn"
		}
	case bytes.IndexByte([]byte("(;#"), rest[0]) >= 0:
		return "edn"
	case named == "":
		return "edn"
	}
	if named == "" {
		return "jsonl"
	}
	return named
}

// jsonMember is the beginning of a JSON object's member. In EDN a keyword may
// follow a string, and begins with a letter.
var jsonMember = regexp.MustCompile(`^"[^"\\]*":[^\pL]`)
