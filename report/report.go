// Package report tells people what came of a run: on the terminal (Text) and
// as a page (HTML) that needs nothing but a browser.
//
// Both take a history as it is, however odd, and write the same bytes for the
// same input. What they print comes from the system under test and is not to be
// trusted: nothing of it can act on a terminal or in a browser.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// Input is a run and what was found in it. All but the history and the result
// may be missing.
type Input struct {
	Manifest histories.Manifest
	History  histories.History
	Result   checker.Result
	Dir      string   // the run's directory, where the nodes' logs are
	Error    string   // what went wrong with torture itself
	Command  string   // repeats the run
	Advice   []string // what to change, so that a run that was vacuous is not
	Colour   bool     // of Text
}

// title names what was run: "raft/register".
func (in Input) title() string {
	switch m := in.Manifest; {
	case m.Target == "":
		return in.Result.Checker
	case m.Workload == "":
		return m.Target
	default:
		return m.Target + "/" + m.Workload
	}
}

// facts are the conditions of the run, in the order to be told.
func (in Input) facts() [][2]string {
	m := in.Manifest
	var facts [][2]string
	add := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "0" && s != "0s" && s != "false" {
			facts = append(facts, [2]string{name, s})
		}
	}
	add("world", m.World)
	if m.World != "" {
		facts = append(facts, [2]string{"seed", fmt.Sprint(m.Seed)})
	}
	add("bug", m.Bug)
	for _, name := range slices.Sorted(maps.Keys(m.Flags)) {
		add(name, m.Flags[name])
	}
	add("nodes", m.Nodes)
	add("clients", m.Clients)
	if m.Rate > 0 {
		add("rate", fmt.Sprintf("%g/s", m.Rate))
	}
	for _, p := range m.Load {
		what := ""
		if p.Reads {
			what = ", reads only"
		}
		add("load", fmt.Sprintf("%g/s for %v%s", p.Rate, p.For, what))
	}
	add("keys", m.Keys)
	add("time limit", m.TimeLimit)
	add("timeout", m.Timeout)
	add("recovery", m.Recovery)
	add("nemesis", strings.Join(m.Nemesis, ", "))
	add("targets", m.Targets)
	add("interval", m.Interval)
	add("budget", m.Budget)
	add("drawn by the seed", m.Swarm)
	if c := m.Conditions; c != nil {
		order := "any order"
		if c.FIFO {
			order = "in order"
		}
		add("links", fmt.Sprintf("%v + %v, up to ×%.1f, %.2g lost, %.2g twice, %s", c.Floor, c.Mean, c.Spread, c.Loss, c.Twice, order))
		add("clocks", fmt.Sprintf("%v apart, drift of %.2g", c.Skew, c.Drift))
	}
	add("replayed", m.Schedule)
	if !m.Started.IsZero() {
		add("started", m.Started.UTC().Format(time.RFC3339))
	}
	add("revision", m.Revision)
	return facts
}

// stalls tells for how long the harness stood still, or is "".
func stalls(h histories.History) string {
	total, times := histories.Stalls(h)
	if times == 0 {
		return ""
	}
	return fmt.Sprintf("the harness itself stood still for %s of %s, in %s: latencies meanwhile are its own",
		brief(total), brief(time.Duration(h.Time(h.Len()-1))), plural(times, "stall"))
}

// clip makes s at most n bytes long, and says how much there was.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
}

// Plain is s, which anybody may have written, as a part of one line: clipped to n
// bytes, and without control characters.
func Plain(s string, n int) string { return plain(clip(s, n)) }

// plain spells out what is not fit to print: control characters, and bytes
// that are no UTF-8.
func plain(s string) string {
	ok := func(r rune) bool { return unicode.IsPrint(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case ok(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// value shows an encoded value in at most n bytes; nothing for null. Of
// strings that read well without, the quotes are left out.
func value(raw json.RawMessage, n int) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if raw[0] == '"' && len(raw) <= n {
		var s string
		word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./", r) }
		if json.Unmarshal(raw, &s) == nil && s != "" && strings.IndexFunc(s, func(r rune) bool { return !word(r) }) < 0 {
			return s
		}
	}
	return plain(clip(string(raw), n))
}

// seconds shows a time of a run: 12.034s.
func seconds(t histories.Time) string {
	return fmt.Sprintf("%.3fs", time.Duration(t).Seconds())
}

// brief shows a duration to three digits, and to the second at least.
func brief(d time.Duration) string {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit || unit >= time.Second {
			return d.Round(unit).String()
		}
	}
}

// number groups the digits of n: 12,345.
func number(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 op", "2 ops".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// natural orders n2 before n10.
func natural(a, b string) int {
	trim := func(s string) string { return strings.TrimRight(s, "0123456789") }
	return cmp.Or(cmp.Compare(trim(a), trim(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// kindCounts lists the kinds of some of r's anomalies, in the order they come,
// with how often each was found, those left out included.
func kindCounts(r checker.Result, anomalies []checker.Anomaly) []string {
	var kinds []string
	count := map[string]int{}
	for _, a := range anomalies {
		if count[a.Kind] == 0 {
			kinds = append(kinds, a.Kind)
		}
		count[a.Kind]++
	}
	for i, k := range kinds {
		if n := count[k] + r.Truncated[k]; n > 1 {
			kinds[i] = fmt.Sprintf("%s ×%s", k, number(n))
		}
	}
	return kinds
}

// total is the number of anomalies, those left out included.
func total(r checker.Result) int {
	n := len(r.Anomalies)
	for kind, more := range r.Truncated {
		if slices.ContainsFunc(r.Anomalies, func(a checker.Anomaly) bool { return a.Kind == kind }) {
			n += more // and not of what is permitted
		}
	}
	return n
}
