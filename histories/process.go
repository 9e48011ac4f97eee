package histories

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Process names who did something. Clients are numbers from 0: a client does
// one operation at a time, and one whose operation ended Info is never used
// again, since that operation may still take effect. Everybody else has a
// name: "nemesis/<package>" invokes and completes faults, the ids of nodes and
// "world" only record. In files of other tools clients may have names as well:
// these have the numbers from namedClients on.
//
// A name is interned as a negative number whose value differs between runs of
// the program: compare processes for equality, order them by String.
type Process int32

// World is the process under which a world records what it did to nodes, such as
// heal, and a stall of the harness.
var World = Named("world")

// namesMax bounds what a malformed file can intern.
const namesMax = 1 << 20

var names struct {
	sync.RWMutex
	byName map[string]Process
	list   []string
}

// Named returns the process of that name. It may be called concurrently, and
// panics after a million different names.
func Named(name string) Process {
	p, err := intern(name)
	if err != nil {
		panic(err)
	}
	return p
}

func intern(name string) (Process, error) {
	names.RLock()
	p, ok := names.byName[name]
	names.RUnlock()
	if ok {
		return p, nil
	}
	return addName(name)
}

// internBytes is intern without a string for names that are known.
func internBytes(name []byte) (Process, error) {
	names.RLock()
	p, ok := names.byName[string(name)]
	names.RUnlock()
	if ok {
		return p, nil
	}
	return addName(string(name))
}

// parseProcess reads a process that is given as a string.
func parseProcess(name []byte) (Process, error) {
	if p, ok := number(name); ok {
		return p, nil
	}
	return internBytes(name)
}

func addName(name string) (Process, error) {
	names.Lock()
	defer names.Unlock()
	if p, ok := names.byName[name]; ok {
		return p, nil
	}
	if name == "" {
		return 0, fmt.Errorf("process \"\": a name must not be empty")
	}
	if len(names.list) >= namesMax {
		return 0, fmt.Errorf("process %q: more than %d different names", name, namesMax)
	}
	if names.byName == nil {
		names.byName = map[string]Process{}
	}
	name = strings.Clone(name)
	names.list = append(names.list, name)
	p := Process(-len(names.list))
	names.byName[name] = p
	return p, nil
}

// Client tells whether p is a client, and so takes part in the workload.
func (p Process) Client() bool { return p >= 0 }

// Nemesis tells whether p injects faults: it is called nemesis, or
// nemesis/<package>.
func (p Process) Nemesis() bool {
	if p >= 0 {
		return false
	}
	s := p.String()
	return s == "nemesis" || strings.HasPrefix(s, "nemesis/")
}

// hasName tells whether p is written as a name and not as a number.
func (p Process) hasName() bool { return p < 0 || p >= namedClients }

// String is the name of p, or the number of a client that has none.
func (p Process) String() string {
	if !p.hasName() {
		return strconv.Itoa(int(p))
	}
	if p >= 0 {
		p = p.named()
	}
	names.RLock()
	defer names.RUnlock()
	if int(-p) > len(names.list) {
		return "process(" + strconv.Itoa(int(p)) + ")"
	}
	return names.list[-p-1]
}

// MarshalJSON writes names as strings, and other clients as numbers.
func (p Process) MarshalJSON() ([]byte, error) {
	if !p.hasName() {
		return strconv.AppendInt(nil, int64(p), 10), nil
	}
	return json.Marshal(p.String())
}

// UnmarshalJSON is the inverse of MarshalJSON, but for clients with names: who
// is one of them is told by what it does in a history.
func (p *Process) UnmarshalJSON(b []byte) (err error) {
	if len(b) > 0 && b[0] == '"' {
		var name string
		if err := json.Unmarshal(b, &name); err != nil {
			return err
		}
		*p, err = parseProcess([]byte(name))
		return err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n < 0 || n >= namedClients {
		return fmt.Errorf("process %s: want a number from 0 to %d, or a name", b, namedClients-1)
	}
	*p = Process(n)
	return nil
}
