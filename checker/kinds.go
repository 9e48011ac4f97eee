package checker

import (
	"cmp"
	"maps"
	"slices"
)

// kindsOf lists, for each checker, the kinds of anomaly that it can report,
// gravest first. A kind may be followed by a colon and its object.
var kindsOf = map[string][]string{
	"linearizable": {"nonlinearizable", "stale-read"},
	"broadcast": {
		"no-creation", "phantom", "duplicate-delivery", "duplicate", "lost", "durability-lost", "total-order", "order-gap", "fifo-order", "causal-order",
		"non-monotonic-read", "agreement", "uniform-agreement", "validity",
	},
	"versioned-register": {"version-conflict", "version-order", "stale-read"},
	"primary-replica": {
		"lost-acknowledged-write", "durability-lost", "under-replicated", "divergence", "replica-wrote", "applied-unknown",
		"replica-gap", "replica-reorder", "applied-twice", "phantom-write", "wrong-outcome", "wrong-value", "dirty-read", "not-refused",
		"version-conflict", "version-order", "non-monotonic-read", "no-truncate", "no-convergence", "stale-read",
	},
	"set":      {"revived", "unexpected", "lost", "never-read"},
	"set-full": {"revived", "unexpected", "duplicated", "lost", "stale"},
	"append": {
		"garbage-read", "duplicate-elements", "G1a", "incompatible-order", "internal", "lost-append", "G0", "G1b", "lost-update", "G-single-item",
		"G0-process", "G1c-process", "G-single-item-process", "G0-realtime", "G1c-realtime", "G-single-item-realtime",
	},
	"unhandled-exceptions": {},
	"raft": {
		"state-machine-safety", "committed-truncated", "leader-completeness", "log-matching", "durability-lost",
		"two-leaders-in-term", "double-vote", "commit-regressed", "no-progress",
	},
	"stats":    {"no-operations", "never-ok", "final-never-ok", "fault-not-verified", "fault-not-cured", "few-operations"},
	"contract": {"livelock", "answered-twice", "answered-unasked", "answered-amiss"},
	"storm":    {"message-storm"},
	"recovery": {"no-recovery"},
	"panics":   {"node-panic", "unplanned-crash"},
	"logs":     {"log-pattern"},
}

// Kinds lists the kinds of anomaly that the checker of that name can report,
// gravest first; nil if there is no such checker. A kind in a Result may be
// followed by a colon and its object, as in never-ok:cas.
func Kinds(checker string) []string { return slices.Clone(kindsOf[checker]) }

// Checkers lists the names under which kinds of anomaly are known, sorted.
func Checkers() []string { return sortedKeys(kindsOf) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
