package histories

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readEDN(t testing.TB, text string, o ReadOptions) History {
	t.Helper()
	h, _, err := Read(strings.NewReader(text), "h.edn", o)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return h
}

// TestEDNForms is the table in edn_scan.go.
func TestEDNForms(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`nil`, ``},
		{`true`, `true`},
		{`[false nil]`, `[false,null]`},
		{`"a\"b\\c\n\t\r\b\fü\u00e9\ud83d\ude00"`, `"a\"b\\c\n\t\r\u0008\u000cüé😀"`},
		{"\"two\nlines\"", `"two\nlines"`},
		{`"\ud83d x"`, `"` + "\ufffd" + ` x"`},
		{`:k`, `":k"`},
		{`:ns/k`, `":ns/k"`},
		{`[":k" "::k" ":" "::" ": k" ":k l" {":k" 1}]`, `["::k",":::k",":","::",": k",":k l",{"::k":1}]`},
		{`sym`, `"sym"`},
		{`-`, `"-"`},
		{`[\a \newline \space \u00e9 \( \) \\ \ü]`, `["a","\n"," ","é","(",")","\\","ü"]`},
		{`[42 -42 +42 0 -0 42N 9007199254740993 123456789012345678901234567890N]`, `[42,-42,42,0,0,42,9007199254740993,123456789012345678901234567890]`},
		{`[1.5 -1.50M 1e9 1.5E-3 2. 3M]`, `[1.5,-1.5,1000000000,0.0015,2,3]`},
		{`[0x2a -0xFF 1/3 -22/7]`, `[42,-255,"1/3","-22/7"]`},
		{`[##Inf ##-Inf ##NaN]`, `["##Inf","##-Inf","##NaN"]`},
		{`(1 [2] #{3 4})`, `[1,[2],[3,4]]`},
		{`[#{10 :b 9 "b" #{} 2.0} #{}]`, `[[2,9,10,[],"b",":b"],[]]`},
		{`{:k 1, "s" 2 sym 3}`, `{":k":1,"s":2,"sym":3}`},
		{`{1 2 [1 "a"] 3 nil 4 {:a 1} 5}`, `{"1":2,"[1 \"a\"]":3,"nil":4,"{:a 1}":5}`},
		{strings.Repeat("{", 3) + "1 2} 3} 4}", `{"{{1 2} 3}":4}`},
		{`#:ns{:a 1 :b/c 2 "d" 3}`, `{":b/c":2,":ns/a":1,"d":3}`},
		{`#inst "2024-01-01"`, `"2024-01-01"`},
		{`#jepsen.independent.tuple [1 [2 3]]`, `[1,[2,3]]`},
		{`#clojure.lang.MapEntry[:x 1]`, `[":x",1]`},
		{`#object[java.lang.Object 0x1f "x"]`, `{"#object":["java.lang.Object",31,"x"]}`},
		{`[1 ; two` + "\n" + ` #_ 3 #_#_ 4 5 6 #_[7 8]]`, `[1,6]`},
		{`[[:append :x 1] [:r "y" [1 2]]]`, `[["append",":x",1],["r","y",[1,2]]]`},
		{`[[:w :r :w] [:cas :r] [[:r]] :r "r"]`, `[["w",":r",":w"],[":cas",":r"],[["r"]],":r","r"]`},
		{`[:r :x nil]`, `[":r",":x",null]`},
	} {
		h := readEDN(t, `{:type :invoke, :process 0, :value `+c.in+`}`, ReadOptions{})
		if got := string(h.Value(0)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestEDNOps(t *testing.T) {
	want := `{"index":0,"time":5,"process":3,"type":"invoke","f":"cas","value":[1,2]}
{"index":1,"time":1,"process":"nemesis","type":"info","f":"start-partition"}
{"index":2,"time":2,"process":3,"type":"fail","f":"cas","value":[1,2],"node":"n1","error":"not-held"}
{"index":3,"time":3,"process":4,"type":"invoke","key":":k"}
{"index":4,"time":4,"process":4,"type":"info","error":"[\"timeout\",5]","exception":{"via":[{"type":"java.net.SocketTimeoutException"}]}}
`
	list := []string{
		`{:index 0, :time 5, :type :invoke, :process 3, :f :cas, :value [1 2]}`,
		`#jepsen.history.Op{:index 1, :type :info, :process :nemesis, :f :start-partition, :value nil}`,
		`{:type :fail :process 3 :f "cas" :value [1 2] :node n1 :error :not-held}`,
		`{:type :invoke :process 4 :f nil :key :k}`,
		"{:type :info, :process 4\n  :error [:timeout 5],\n  :exception {:via [{:type java.net.SocketTimeoutException}]}}",
	}
	for _, text := range []string{
		strings.Join(list, "\n") + "\n",
		"; a comment\n" + strings.Join(list, " "),
		"[" + strings.Join(list, "\n ") + "]\n",
		"(" + strings.Join(list, ", ") + ")",
	} {
		if got := write(t, readEDN(t, text, ReadOptions{})); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestEDNIndependent(t *testing.T) {
	h := readEDN(t, `{:type :invoke :process 0 :f :cas :value [7 [1 2]]} {:type :ok :process 0 :value #jepsen.independent.tuple[7 nil]}`, ReadOptions{Independent: true})
	if string(h.Key(0)) != "7" || string(h.Value(0)) != "[1,2]" || string(h.Key(1)) != "7" || h.Value(1) != nil {
		t.Errorf("got %s", write(t, h))
	}
}

func TestEDNMalformed(t *testing.T) {
	const good = "{:process 0 :type :invoke}\n"
	for _, c := range []struct{ in, want string }{
		{`{:process 1 :type :okay}`, `h.edn:2: field type: got "okay", want invoke, ok, fail or info`},
		{`{:type :ok}`, `h.edn:2: field process: it is missing: want the number of a client, or a name`},
		{`{:type :ok :process 1.5}`, `h.edn:2: field process: got 1.5, want a number from 0 to 1999999999, or a name`},
		{`{:type :ok :type :ok}`, `h.edn:2: field type: it appears twice`},
		{`{:process 1 :type :ok}`, `h.edn:2: op 1 (process 1, ok ): the process completes what it never invoked`},
		{"\n\n" + `{:process 1 :type}`, `h.edn:4: column 18: got '}', want the value of the last key`},
		{`{:process 1` + "\n" + `:value 012}`, `h.edn:3: column 8: got '0', want a number that EDN has, not 012`},
		{`{:value 1/x}`, `h.edn:2: column 9: got '1', want a number that EDN has, not 1/x`},
		{`{:value ^:meta x}`, `h.edn:2: column 9: got '^', want a form`},
		{`{:value "\q"}`, `h.edn:2: column 11: got 'q', want one of "\bfnrtu`},
		{`{:value \toolong}`, `h.edn:2: column 9: got '\\', want a character such as \a, \newline or \u0061, not \toolong`},
		{`{:value [1}`, `h.edn:2: column 11: got '}', want a form`},
		{`{:value ::k}`, `h.edn:2: column 10: got ':', want a keyword with one colon`},
		{`{:process 1 :type :ok :value #{1 2 1.0}}`, `h.edn:2: a set has 1 twice`},
		{`{:process 1 :type :invoke :value {:a 1 :a 2}}`, `h.edn:2: op 1 (process 1, invoke ): value {":a":1,":a":2}: member ":a" appears twice`},
		{`42`, `h.edn:2: column 1: got '4', want an op: {…}`},
		{`}`, `h.edn:2: column 1: got '}', want an op: {…}`},
		{`#op [1]`, `h.edn:2: column 5: got '[', want an op: {…}`},
		{`{:process 1 :type :invoke` + "\n" + good, `h.edn:2: the record is cut off, and it is not the last one`},
		{`#_{:process 1 :type :invoke` + "\n" + good, `h.edn:2: the record is cut off, and it is not the last one`},
		{`{:value ` + strings.Repeat("[", 10002), `h.edn:2: column 10009: got '[', want at most 10000 levels of nesting`},
	} {
		_, _, err := Read(strings.NewReader(good+c.in), "h.edn", ReadOptions{})
		if err == nil || err.Error() != c.want {
			t.Errorf("%.80s\n got %v\nwant %s", c.in, err, c.want)
		}
	}
}

func TestEDNTorn(t *testing.T) {
	text := `{:process 0 :type :invoke :value "x\n"}` + "\n" + `{:process 1, :type :invoke, :value [1 {:a \a}]}`
	first := strings.Index(text, "\n")
	for end := range len(text) + 1 {
		h, info, err := Read(strings.NewReader(text[:end]), "h.edn", ReadOptions{})
		if err != nil {
			t.Fatalf("%q: %v", text[:end], err)
		}
		wantOps, wantTorn := 0, 1
		switch {
		case end == 0:
			wantTorn = 0
		case end == len(text):
			wantOps, wantTorn = 2, 0
		case end == first || end == first+1:
			wantOps, wantTorn = 1, 0
		case end > first:
			wantOps = 1
		}
		if h.Len() != wantOps || info.Torn != wantTorn {
			t.Errorf("%q: got %d ops and %d torn, want %d and %d", text[:end], h.Len(), info.Torn, wantOps, wantTorn)
		}
	}
	for _, vector := range []string{"[{:process 0 :type :invoke} {:proc", "[{:process 0 :type :invoke}", "{:process 0 :type :invoke}\x00\x00"} {
		h, info, err := Read(strings.NewReader(vector), "h.edn", ReadOptions{})
		if err != nil || h.Len() != 1 || info.Torn != 1 {
			t.Errorf("%q: got %d ops, %+v, %v", vector, h.Len(), info, err)
		}
	}
}

func TestWriteEDN(t *testing.T) {
	op := full
	op.Ext["obj"] = raw(`{"a b":1,"#x":2}`)
	op.Ext["tag"] = raw(`{"#x.Y": [1e400, 123456789012345678901234567890, 0.1, 1e-400, 0.12345678901234567890, -0.0]}`)
	op.Ext["inst"] = raw(`{"#inst":"x"}`)
	op.Ext["word"] = raw(`[":k",{":k":"::k"}]`)
	h, err := Of(op,
		Op{Process: 1, Type: Invoke, F: "w", Value: raw(`[":k","::k",": k","k",{":k":1,"::k":2,"k":3,"k l":4,"#t":[":k"]},[":k","r"],{"#t":{"k":":k"}}]`), Key: raw(`":k"`)},
		Op{Process: 0, Type: Invoke, F: "txn", Value: raw(`[["append","x",1],["r",["r"],null]]`)},
		Op{Process: Named("nemesis/kill"), Type: Info, F: "a b", Value: raw(`[["append"]]`)})
	if err != nil {
		t.Fatal(err)
	}
	delete(op.Ext, "obj")
	delete(op.Ext, "tag")
	delete(op.Ext, "inst")
	delete(op.Ext, "word")
	var b bytes.Buffer
	if err := WriteEDN(&b, h); err != nil {
		t.Fatal(err)
	}
	want := `{:index 0, :time 1500, :process 3, :type :invoke, :f :cas, :value [1 9007199254740993], :key "k1", :node "n2", :final true, ` +
		`:error "a \"quoted\"\n\\reason\u0001 ü", :lamport 9223372036854775809N, :dot ["n1" 2], :inst {"#inst" "x"}, :obj {"a b" 1, "#x" 2}, ` +
		`:tag #x.Y [1e400M 123456789012345678901234567890N 0.1 1e-400M 0.12345678901234567890M -0.0], :vv {:n1 2}, :word [":k" {":k" "::k"}], "ü\"" nil}
{:index 1, :time 0, :process 1, :type :invoke, :f :w, :value [:k ":k" ": k" "k" {"#t" [:k], ":k" 2, :k 1, "k" 3, "k l" 4} [:k "r"] #t {"k" :k}], :key :k}
{:index 2, :time 0, :process 0, :type :invoke, :f :txn, :value [[:append "x" 1] [:r ["r"] nil]]}
{:index 3, :time 0, :process :nemesis/kill, :type :info, :f "a b", :value [["append"]]}
`
	if got := b.String(); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	again := readEDN(t, b.String(), ReadOptions{})
	if got, want := write(t, again), write(t, h); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("read again\n got %s\nwant %s", got, want)
	}
}

func TestEDNRoundTrip(t *testing.T) {
	want, err := Of(someOps(rand.New(rand.NewPCG(13, 14)), 2000)...)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteEDN(&b, want); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, readEDN(t, b.String(), ReadOptions{}), want)
}

// Every file that other tools' tests use can be read, and written in both
// formats and read again.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv("TORTURE_CORPUS")
	if corpus == "" {
		t.Skip("TORTURE_CORPUS names no folder with the histories of other tools")
	}
	entries := map[string]string{}
	for _, list := range []string{"elle.csv", "knossos.csv"} {
		f, err := os.Open(filepath.Join(corpus, list))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		column := map[string]int{}
		for i, name := range rows[0] {
			column[name] = i
		}
		for _, row := range rows[1:] {
			entries[row[column["file"]]] = row[column["entries"]]
			o := ReadOptions{}
			if k, ok := column["shape"]; ok {
				o.Compact = row[k] != "paired"
			}
			testCorpusFile(t, filepath.Join(corpus, row[column["file"]]), row[column["entries"]], o)
		}
	}
	if len(entries) < 90 {
		t.Errorf("got %d files, want all of the corpus", len(entries))
	}
}

func testCorpusFile(t *testing.T, path, entries string, o ReadOptions) {
	h, info, err := ReadFile(path, o)
	if err != nil {
		t.Error(err)
		return
	}
	if fmt.Sprint(h.Len()) != entries || info.Torn != 0 {
		t.Errorf("%s: got %d ops, %+v, want %s", path, h.Len(), info, entries)
	}
	for _, format := range []string{"jsonl", "edn"} {
		var b bytes.Buffer
		if format == "jsonl" {
			err = Write(&b, h)
		} else {
			err = WriteEDN(&b, h)
		}
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := Read(&b, path+" as "+format, o)
		if err != nil {
			t.Error(err)
			continue
		}
		wantEqual(t, again, h)
	}
}
