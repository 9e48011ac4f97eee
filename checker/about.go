package checker

import (
	"fmt"
	"strings"
)

// about tells people of a checker or a model: what it judges, what its options
// mean, and what to type, from --option on.
type about struct {
	doc     string
	options map[string]string
	example string
}

var aboutCheckers = map[string]about{
	"linearizable": {"every object behaves as if its operations happened one after the other, each between its begin and its end", map[string]string{
		"model":    "the object, of those below (register if none is named)",
		"init":     "its value at first",
		"mismatch": "a cas that failed found another value: true, or only with this error",
		"budget":   "how many configurations the search of an object may visit",
	}, "--option model=cas-register --option init=0 --independent"},
	"set": {"what was added is in the last read: add v, read → [v, …]; one set for each key", nil, ""},
	"set-full": {"what was added is in every read from some time on: add v, read → [v, …]", map[string]string{
		"linearizable": "true if it must be there at once",
		"settles":      "true if it may be late for as long as faults last: only reads marked final show a loss",
	}, "--option linearizable=true"},
	"append": {`lists to which transactions append: txn [["append", k, v], ["r", k, [v, …]]]`, map[string]string{
		"each-list": "true if only each list by itself is promised to be in order",
	}, "--option each-list=true"},
	"versioned-register": {"registers that return [value, version], or [version, value] if an invocation has null there", nil,
		"--independent"},
	"broadcast": {"nodes deliver the messages that were broadcast", map[string]string{
		"order":    "of deliveries: total, fifo, causal, or none",
		"volatile": "true if nodes forget at a restart",
		"acks":     "true if who acknowledges a message has delivered it",
	}, "--option order=total"},
	"primary-replica": {"every replica's log is a prefix of its primary's", map[string]string{
		"reads":    "primary if all reads are the primary's, so that none is stale",
		"copies":   "how many nodes beside the primary must hold a write that is acknowledged",
		"unsynced": "true if nodes serve what a loss of power takes from them",
		"may-lose": "true if acknowledged writes may be lost",
	}, "--option reads=primary"},
	"raft": {"the nodes' records keep what Raft promises", map[string]string{
		"recovery": `in which a healed cluster must commit again, such as "10s"`,
	}, "--option recovery=10s"},
	"stats": {"enough happened for a verdict to mean anything", map[string]string{
		"faults":  "kinds of fault that must have been in force",
		"min-ops": "operations that must have succeeded",
		"exempt":  "operations that need not succeed",
	}, `--option min-ops=10 --option faults='["kill"]'`},
	"recovery": {"every node answers again after the last fault", map[string]string{
		"nodes":    "the nodes of the cluster",
		"recovery": `how long they may take, such as "5s"`,
		"refusals": "for each node, the errors by which it may answer",
	}, `--option nodes='["n1","n2"]' --option recovery=5s`},
	"contract": {"nodes answer a request once and with what it asked for, and come back from every handler", nil, ""},
	"storm": {"messages between nodes stay within what operations and time call for, in any ten seconds", map[string]string{
		"nodes":      "how many nodes there are",
		"operations": "messages of a node for each operation",
		"seconds":    "messages of a node for each second",
	}, `--option nodes=3 --option operations=20 --option seconds=100`},
	"panics":               {"no node panicked, or ended unasked", nil, ""},
	"unhandled-exceptions": {"a table of the operations of unknown outcome, by class of exception or error; always valid", nil, ""},
}

var aboutModels = map[string]about{
	"register":       {doc: "write v, read → v, cas [old, new]; one for each key", example: "--option init=0"},
	"cas-register":   {doc: "the same", example: "--option mismatch=true"},
	"multi-register": {doc: `txn [["w", k, v], ["r", k, v], …], all at once`, example: `--option init='{"x":0,"y":0}'`},
	"queue":          {doc: "enqueue v, dequeue → v, first in first out; null if it is empty", example: "--option init=[1,2]"},
	"stack":          {doc: "push v, pop → v, last in first out; null if it is empty", example: "--option init=[1,2]"},
	"mutex":          {doc: "acquire, release, by whomever", example: "--option init=true"},
	"owner-mutex":    {doc: "acquire, and release by the process that holds it", example: "--option init=3"},
	"counter":        {doc: "add n, read → n", example: "--option init=10"},
}

// Help lists the checkers that judge a file, their options and the models, each
// with an example of what to type behind torture check FILE.
func Help() string {
	var b strings.Builder
	b.WriteString("Checkers, with their options:\n")
	for _, name := range Names() {
		a := aboutCheckers[name]
		fmt.Fprintf(&b, "  %s: %s\n", name, a.doc)
		for _, o := range registry[name].options {
			fmt.Fprintf(&b, "      %-12s %s\n", o, a.options[o])
		}
		fmt.Fprintf(&b, "      e.g. %s\n", strings.TrimRight("--checker "+name+" "+a.example, " "))
	}
	b.WriteString("\nModels of linearizable:\n")
	for _, name := range Models() {
		a := aboutModels[name]
		fmt.Fprintf(&b, "  %s: %s\n      e.g. %s\n", name, a.doc, strings.TrimRight("--checker linearizable --option model="+name+" "+a.example, " "))
	}
	return b.String()
}
