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
// "world" only record.
//
// A name is interned as a negative number whose value differs between runs of
// the program: compare processes for equality, order them by String.
type Process int32

// World is the process under which a world records what it did to nodes:
// crash, restart, heal.
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

// String is the number of a client, the name of anybody else.
func (p Process) String() string {
	if p >= 0 {
		return strconv.Itoa(int(p))
	}
	names.RLock()
	defer names.RUnlock()
	if int(-p) > len(names.list) {
		return "process(" + strconv.Itoa(int(p)) + ")"
	}
	return names.list[-p-1]
}

// MarshalJSON writes clients as numbers and the others as strings.
func (p Process) MarshalJSON() ([]byte, error) {
	if p >= 0 {
		return strconv.AppendInt(nil, int64(p), 10), nil
	}
	return json.Marshal(p.String())
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (p *Process) UnmarshalJSON(b []byte) (err error) {
	if len(b) > 0 && b[0] == '"' {
		var name string
		if err := json.Unmarshal(b, &name); err != nil {
			return err
		}
		*p, err = intern(name)
		return err
	}
	n, err := strconv.ParseInt(string(b), 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("process %s: want a number from 0 to 2147483647, or a name", b)
	}
	*p = Process(n)
	return nil
}
