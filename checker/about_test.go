package checker

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Everything there is to be named is told of, with an example that works.
func TestHelp(t *testing.T) {
	text := Help()
	check := func(name string, example string, opts options) {
		for option := range strings.SplitSeq(example, "--option ") {
			key, value, ok := strings.Cut(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(option), "--independent")), "=")
			if !ok {
				continue
			}
			opts[key] = raw("%s", strings.Trim(value, "'"))
			if !json.Valid(opts[key]) {
				opts[key] = raw("%q", value)
			}
		}
		if _, err := ByName(name, opts); err != nil {
			t.Errorf("%s %s: %v", name, example, err)
		}
		if !strings.Contains(text, example) {
			t.Errorf("the help does not show %q", example)
		}
	}
	for _, name := range Names() {
		a, ok := aboutCheckers[name]
		if !ok || a.doc == "" || !strings.Contains(text, "  "+name+": "+a.doc) {
			t.Errorf("nothing is told of the checker %s", name)
		}
		check(name, a.example, options{})
		for _, o := range registry[name].options {
			if a.options[o] == "" || !strings.Contains(text, a.options[o]) {
				t.Errorf("nothing is told of the option %s of %s", o, name)
			}
		}
		for o := range a.options {
			if !slices.Contains(registry[name].options, o) {
				t.Errorf("%s has no option %s", name, o)
			}
		}
	}
	for _, name := range Models() {
		a, ok := aboutModels[name]
		if !ok || a.doc == "" || !strings.Contains(text, "  "+name+": "+a.doc) {
			t.Errorf("nothing is told of the model %s", name)
		}
		check("linearizable", a.example, options{"model": raw("%q", name)})
	}
	if len(aboutCheckers) != len(Names()) || len(aboutModels) != len(Models()) {
		t.Errorf("%d checkers and %d models are told of, and there are %d and %d", len(aboutCheckers), len(aboutModels), len(Names()), len(Models()))
	}
}
