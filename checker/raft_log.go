package checker

// raftLog is a log as it is on record: a base, which is all up to an index and
// of which at most the hash is known, and the entries that follow. Entries
// that are not on record are empty. The zero raftLog is empty.
type raftLog struct {
	begin uint64    // index of the base
	base  raftEntry // what is known of it; it never counts as on record
	list  []raftEntry
}

// holesMax bounds the entries not on record that a log keeps room for: a log
// that goes on further away begins anew.
const holesMax = 1 << 12

// first is the index of the first entry after the base.
func (l *raftLog) first() uint64 { return l.begin + 1 }

func (l *raftLog) last() uint64 { return l.begin + uint64(len(l.list)) }

// at is the entry at idx, empty if it is not on record.
func (l *raftLog) at(idx uint64) raftEntry {
	switch {
	case idx == l.begin:
		return l.base
	case idx < l.begin || idx > l.last():
		return raftEntry{}
	}
	return l.list[idx-l.begin-1]
}

// put sets the entry at idx, which is after the last.
func (l *raftLog) put(idx uint64, e raftEntry) {
	if idx <= l.begin {
		return
	}
	if idx-l.last() > holesMax {
		l.reset(idx-1, raftEntry{})
	}
	for l.last()+1 < idx {
		l.list = append(l.list, raftEntry{})
	}
	l.list = append(l.list, e)
}

// set replaces the entry at idx, which the log has.
func (l *raftLog) set(idx uint64, e raftEntry) { l.list[idx-l.begin-1] = e }

// truncate drops what lies after idx.
func (l *raftLog) truncate(idx uint64) {
	switch {
	case idx >= l.last():
	case idx <= l.begin:
		l.list = l.list[:0]
	default:
		l.list = l.list[:idx-l.begin]
	}
}

// reset begins the log anew after idx.
func (l *raftLog) reset(idx uint64, base raftEntry) {
	base.by = 0
	l.begin, l.base, l.list = idx, base, l.list[:0]
}
