package histories

import (
	"slices"
	"strconv"
)

// Who is a client of a file: whoever has a number, also one in quotes, and
// whoever has a name and invokes operations, or completes them without saying
// that the outcome is unknown. Not so nemesis, nemesis/…, world and those that
// the reader is told to be recorders. What a client with a name says while it
// has nothing under way, in records of type info, is a record and no operation.
//
// Such a client keeps its name: its number is above all that a file may give.

// namedClients is the number of the first client that has a name. Behind it
// there is room for namesMax of them.
const namedClients = 2_000_000_000

// asClient is the client of the name that p is.
func (p Process) asClient() Process { return namedClients - 1 - p }

// named is the name of a client that has one, as a process that is none.
func (p Process) named() Process { return namedClients - 1 - p }

// nameClient makes a client of a process with a name that acts as one.
func (r *reader) nameClient() {
	p := &r.p
	if p.process >= 0 || p.process == World || p.process.Nemesis() {
		return
	}
	client := p.process.asClient()
	if p.typ == Info {
		if _, busy := r.b.open.get(client); !busy {
			return
		}
	}
	if len(r.o.Recorders) > 0 && slices.Contains(r.o.Recorders, p.process.String()) {
		return
	}
	p.process = client
}

// number reads the number of a client from a name of digits only, as writers
// of JSON have it that turn all names into strings.
func number(name []byte) (Process, bool) {
	if len(name) == 0 || len(name) > 10 || name[0] == '0' && len(name) > 1 {
		return 0, false
	}
	for _, c := range name {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(name), 10, 64)
	return Process(n), err == nil && n < namedClients
}
