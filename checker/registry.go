package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/node"
)

// options are the options of a checker, by name, as they are given on the
// command line or in a golden history.
type options map[string]json.RawMessage

// maker makes a checker of its options, which must not hold others than those
// listed.
type maker struct {
	options []string
	make    func(options) (Checker, error)
}

var registry = map[string]maker{
	"linearizable":         {[]string{"model", "budget", "init", "mismatch"}, linearizableByName},
	"broadcast":            make1("order volatile acks", Broadcast),
	"primary-replica":      make1("reads copies unsynced may-lose", PrimaryReplica),
	"raft":                 make1("recovery", Raft),
	"set":                  {nil, func(options) (Checker, error) { return Set(), nil }},
	"set-full":             make1("linearizable settles", SetFull),
	"append":               make1("each-list", Appends),
	"unhandled-exceptions": {nil, func(options) (Checker, error) { return Exceptions(), nil }},
	"versioned-register":   {nil, func(options) (Checker, error) { return Versioned(), nil }},
	"stats":                make1("faults min-ops exempt", Stats),
	"contract":             {nil, func(options) (Checker, error) { return Contract(), nil }},
	"storm":                make1("nodes operations seconds", Storm),
	"recovery":             make1("nodes recovery refusals", Recovery),
	"panics":               {nil, func(options) (Checker, error) { return Panics(), nil }},
}

// make1 is the maker of a checker whose options are a struct of the same
// names.
func make1[O any](names string, of func(O) Checker) maker {
	return maker{strings.Fields(names), func(opts options) (Checker, error) {
		o, err := decodeOptions[O](opts)
		if err != nil {
			return nil, err
		}
		return of(o), nil
	}}
}

// lapse is a duration among options: a number of nanoseconds, or "5s".
type lapse time.Duration

func (l *lapse) UnmarshalJSON(b []byte) error {
	if null(b) {
		return nil
	}
	if ns, ok := integer(b); ok {
		*l = lapse(ns)
		return nil
	}
	d, err := time.ParseDuration(keyName(string(b)))
	if err != nil {
		return fmt.Errorf("duration %s: want one such as \"5s\"", b)
	}
	*l = lapse(d)
	return nil
}

func decodeOptions[O any](opts options) (o O, err error) {
	d := json.NewDecoder(bytes.NewReader(mustMarshal(opts)))
	if err := d.Decode(&o); err != nil {
		return o, err
	}
	return o, nil
}

func mustMarshal(opts options) []byte {
	if opts == nil {
		return []byte("{}")
	}
	b, err := json.Marshal(opts)
	if err != nil {
		panic(fmt.Sprintf("options %v: %v", opts, err))
	}
	return b
}

// ByName makes the checker of that name with those options. An error names
// what there is.
func ByName(name string, opts map[string]json.RawMessage) (Checker, error) {
	m, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("checker %q is unknown: want one of %s", name, strings.Join(Names(), ", "))
	}
	for _, o := range sortedKeys(opts) {
		if !slices.Contains(m.options, o) {
			return nil, fmt.Errorf("checker %s has no option %q: it has %s", name, o, strings.Join(m.options, ", "))
		}
		if !json.Valid(opts[o]) {
			return nil, fmt.Errorf("checker %s: option %s: %q is not JSON", name, o, opts[o])
		}
	}
	c, err := m.make(opts)
	if err != nil {
		return nil, fmt.Errorf("checker %s: %w", name, err)
	}
	return Safe(name, c), nil
}

// Fields are the further fields of ops that checkers look at.
var Fields = []string{"at", "exception", "idx", "op"}

// LooksAtRecords tells whether the checker of that name looks at the values of
// what neither clients nor nemeses did: at what nodes recorded.
func LooksAtRecords(name string) bool {
	switch name {
	case "append", "linearizable", "set", "set-full", "unhandled-exceptions", "versioned-register":
		return false
	}
	return true
}

// Names lists the names that ByName knows, sorted.
func Names() []string { return sortedKeys(registry) }

// Models lists the models that checker linearizable knows by name, sorted.
func Models() []string { return sortedKeys(models) }

var models = map[string]func(LinearizableOptions, RegisterOptions) (Checker, error){
	"register":       registerByName,
	"cas-register":   registerByName,
	"multi-register": modelByName(MultiRegister),
	"queue":          modelByName(Queue),
	"stack":          modelByName(Stack),
	"mutex":          modelByName(Mutex),
	"owner-mutex":    modelByName(OwnerMutex),
	"counter":        modelByName(Counter),
}

func registerByName(o LinearizableOptions, r RegisterOptions) (Checker, error) {
	return Linearizable(Register(r), o), nil
}

// modelByName makes a checker of a model that has, of a register's options, the
// initial value alone.
func modelByName[S comparable, C any](model func() Model[S, C]) func(LinearizableOptions, RegisterOptions) (Checker, error) {
	return func(o LinearizableOptions, r RegisterOptions) (Checker, error) {
		m := model()
		if r.Mismatch != "" {
			return nil, fmt.Errorf("model %s has no option mismatch: registers have", m.Name)
		}
		if r.Init != nil {
			var err error
			if m, err = m.at(r.Init); err != nil {
				return nil, fmt.Errorf("model %s: %w", m.Name, err)
			}
		}
		return Linearizable(m, o), nil
	}
}

func linearizableByName(opts options) (Checker, error) {
	o, err := decodeOptions[struct {
		Model string `json:"model"`
		LinearizableOptions
		RegisterOptions
	}](opts)
	if err != nil {
		return nil, err
	}
	if o.Model == "" {
		o.Model = "register"
	}
	of, ok := models[o.Model]
	if !ok {
		return nil, fmt.Errorf("model %q is unknown: want one of %s", o.Model, strings.Join(Models(), ", "))
	}
	if o.Init != nil {
		if o.Init, err = node.Canon(o.Init); err != nil {
			return nil, fmt.Errorf("option init: %w", err)
		}
	}
	o.advise = true
	o.noInit = o.Init == nil
	return of(o.LinearizableOptions, o.RegisterOptions)
}
