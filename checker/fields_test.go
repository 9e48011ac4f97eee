package checker

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Fields has all the further fields that are asked for by name.
func TestFields(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`(?:\.Ext\(\w+, |DecodeExt\[\w+\]\(\w+, )(?:"(\w+)"|(\w+))\)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asked.FindAllSubmatch(text, -1) {
			if name := string(m[1]); !slices.Contains(Fields, name) && string(m[2]) != "name" {
				t.Errorf("%s asks for the field %q, which Fields lacks", file, name)
			}
		}
	}
}
