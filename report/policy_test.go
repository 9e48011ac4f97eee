package report

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/torture-harness/torture/checker"
)

// A page runs its own script and style, as they stand in it, and nothing else.
func TestPolicy(t *testing.T) {
	page := render(t, "policy", Input{Result: checker.Result{Why: `<script>alert(1)</script><img src="https://example.com/x" onerror="alert(2)">`}})
	meta := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if meta == nil {
		t.Fatal("the page has no policy")
	}
	got := html.UnescapeString(meta[1])
	sum := func(element string) string {
		m := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
		if len(m) != 1 {
			t.Fatalf("the page has %d elements %s, want one", len(m), element)
		}
		s := sha256.Sum256([]byte(m[0][1]))
		return "'sha256-" + base64.StdEncoding.EncodeToString(s[:]) + "'"
	}
	want := "default-src 'none'; script-src " + sum("script") + "; style-src " + sum("style") + "; style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'"
	if got != want {
		t.Errorf("the policy is\n%s\nwant\n%s", got, want)
	}
	if before := page[:strings.Index(page, meta[0])]; strings.Contains(before, "<style") || strings.Contains(before, "<script") {
		t.Error("the policy comes after what it is for")
	}
}
