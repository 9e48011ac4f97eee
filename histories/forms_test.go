package histories

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Objects may go over several lines, in an array or one after the other.
func TestIndented(t *testing.T) {
	const text = "\n{\n  \"type\": \"invoke\",\n  \"value\": [\n    {\n\"a\": 1}\n  ],\n  \"process\": 0\n}\n{ \"type\": \"ok\",\n  \"process\": 0 }\n"
	for _, name := range []string{"h.json", "h.jsonl", "h"} {
		h, info, err := Read(strings.NewReader(text), name, ReadOptions{})
		if err != nil || h.Len() != 2 || h.Pair(0) != 1 || info.Torn != 0 {
			t.Errorf("%s: %d ops, %+v, %v", name, h.Len(), info, err)
		}
	}
	torn := strings.LastIndex(text, "ok")
	if h, info, err := Read(strings.NewReader(text[:torn]), "h.json", ReadOptions{}); err != nil || h.Len() != 1 || info.Torn != 1 {
		t.Errorf("torn: %d ops, %+v, %v", h.Len(), info, err)
	}
	for _, c := range []struct{ text, want string }{
		{strings.Replace(text, `"ok"`, `"okay"`, 1), `h.json:10: field type: got "okay", want invoke, ok, fail or info`},
		{strings.Replace(text, `"ok"`, `"invoke"`, 1), `h.json:10: op 1 (process 0, invoke ): the process has invoked op 0 () and not completed it; op 0 is in line 2`},
		{strings.Replace(text, "}\n{", "{", 1), `h.json:9: column 1: got '{', want a comma or }`},
		{text + "x", `h.json:12: column 1: got 'x', want a JSON value`},
		// A line that is cut off in a file of lines is told as that.
		{"{\"process\":0,\n{\"process\":0,\"type\":\"invoke\"}\n", "h.json:1: the record is cut off, and it is not the last one"},
	} {
		if _, _, err := Read(strings.NewReader(c.text), "h.json", ReadOptions{}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// indexed is a history of two clients with these indices.
func indexed(indices ...int) string {
	var b strings.Builder
	for i, index := range indices {
		fmt.Fprintf(&b, `{"process":%d,"type":"%s","f":"read","index":%d}`+"\n", i/2%2, []string{"invoke", "ok"}[i%2], index)
	}
	return b.String()
}

func TestIndices(t *testing.T) {
	for _, c := range []struct {
		name             string
		indices          []int
		back, renumbered int
		want             string // of the error
	}{
		{"dense", []int{0, 1, 2, 3}, 0, 0, ""},
		{"an excerpt", []int{30, 31, 36, 38}, 0, 4, ""},
		{"none", []int{-1, -1, -1, -1}, 0, 0, ""},
		{"of each process", []int{1, 2, 1, 2, 3, 4, 3, 4}, 3, 8, ""},
		{"always the same", []int{0, 0, 0, 0}, 2, 3, ""},
		{"of all, in another order", []int{2, 3, 0, 1}, 0, 0, "h.jsonl:3: field index: got 0 after 3, and no two ops have the same: it numbers them all, and the file is not in its order: sort the file by it, or leave it out if the file's own order is right"},
		{"with gaps, in another order", []int{10, 20, 15, 30}, 0, 0, "h.jsonl:3: field index: got 15 after 20, and no two ops"},
	} {
		h, info, err := Read(strings.NewReader(indexed(c.indices...)), "h.jsonl", ReadOptions{})
		if c.want != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if err != nil || h.Len() != len(c.indices) || info.IndexBack != c.back || info.Renumbered != c.renumbered {
			t.Errorf("%s: %d ops, %+v, %v", c.name, h.Len(), info, err)
		}
	}
	const want = "h.jsonl:1: field index: got -2, want a number from 0"
	if _, _, err := Read(strings.NewReader(indexed(-2)), "h.jsonl", ReadOptions{}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// timed is a history of these ops: process, letter of the type, time.
func timed(ops string) string {
	var b strings.Builder
	for _, op := range strings.Fields(ops) {
		typ := map[byte]string{'i': "invoke", 'o': "ok", 'f': "fail", '?': "info"}[op[1]]
		fmt.Fprintf(&b, `{"process":%c,"type":"%s","time":%s}`+"\n", op[0], typ, op[2:])
	}
	return b.String()
}

func TestBackwards(t *testing.T) {
	for _, c := range []struct {
		name, ops string
		want      Backwards
	}{
		{"in order", "0i1 1i2 0o3 1o4", Backwards{}},
		{"at one time", "0i1 0o1 1i1 1o1", Backwards{}},
		{"in the order of their ends", "0i15 0o26 1i14 1o27", Backwards{1, 12, 3}},
		{"late invocations of the same time", "0i5 1i4 2i3 0o6 1o7 2o8", Backwards{}},
		{"a failure precedes nothing", "0i1 0f9 1i5 1?6 2i7 2o8", Backwards{}},
		{"late completions", "0i1 1i5 0o3 1o6", Backwards{1, 2, 3}},
		{"by much", "0i1 0o1000000000 1i2 1o3 2i4 2o5", Backwards{2, 999999998, 3}},
		{"without times", "0i-1 0o9 1i-1 1o3", Backwards{}},
	} {
		_, info, err := Read(strings.NewReader(timed(c.ops)), "h.jsonl", ReadOptions{})
		if err != nil || info.Backwards != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, info.Backwards, err, c.want)
		}
	}
}

func TestByTime(t *testing.T) {
	h := read(t, timed("0i15 0o26 1i14 1o26 2i26 2o27"), ReadOptions{})
	got, err := ByTime(h)
	if err != nil || who(got) != "1* 0* 0* 1* 2* 2*" || got.Pair(0) != 3 || got.Pair(1) != 2 {
		t.Errorf("got %s, %v", who(got), err)
	}
	// A completion may not precede its invocation, nor a process overlap itself.
	if _, err := ByTime(read(t, timed("0i1 0o2 0i0 0o4"), ReadOptions{})); err == nil || !strings.Contains(err.Error(), "in the order of its times: op 1 (process 0, invoke ): the process has invoked") {
		t.Errorf("got %v", err)
	}
}

// Times are whole nanoseconds however they are spelt; with fractions they are
// seconds, from the first op on.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		times   []string
		want    []Time
		seconds bool
	}{
		{[]string{"0", "1e9", "2.5E9", "3000000000.0"}, []Time{0, 1e9, 25e8, 3e9}, false},
		{[]string{"0", "1", "1.5", "2"}, []Time{0, 1e9, 15e8, 2e9}, true},
		{[]string{"1700000000.25", "1700000001"}, []Time{1700000000250000000, 1700000001000000000}, true},
		{[]string{"1700000000250000000.5", "1700000001000000000"}, []Time{1700000000250000000, 1700000001000000000}, false}, // no double has so many digits
		{[]string{"-1", "5"}, []Time{0, 5}, false},
		{[]string{"4611686018427387903", "0.5"}, []Time{4611686018e9, 5e8}, true},
	} {
		var b strings.Builder
		for i, time := range c.times {
			fmt.Fprintf(&b, "{:process %d :type :invoke :time %s}\n", i, time)
		}
		h, info, err := Read(strings.NewReader(b.String()), "h.edn", ReadOptions{})
		if err != nil || h.Len() != len(c.want) || info.Seconds != c.seconds {
			t.Errorf("%v: %d ops, %+v, %v", c.times, h.Len(), info, err)
			continue
		}
		for i, want := range c.want {
			if got := h.Time(i); got != want {
				t.Errorf("%v: op %d: got %d, want %d", c.times, i, got, want)
			}
		}
	}
	_, info, err := Read(strings.NewReader(timed("0i0 0o0.26 1i0.14 1o0.27")), "h.jsonl", ReadOptions{})
	if want := (Backwards{1, 120 * time.Millisecond, 3}); err != nil || info.Backwards != want {
		t.Errorf("got %+v, %v, want %+v", info.Backwards, err, want)
	}
}

// Elle's forms of a transaction are one.
func TestTransactions(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"no f", `{:process 0 :type :invoke :value [[:append 4 1] [:r 5 nil]]}`, `txn [["append",4,1],["r",5,null]]`},
		{"f read", `{:process 0 :type :invoke :f :read :value [[:r 4 nil]]}`, `txn [["r",4,null]]`},
		{"f write", `{:process 0 :type :invoke :f :write :value [[:w 4 1] [:w 5 1]]}`, `txn [["w",4,1],["w",5,1]]`},
		{"no place", `{:process 0 :type :invoke :f :txn :value [[:r x] [:append y 1] [:r "z"]]}`, `txn [["r","x",null],["append","y",1],["r","z",null]]`},
		{"no place and no f", `{:process 0 :type :ok :value [[:r x]]}`, `txn [["r","x",null]]`},
		{"a list", `{:process 0 :type :invoke :f :write :value [[1 2] [3]]}`, `write [[1,2],[3]]`},
		{"a cas", `{:process 0 :type :invoke :f :cas :value [[:r 1] [:r 2]]}`, `cas [["r",1],["r",2]]`},
		{"another operation", `{:process 0 :type :invoke :value [[:r 1 nil] [:scan 2 3]]}`, ``},
		{"a nemesis", `{:process :nemesis :type :info :value [[:r 1]]}`, ` [["r",1]]`},
		{"nothing", `{:process 0 :type :invoke :value []}`, ` []`},
	} {
		h := readEDN(t, c.in, ReadOptions{Compact: true})
		if got := h.F(0) + " " + string(h.Value(0)); c.want != "" && got != c.want || c.want == "" && h.F(0) != "" {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	// A completion is what its invocation was.
	h := readEDN(t, `{:process 0 :type :invoke :f :read :value [[:r 4 nil]]} {:process 0 :type :info :f :read :value nil}
{:process 1 :type :invoke :value [[:r 4 nil]]} {:process 1 :type :fail}`, ReadOptions{})
	for i := range h.Len() {
		if h.F(i) != "txn" {
			t.Errorf("op %d is f %q", i, h.F(i))
		}
	}
	tuple := readEDN(t, `{:process 0 :type :invoke :value [7 [[:r 4]]]}`, ReadOptions{Independent: true})
	if got := tuple.F(0) + " " + string(tuple.Key(0)) + " " + string(tuple.Value(0)); got != `txn 7 [["r",4,null]]` {
		t.Errorf("an independent one: got %s", got)
	}
}

func TestTuples(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     bool
	}{
		{"tuples", `{:process 0 :type :invoke :f :write :value [1 5]} {:process 1 :type :invoke :f :read :value [2 nil]} {:process :nemesis :type :info :value 1}`, true},
		{"with the tag", `{:process 1 :type :invoke :f :read :value #jepsen.independent.tuple [:x nil]}`, true},
		{"without a read", `{:process 0 :type :invoke :f :write :value [1 5]}`, false},
		{"cas only", `{:process 0 :type :invoke :f :cas :value [1 5]} {:process 1 :type :invoke :f :read} {:process 1 :type :ok :f :read :value 5}`, false},
		{"one that is none", `{:process 0 :type :invoke :f :write :value 5} {:process 1 :type :invoke :f :read :value [2 nil]}`, false},
		{"a read of pairs", `{:process 1 :type :invoke :f :read :value nil} {:process 1 :type :ok :f :read :value [2 nil]}`, false},
		{"versions", `{:process 1 :type :invoke :f :read :value [nil nil]}`, false},
		{"a transaction", `{:process 1 :type :invoke :f :txn :value [[:r 1 nil] [:r 2 nil]]}`, false},
		{"keys", `{:process 1 :type :invoke :f :read :key 1 :value [2 nil]}`, false},
	} {
		for _, independent := range []bool{false, true} {
			_, info, err := Read(strings.NewReader(c.in), "h.edn", ReadOptions{Independent: independent})
			if info.Tuples != (c.want && !independent) {
				t.Errorf("%s, independent %v: got %v, %v", c.name, independent, info.Tuples, err)
			}
		}
	}
}

// Jepsen and Maelstrom call the final phase so.
func TestFinal(t *testing.T) {
	h := readEDN(t, `{:process 0 :type :invoke :final? true} {:process 1 :type :invoke :final? false} {:process 2 :type :invoke :final? nil}`, ReadOptions{})
	if !h.Final(0) || h.Final(1) || h.Final(2) {
		t.Errorf("got %s", write(t, h))
	}
	_, _, err := Read(strings.NewReader(`{:process 0 :type :invoke :final true :final? true}`), "h.edn", ReadOptions{})
	if want := "h.edn:1: field final: it appears twice"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
