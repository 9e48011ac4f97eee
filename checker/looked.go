package checker

// looksAt says, for each checker that always looks at the same, at what: in a
// plain phrase, of which a Result tells.
var looksAt = map[string]string{
	"broadcast":            "deliveries: order, agreement, none lost or twice",
	"versioned-register":   "versions of each register",
	"primary-replica":      "logs of the primary and its replicas",
	"raft":                 "Raft's invariants",
	"set":                  "the set in the end",
	"set-full":             "each element of the set",
	"unhandled-exceptions": "errors of clients without a name",
	"stats":                "that enough happened",
}
