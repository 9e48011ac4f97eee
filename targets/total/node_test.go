package total

import (
	"testing"

	"github.com/torture-harness/torture/targets/internal/transcript"
)

func TestTranscripts(t *testing.T) { transcript.Run(t, "testdata", Messages, New) }
