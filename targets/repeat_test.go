package targets_test

import (
	"encoding/json"
	"testing"

	gen "github.com/torture-harness/torture/generators"
	"github.com/torture-harness/torture/targets"
)

func TestRepeating(t *testing.T) {
	ctx := gen.NewContext(1, []string{"n1"}, 1, nil, nil)
	for _, test := range []struct{ f, value, want string }{
		{"write", "7", "2"}, {"cas", "[4,13]", "[4,3]"}, {"read", "", ""}, {"add", "7", "7"}, {"write", `"a"`, `"a"`},
	} {
		op := gen.Op{F: test.f}
		if test.value != "" {
			op.Value = json.RawMessage(test.value)
		}
		got, _ := gen.Ask(targets.Repeating(5, gen.Of(op)), ctx)
		if string(got.Value) != test.want {
			t.Errorf("%s %s becomes %s, want %s", test.f, test.value, got.Value, test.want)
		}
	}
}
