package histories

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// who tells of each op its process, and whether that is a client.
func who(h History) string {
	var all []string
	for i := range h.Len() {
		mark := ""
		if h.Process(i).Client() {
			mark = "*"
		}
		all = append(all, h.Process(i).String()+mark)
	}
	return strings.Join(all, " ")
}

func TestClients(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  string // process and type of each
		o    ReadOptions
		want string
	}{
		{"numbers", `0 invoke, 0 ok`, ReadOptions{}, "0* 0*"},
		{"numbers in quotes", `"0" invoke, 0 ok, "17" invoke`, ReadOptions{}, "0* 0* 17*"},
		{"no number", `"007" invoke, "007" ok, "2000000000" invoke, "00" info`, ReadOptions{}, "007* 007* 2000000000* 00"},
		{"a name that invokes", `"adder" invoke, "adder" ok, 0 invoke`, ReadOptions{}, "adder* adder* 0*"},
		{"its records", `"adder" info, "adder" invoke, "adder" info, "adder" info`, ReadOptions{}, "adder adder* adder* adder"},
		{"a nemesis", `"nemesis" invoke, "nemesis" info, "nemesis/kill" invoke, "nemesis/kill" ok, "nemesis" ok`, ReadOptions{}, "nemesis nemesis nemesis/kill nemesis/kill nemesis"},
		{"the world", `"world" invoke, "world" ok`, ReadOptions{}, "world world"},
		{"a node", `"n1" invoke, "n1" ok, "n2" invoke`, ReadOptions{Recorders: []string{"n1"}}, "n1 n1 n2*"},
		{"completions only", `"adder" ok, "adder" info, 3 fail`, ReadOptions{Compact: true}, "adder* adder 3*"},
	} {
		var text strings.Builder
		for i, op := range strings.Split(c.ops, ", ") {
			process, typ, _ := strings.Cut(op, " ")
			fmt.Fprintf(&text, `{"index":%d,"process":%s,"type":"%s"}`+"\n", i, process, typ)
		}
		h, _, err := Read(strings.NewReader(text.String()), "h.jsonl", c.o)
		if err != nil || who(h) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, who(h), err, c.want)
			continue
		}
		for _, name := range []string{"h.jsonl", "h.edn"} {
			var b bytes.Buffer
			write := Write
			if name == "h.edn" {
				write = WriteEDN
			}
			if err := write(&b, h); err != nil {
				t.Fatal(err)
			}
			again, _, err := Read(&b, name, c.o)
			if err != nil || who(again) != c.want {
				t.Errorf("%s, written as %s: got %s, %v", c.name, name, who(again), err)
			}
		}
	}
}

// What a client with a name does wrong is told of it by its name.
func TestNamedClientMalformed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"process":"adder","type":"ok","f":"add"}`, "h.jsonl:1: op 0 (process adder, ok add): the process completes what it never invoked"},
		{`{"process":"adder","type":"invoke","f":"add"}` + "\n\n" + `{"process":"adder","type":"invoke","f":"add"}`,
			"h.jsonl:3: op 1 (process adder, invoke add): the process has invoked op 0 (add) and not completed it; op 0 is in line 1"},
		{`{"process":2000000000,"type":"invoke"}`, "h.jsonl:1: field process: got 2000000000, want a number from 0 to 1999999999, or a name"},
	} {
		if _, _, err := Read(strings.NewReader(c.text), "h.jsonl", ReadOptions{}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// A completion that does not belong to its invocation is malformed; both are
// named, with their lines.
func TestContradictions(t *testing.T) {
	for _, c := range []struct{ name, invoke, complete, want string }{
		{"another f", `{:process 0 :type :invoke :f :read}`, `{:process 0 :type :ok :f :write :value 6}`,
			`h.edn:4: op 2 (process 0, ok write): the process has invoked op 1, which is f "read"; op 1 is in line 3`},
		{"no f", `{:process 0 :type :invoke :f :read}`, `{:process 0 :type :ok :value 6}`, ""},
		{"another key", `{:process 0 :type :invoke :f :read :key 1}`, `{:process 0 :type :info :f :read :key 2}`,
			`h.edn:4: op 2 (process 0, info read): it is about key 2, and the process has invoked op 1, which is about key 1; op 1 is in line 3`},
		{"no key", `{:process 0 :type :invoke :f :read :key 1}`, `{:process 0 :type :info :f :read}`, ""},
		{"a nemesis", `{:process :nemesis :type :invoke :f :start}`, `{:process :nemesis :type :info :f :stop :value 1}`, ""},
		{"a read as an append", `{:process 0 :type :invoke :f :txn :value [[:append 1 2] [:r 9 nil]]}`, `{:process 0 :type :ok :f :txn :value [[:append 1 2] [:append 9 [1]]]}`,
			`h.edn:4: op 2 (process 0, ok txn): the process has invoked op 1, and completes ["append",9,[1]] where it invoked ["r",9,null]; op 1 is in line 3`},
		{"another list", `{:process 0 :type :invoke :f :txn :value [[:r 9 nil]]}`, `{:process 0 :type :ok :f :txn :value [[:r 8 [1]]]}`,
			`h.edn:4: op 2 (process 0, ok txn): the process has invoked op 1, and completes ["r",8,[1]] where it invoked ["r",9,null]; op 1 is in line 3`},
		{"another element", `{:process 0 :type :invoke :f :txn :value [[:append 9 1]]}`, `{:process 0 :type :ok :f :txn :value [[:append 9 2]]}`,
			`h.edn:4: op 2 (process 0, ok txn): the process has invoked op 1, and completes ["append",9,2] where it invoked ["append",9,1]; op 1 is in line 3`},
		{"fewer", `{:process 0 :type :invoke :f :txn :value [[:w 9 1] [:r 9 nil]]}`, `{:process 0 :type :ok :f :txn :value [[:w 9 1]]}`,
			`h.edn:4: op 2 (process 0, ok txn): the process has invoked op 1, and completes another number of operations than it invoked; op 1 is in line 3`},
		{"fewer, and it failed", `{:process 0 :type :invoke :f :txn :value [[:w 9 1] [:r 9 nil]]}`, `{:process 0 :type :fail :f :txn :value [[:w 9 1]]}`, ""},
		{"results", `{:process 0 :type :invoke :f :txn :value [[:w 9 1] [:r 9 nil]]}`, `{:process 0 :type :ok :f :txn :value [[:w 9 1] [:r 9 1]]}`, ""},
	} {
		text := "{:process 1 :type :invoke}\n\n" + c.invoke + "\n" + c.complete + "\n"
		h, _, err := Read(strings.NewReader(text), "h.edn", ReadOptions{})
		if c.want == "" {
			if err != nil || h.Pair(1) != 2 || h.F(2) == "" {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}
