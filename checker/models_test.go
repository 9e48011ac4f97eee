package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// compactly makes a history of calls that took no time, in a small language:
// "0 write 1" is process 0 writing 1, "0 write? 1" if nobody knows whether it
// did, "0 write! 1" if it failed. Two keys: "0 write 1 @a".
func compactly(t *testing.T, text string) histories.History {
	t.Helper()
	b := histories.Builder{Compact: true}
	for call := range strings.SplitSeq(text, "; ") {
		word := strings.SplitN(call, " ", 3)
		op := histories.Op{Process: histories.Process(word[0][0] - '0'), Type: histories.OK}
		f, value := word[1], "null"
		if len(word) == 3 {
			value = word[2]
		}
		value, key, keyed := strings.Cut(value, " @")
		if op.Value = raw("%s", value); keyed {
			op.Key = raw("%q", key)
		}
		switch f[len(f)-1] {
		case '?':
			op.Type, f = histories.Info, f[:len(f)-1]
		case '!':
			op.Type, f = histories.Fail, f[:len(f)-1]
		}
		op.F = f
		if err := b.Add(op); err != nil {
			t.Fatal(err)
		}
	}
	return b.History()
}

func TestModels(t *testing.T) {
	for _, test := range []struct {
		model, calls string
		want         Verdict
	}{
		{"register", "0 write 1; 0 read 1", Valid},
		{"register", "0 write [1, 2]; 0 read [1,2]", Valid}, // spaces do not matter
		{"register", "0 write {\"a\": \"x y\"}; 0 read {\"a\":\"x y\"}", Valid},
		{"register", `0 write {"b":[1.0,1e3],"a":"<ü"}; 0 read {"a":"\u003c\u00fc", "b":[1,1000]}`, Valid}, // values are compared as values
		{"register", `0 write {"a":1}; 0 read {"a":2}`, Invalid},
		{"register", `0 write 1; 0 read "1"`, Invalid},
		{"register", `0 write 9007199254740993; 0 read 9007199254740992`, Invalid}, // a double cannot tell them apart
		{"register", "0 write! 1; 0 read null", Valid},
		{"register", "0 write! 1; 0 read 1", Invalid},
		{"register", "0 write 1 @a; 0 read null @b", Valid},
		{"register", "0 write 1 @a; 0 read null @a", Invalid},
		{"register", "0 write 1 @a; 0 write 1 @a; 0 write 1 @b; 0 read 1 @b; 0 read 2 @a", Invalid},
		{"register", "0 read? 1; 1 read? 2", Vacuous},
		{"cas-register", "0 write 1; 0 cas [1,2]; 0 cas [2,1]; 0 read 1", Valid},
		{"cas-register", "0 write 1; 0 cas! [1,2]; 0 read 1", Valid},
		{"cas-register", "0 write 1; 0 cas [2,1]; 0 write 2", Invalid},

		{"queue", "0 enqueue 1; 0 enqueue 2; 0 dequeue 1; 0 dequeue 2; 0 dequeue null", Valid},
		{"queue", "0 enqueue 1; 0 enqueue 2; 0 dequeue 2", Invalid},
		{"queue", `0 enqueue {"a":1.0,"b":"<"}; 0 dequeue {"b":"\u003c","a":1}`, Valid},
		{"queue", "0 enqueue 1; 0 enqueue 2; 1 dequeue?; 0 dequeue 2", Valid},
		{"queue", "0 enqueue 1; 1 dequeue?; 0 dequeue null", Valid},
		{"queue", "1 dequeue?; 0 enqueue 1; 0 dequeue 1", Valid},
		{"queue", "0 dequeue 1", Invalid},
		{"queue", "0 dequeue! 1; 0 dequeue null", Valid},
		{"stack", "0 push 1; 0 push 2; 0 pop 2; 0 pop 1; 0 pop null", Valid},
		{"stack", "0 push 1; 0 push 2; 0 pop 1", Invalid},
		{"stack", `0 push 1.0; 0 push "\u003c"; 0 pop "<"; 0 pop 1`, Valid},
		{"stack", "0 push 1; 0 push 2; 1 pop?; 0 pop 1", Valid},

		{"mutex", "0 acquire; 0 release; 1 acquire; 1 release", Valid},
		{"mutex", "0 acquire; 1 acquire", Invalid},
		{"mutex", "0 acquire; 1 release; 2 acquire", Valid},
		{"mutex", "0 acquire?; 5 release; 1 acquire; 1 acquire", Invalid},
		{"mutex", "0 acquire?; 5 release; 5 release", Invalid},
		{"owner-mutex", "0 acquire; 0 release; 1 acquire; 1 release", Valid},
		{"owner-mutex", "0 acquire; 1 acquire", Invalid},
		{"owner-mutex", "0 acquire; 1 release", Invalid},
		{"mutex", "0 release", Invalid},
		{"mutex", "0 acquire; 0 release?; 1 acquire", Valid},
		{"mutex", "0 acquire?; 1 acquire", Valid},
		{"owner-mutex", "0 acquire?; 1 release", Invalid},
		{"owner-mutex", "0 acquire?; 0 release; 1 acquire", Valid},
		{"owner-mutex", "0 acquire; 1 release?; 1 acquire", Invalid}, // who does not hold it cannot release it

		{"counter", "0 add 2; 0 add -5; 0 read -3", Valid},
		{"counter", "0 add 2; 0 read 3", Invalid},
		{"counter", "0 add 1234567890123456789; 0 add 1.0; 0 read 1234567890123456790", Valid},
		{"counter", "0 add 1234567890123456789; 0 read 1234567890123456788", Invalid},
		{"counter", "0 add? 2; 1 read 2; 1 read 2", Valid},
		{"counter", "0 add? 2; 1 read 2; 1 read 0", Invalid},
		{"counter", "0 add! 2; 1 read 2", Invalid},
		{"counter", "0 add 2; 0 read?; 1 read 2", Valid},

		{"multi-register", `0 txn [["w",1,5],["w","a",6]]; 0 txn [["r",1,5],["r","a",6]]`, Valid},
		{"multi-register", `0 txn [["w",1,5],["w","a",6]]; 0 txn [["r",1,5],["r","a",null]]`, Invalid},
		{"multi-register", `0 txn [["write",1,5],["r",1,5],["w",1,6]]; 0 txn [["read",1,6],["r",2,null]]`, Valid},
		{"multi-register", `0 txn? [["w",1,5],["w",2,5]]; 1 txn [["r",1,5]]; 1 txn [["r",2,5]]`, Valid},
		{"multi-register", `0 txn? [["w",1,5],["w",2,5]]; 1 txn [["r",1,5]]; 1 txn [["r",2,null]]`, Invalid},
		{"multi-register", `0 txn? [["r",1,7],["w",2,5]]; 1 txn [["r",2,5]]`, Valid}, // what it read is not known
		{"multi-register", `0 txn [["r",1,7]]`, Invalid},
		{"multi-register", `0 txn [["w",{"a":1,"b":2},1.0]]; 0 txn [["r",{"b":2,"a":1.0},1]]`, Valid},
		{"multi-register", `0 txn [["w",1,5]] @a; 0 txn [["r",1,5]] @b`, Valid}, // keys are in the transaction
	} {
		c, err := ByName("linearizable", options{"model": raw("%q", test.model)})
		if err != nil {
			t.Fatal(err)
		}
		h := compactly(t, test.calls)
		r := c.Check(t.Context(), h)
		if r.Verdict != test.want {
			t.Errorf("%s, %s: %v %s%+v, want %v", test.model, test.calls, r.Verdict, r.Why, r.Anomalies, test.want)
		}
		for _, a := range r.Anomalies {
			checkAnomaly(t, r, a, h)
		}
	}
}

// Every model can begin with another value, and says so when that would help.
func TestInitialValues(t *testing.T) {
	for _, test := range []struct {
		model, calls, init string
		helps              bool   // without it the history is invalid, and its reason names init
		other              string // with which it is invalid
	}{
		{"register", "0 read 0; 0 write 7; 0 read 7", `0`, true, `7`},
		{"register", `0 read {"a":1,"b":"<"}; 0 read {"b":"\u003c","a":1.0}`, `{"a":1,"b":"<"}`, true, `1`},
		{"cas-register", "0 cas [5,7]; 0 read 7", `5`, false, `null`},
		{"multi-register", `0 txn [["r","x",0],["r","y",1]]; 0 txn [["w","x",3]]; 0 txn [["r","x",3],["r","z",null]]`, `{"x":0,"y":1}`, true, `{"x":0}`},
		{"multi-register", `0 txn [["r",":x",0],["r",7,1]]`, `{"7":1,"x":0}`, true, `{"x":1,"7":1}`},
		{"queue", "0 dequeue 1; 0 enqueue 3; 0 dequeue 2; 0 dequeue 3; 0 dequeue null", `[1,2]`, true, `[2,1]`},
		{"stack", "0 pop 2; 0 push 3; 0 pop 3; 0 pop 1; 0 pop null", `[1,2]`, true, `[2,1]`},
		{"mutex", "0 release; 1 acquire", `true`, true, `false`},
		{"owner-mutex", "3 release; 1 acquire", `3`, true, `1`},
		{"counter", "0 read 10; 0 add 1; 0 read 11", `10`, true, `0`},
	} {
		judge := func(init string) Result {
			opts := options{"model": raw("%q", test.model)}
			if init != "" {
				opts["init"] = raw("%s", init)
			}
			c, err := ByName("linearizable", opts)
			if err != nil {
				t.Fatal(err)
			}
			return c.Check(t.Context(), compactly(t, test.calls))
		}
		if r := judge(test.init); r.Verdict != Valid {
			t.Errorf("%s, %s from %s: %v %s %+v", test.model, test.calls, test.init, r.Verdict, r.Why, r.Anomalies)
		}
		if r := judge(test.other); r.Verdict != Invalid || strings.Contains(r.Anomalies[0].Why, "--option") {
			t.Errorf("%s, %s from %s: %v %s %+v", test.model, test.calls, test.other, r.Verdict, r.Why, r.Anomalies)
		}
		r := judge("")
		want := "; all is well if it was " + test.init + " at first: if so, --option init='" + test.init + "'"
		if r.Verdict != Invalid || strings.HasSuffix(r.Anomalies[0].Why, want) != test.helps {
			t.Errorf("%s, %s: %v %+v, want the advice %q: %v", test.model, test.calls, r.Verdict, r.Anomalies, want, test.helps)
		}
	}
	for model, bad := range map[string]string{
		"queue": "1", "stack": "{}", "mutex": "7", "owner-mutex": "-1", "counter": "1.5", "multi-register": "[1]", "register": `{"a":1,"a":2}`,
	} {
		if _, err := ByName("linearizable", options{"model": raw("%q", model), "init": raw("%s", bad)}); err == nil || !strings.Contains(err.Error(), "init") {
			t.Errorf("%s from %s: %v", model, bad, err)
		}
	}
	// No advice where it would not help.
	for _, calls := range []string{"0 write 1; 0 read 2; 0 read 3", "0 write 1; 0 read null", "0 write 1; 0 write 2; 0 read 1"} {
		c, _ := ByName("linearizable", nil)
		if r := c.Check(t.Context(), compactly(t, calls)); r.Verdict != Invalid || strings.Contains(r.Anomalies[0].Why, "--option") {
			t.Errorf("%s: %v %+v", calls, r.Verdict, r.Anomalies)
		}
	}
}

// A search that gives up says how to go on.
func TestAdviceOnBudget(t *testing.T) {
	calls := "0 read null"
	for i := range 9 {
		calls += fmt.Sprintf("; %d write? %d; %d cas? [%d,%d]", i, i%4, i, i%4, (i+1)%4)
	}
	for key, independent := range map[string]bool{"": true, " @a": false} {
		text := strings.ReplaceAll(calls+"; 0 read 2; 0 read 3; 0 read 1; 0 read 0", ";", key+";") + key
		c, err := ByName("linearizable", options{"budget": raw("20")})
		if err != nil {
			t.Fatal(err)
		}
		r := c.Check(t.Context(), compactly(t, text))
		if r.Verdict != Unknown || !strings.Contains(r.Why, "--option budget=320") || strings.Contains(r.Why, "--independent") != independent {
			t.Errorf("%v %q", r.Verdict, r.Why)
		}
	}
}

// Of a call that never completed nobody knows what it returned.
func TestCallsThatNeverComplete(t *testing.T) {
	for _, test := range []struct {
		model, f, then string
		value          string
		want           Verdict
	}{
		{"queue", "dequeue", "0 dequeue null", "null", Valid},
		{"queue", "dequeue", "0 dequeue 1; 0 dequeue 1", "null", Invalid},
		{"stack", "pop", "0 pop null", "null", Valid},
		{"counter", "add", "0 read 2; 0 read 2", "2", Valid},
		{"counter", "add", "0 read 2; 0 read 0", "2", Invalid},
		{"counter", "read", "0 read 0", "null", Valid},
		{"multi-register", "txn", `0 txn [["r",2,5]]`, `[["r",1,null],["w",2,5]]`, Valid},
	} {
		b := histories.Builder{Compact: true}
		ops := []histories.Op{{Process: 7, Type: histories.Invoke, F: test.f, Value: raw("%s", test.value)}}
		if put := map[string]string{"queue": "enqueue", "stack": "push"}[test.model]; put != "" {
			ops = append(ops, histories.Op{Process: 0, Type: histories.OK, F: put, Value: raw("1")})
		}
		for _, op := range compactly(t, test.then).All() {
			ops = append(ops, op)
		}
		for _, op := range ops {
			if err := b.Add(op); err != nil {
				t.Fatal(err)
			}
		}
		c, err := ByName("linearizable", options{"model": raw("%q", test.model)})
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Check(t.Context(), b.History()); r.Verdict != test.want {
			t.Errorf("%+v: %v %s %+v", test, r.Verdict, r.Why, r.Anomalies)
		}
	}
}

// The value that a register holds at first may be written, too.
func TestInitialValueIsWrittenAgain(t *testing.T) {
	c, err := ByName("linearizable", options{"init": raw("1")})
	if err != nil {
		t.Fatal(err)
	}
	for calls, want := range map[string]Verdict{
		"0 read 1; 0 write 2; 0 write 1; 0 read 1":       Valid,
		"0 read 1; 0 write 2; 0 read 1":                  Invalid,
		"0 read 1; 0 write 2; 1 write? 1; 0 read 1":      Valid,
		"0 read null; 0 write 2":                         Invalid,
		"0 cas [1,2]; 0 read 2; 0 cas [2,1]; 0 read 1":   Valid,
		"0 cas [1,2]; 0 cas [1,3]":                       Invalid,
		"0 cas [1,2]; 0 write? 1; 1 cas [1,3]; 1 read 3": Valid,
	} {
		if r := c.Check(t.Context(), compactly(t, calls)); r.Verdict != want {
			t.Errorf("%s: %v %+v, want %v", calls, r.Verdict, r.Anomalies, want)
		}
	}
}

// Only a mismatch says what the register did not hold, and only if asked to.
func TestMismatchIsAnObservation(t *testing.T) {
	for _, test := range []struct {
		mismatch string
		err      string
		want     Verdict
	}{
		{`"mismatch"`, "mismatch", Invalid}, {`"mismatch"`, "timeout", Valid}, {`"mismatch"`, "", Valid}, {`"not-held"`, "not-held", Invalid},
		{`true`, "did-not-succeed", Invalid}, {`true`, "", Invalid}, {`false`, "mismatch", Valid}, {`null`, "mismatch", Valid},
	} {
		ops := parseRegister(t, "0w1 0! 0c1,2 0x")
		ops[3].Error = test.err
		c, err := ByName("linearizable", options{"mismatch": raw("%s", test.mismatch)})
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Check(t.Context(), historyOf(t, ops)); r.Verdict != test.want {
			t.Errorf("%+v: %v", test, r.Verdict)
		}
	}
}

// A read of null is one of nothing.
func TestNullIsAnEmptySet(t *testing.T) {
	h := compactly(t, "0 add 1; 0 read null")
	for _, c := range []Checker{Set(), SetFull(SetFullOptions{})} {
		if r := c.Check(t.Context(), h); !slices.Equal(kindsIn(r), []string{"lost"}) {
			t.Errorf("%s: %v %s %+v", r.Checker, r.Verdict, r.Why, r.Anomalies)
		}
	}
}

// An element that is there twice is at its first place.
func TestDuplicateElementsAreInOrder(t *testing.T) {
	h := compactly(t, `0 txn [["append",1,1]]; 0 txn [["append",1,2]]; 0 txn [["r",1,[1,2,1]]]`)
	if got := kindsIn(Appends(AppendsOptions{}).Check(t.Context(), h)); !slices.Equal(got, []string{"duplicate-elements"}) {
		t.Errorf("found %v", got)
	}
}

// What a checker cannot read is an error that names the op, and no verdict.
func TestMalformedOpsAreNamed(t *testing.T) {
	for _, test := range []struct{ checker, opts, calls, want string }{
		{"linearizable", `{}`, "0 write 1; 0 cas 7", "op 1 (cas)"},
		{"linearizable", `{}`, "0 write 1; 0 cas [7]", "op 1 (cas)"},
		{"linearizable", `{}`, "0 write 1; 0 cas [7,8,9]", "op 1 (cas)"},
		{"linearizable", `{}`, "0 write 1; 0 push 1", "op 1: f"},
		{"linearizable", `{"model":"queue"}`, "0 enqueue 1; 0 push 1", "op 1: a queue"},
		{"linearizable", `{"model":"counter"}`, "0 add 1; 0 read 1.5", "op 1 (read)"},
		{"linearizable", `{"model":"counter"}`, "0 add 1; 0 add null", "op 1 (add)"},
		{"linearizable", `{"model":"counter"}`, `0 add 1; 0 add? "7"`, "op 1 (add)"},
		{"linearizable", `{"model":"multi-register"}`, `0 txn [["w",1,5]]; 0 write [["w",1,5]]`, "op 1 (write)"},
		{"linearizable", `{"model":"multi-register"}`, `0 txn [["w",1,5]]; 0 txn [["x",1,5]]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 append 1`, "op 1: f"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn 1`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [1]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [["r",1]]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [["r",1,[],1]]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [["w",1,1]]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [["r",1,7]]`, "op 1 (txn)"},
		{"append", `{}`, `0 txn [["append",1,1]]; 0 txn [["append",1,1]]`, "op 1 appends"},
		{"set", `{}`, "0 add 1; 0 read 7", "op 1 (read)"},
		{"broadcast", `{}`, "0 broadcast 1; 0 read 7", "op 1 (read)"},
		{"broadcast", `{}`, "0 broadcast 1; 1 broadcast 1", "op 1 broadcasts"},
		{"versioned-register", `{}`, "0 write [1,1]; 0 read 7", "op 1 (read)"},
		{"versioned-register", `{}`, "0 write [1,1]; 0 read [7]", "op 1 (read)"},
		{"versioned-register", `{}`, `0 write [1,1]; 0 read [7,"x"]`, "op 1 (read)"},
		{"versioned-register", `{}`, "0 write [1,1]; 0 read [7,1,1]", "op 1 (read)"},
	} {
		var opts options
		if err := json.Unmarshal([]byte(test.opts), &opts); err != nil {
			t.Fatal(err)
		}
		c, err := ByName(test.checker, opts)
		if err != nil {
			t.Fatal(err)
		}
		if r := c.Check(t.Context(), compactly(t, test.calls)); r.Verdict != Unknown || !strings.Contains(r.Why, test.want) {
			t.Errorf("%s, %s: %v %q, want %q", test.checker, test.calls, r.Verdict, r.Why, test.want)
		}
	}
	for _, test := range []struct{ checker, f, value string }{
		{"broadcast", "bcast", `{}`}, {"broadcast", "deliver", `{"id":null}`}, {"broadcast", "deliver", `7`},
		{"primary-replica", "append", `{"op":"a"}`}, {"primary-replica", "append", `{"idx":1}`}, {"primary-replica", "apply", `{"idx":"1","op":"a"}`},
		{"primary-replica", "truncate", `{}`}, {"primary-replica", "final-log", `{}`}, {"primary-replica", "final-log", `{"ops":3}`},
		{"raft", "append", `{"term":1,"op":"a"}`}, {"raft", "append", `{"idx":1,"op":"a"}`}, {"raft", "append", `{"idx":0,"term":1}`}, {"raft", "apply", `{"idx":0}`},
		{"raft", "commit", `{"idx":-1}`}, {"raft", "vote", `{"for":"n1"}`}, {"raft", "leader", `{"term":"x"}`}, {"raft", "snapshot", `{}`}, {"raft", "truncate", `7`},
	} {
		c, err := ByName(test.checker, nil)
		if err != nil {
			t.Fatal(err)
		}
		h := historyOf(t, []histories.Op{{Process: histories.Named("n1"), Type: histories.Info, F: test.f, Value: raw("%s", test.value)}})
		if r := c.Check(t.Context(), h); r.Verdict != Unknown || !strings.Contains(r.Why, fmt.Sprintf("op 0 (%s by n1)", test.f)) {
			t.Errorf("%s, %s %s: %v %q", test.checker, test.f, test.value, r.Verdict, r.Why)
		}
	}
}
