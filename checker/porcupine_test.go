package checker

import (
	"strings"
	"testing"

	"github.com/torture-harness/torture/histories"
)

// Values of a history are foreign: in a drawing they are text, never markup.
func TestDrawingEscapesValues(t *testing.T) {
	h, _, err := histories.Read(strings.NewReader(`{"process":0,"type":"invoke","f":"write","value":"<img src=x onerror=alert(1)>"}
{"process":0,"type":"ok","f":"write","value":"<img src=x onerror=alert(1)>"}
{"process":0,"type":"invoke","f":"read","value":null}
{"process":0,"type":"ok","f":"read","value":"other"}
`), "h.jsonl", histories.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := Linearizable(Register(RegisterOptions{}), LinearizableOptions{}).Check(t.Context(), h)
	page := string(r.Files["linearizability.html"])
	_, states, found := strings.Cut(page, `"StateDescription":`)
	if r.Verdict != Invalid || !found {
		t.Fatalf("%s, a page of %d bytes", r.Verdict, len(page))
	}
	if !strings.Contains(page[:strings.Index(page, "<style")], `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; `) {
		t.Error("the drawing has no policy, or has it too late")
	}
	if strings.Contains(states, `\u003cimg`) || !strings.Contains(states, `\u0026lt;img`) {
		t.Errorf("a state is drawn without escaping: %.300s", states)
	}
}
