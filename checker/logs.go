package checker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/torture-harness/torture/histories"
)

// LogPatterns match what no healthy node writes into its log.
var LogPatterns = []*regexp.Regexp{
	regexp.MustCompile(`\bpanic: `),
	regexp.MustCompile(`\bfatal error: `),
	regexp.MustCompile(`\bDATA RACE\b`),
	regexp.MustCompile(`(?i)\bassertion failed\b`),
	regexp.MustCompile(`(?i)\bcorrupt`),
}

// logLineMax bounds how much of a line is looked at.
const logLineMax = 64 << 10

// MatchLogs reads the log of a node and reports each line that one of the
// patterns matches, with its number from 1. It reports at most CasesMax lines,
// and reads to the end all the same: matched counts the rest. An error is that
// of r.
func MatchLogs(node string, r io.Reader, patterns []*regexp.Regexp) (found []Anomaly, matched int, err error) {
	in := bufio.NewReaderSize(r, logLineMax)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		for _, p := range patterns {
			if !p.Match(line) {
				continue
			}
			if matched++; len(found) < CasesMax {
				shown := bytes.ToValidUTF8(bytes.TrimSpace(line[:min(len(line), 300)]), []byte("?"))
				found = append(found, Anomaly{Kind: "log-pattern", Key: node, Why: fmt.Sprintf("%s, line %d of its log: %s", node, n, shown)})
			}
			break
		}
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of a very long line
			_, err = in.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			return found, matched, nil
		}
		if err != nil {
			return found, matched, fmt.Errorf("log of %s, line %d: %w", node, n, err)
		}
	}
}

// Logs is the checker of matched log lines, which MatchLogs found: it looks at
// no history, for that does not hold the logs. Any line makes it Invalid.
// truncated is how many more were matched than found. Of the logs of nodes that
// there should be, read were read.
func Logs(read, nodes int, found []Anomaly, truncated int) Checker {
	return Func(func(context.Context, histories.History) Result {
		f := find("logs")
		if read > 0 {
			f.looked(logsOf(read))
		}
		if read < nodes {
			f.skipped(logsOf(nodes-read) + ": not there, or not to be read")
		}
		for _, a := range found {
			f.add(a)
		}
		f.count["log-pattern"] += truncated
		f.stats["lines"] = len(found) + truncated
		return f.result("")
	})
}

func logsOf(n int) string {
	if n == 1 {
		return "the log of 1 node"
	}
	return fmt.Sprintf("the logs of %d nodes", n)
}
