package histories

// tuples watches for values [k, v], Jepsen's encoding of independent objects,
// in a file that is not read as one of those. There are other pairs, such as a
// cas of [old, new]; but only in tuples an invocation holds a key beside a
// value that is not there yet.
type tuples struct {
	others bool // there is a value that is no pair
	marked bool // there is [k, null] in an invocation
}

func (t *tuples) take(r *record) {
	if t.others || r.value == nil || !r.process.Client() {
		return
	}
	first, second, ok := tuple(r.value)
	if t.others = !ok || r.key != nil; t.others {
		return
	}
	t.marked = t.marked || r.typ == Invoke && string(first) != "null" && string(second) == "null"
}

// sure tells whether the values are tuples, by all that is known.
func (t *tuples) sure() bool { return t.marked && !t.others }
