package report

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

const (
	textLines  = 30  // of Text, about
	opsShown   = 8   // of one anomaly in Text
	whyLines   = 6   // of its reason
	textValue  = 160 // bytes of a value in Text
	kindsShown = 4   // of faults in the first line
	textWidth  = 110 // of a list in Text
	tableRows  = 30  // of a checker's table, about
)

// Text writes the end of a run for a terminal, in at most about 30 lines: the
// verdict, the anomalies with the few ops that show each, where the run is, and
// how to repeat it.
func Text(w io.Writer, in Input) error {
	b := bufio.NewWriter(w)
	t := text{Writer: b, in: in}
	t.head()
	t.anomalies(textLines - 11)
	t.permitted()
	t.counted()
	t.foot()
	return b.Flush()
}

type text struct {
	io.Writer
	in Input
}

// paint is s in a colour, if there are to be colours.
func (t text) paint(code, s string) string {
	if !t.in.Colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	green  = "1;32"
	yellow = "1;33"
)

var verdictColours = map[checker.Verdict]string{
	checker.Valid: green, checker.Invalid: red, checker.Unknown: yellow, checker.Vacuous: yellow,
}

func (t text) head() {
	r := t.in.Result
	line := t.paint(verdictColours[r.Verdict], strings.ToUpper(r.Verdict.String())) + "  " + t.paint(bold, plain(t.in.title()))
	var facts []string
	for _, f := range t.in.facts() {
		switch f[0] {
		case "world":
			facts = append(facts, f[1])
		case "nemesis":
			if n := len(t.in.Manifest.Nemesis); n > kindsShown {
				f[1] = plural(n, "kind") + " of faults"
			}
			facts = append(facts, f[1])
		case "seed", "bug":
			facts = append(facts, f[0]+" "+f[1])
		}
	}
	if len(facts) > 0 {
		line += "  " + t.paint(dim, plain(strings.Join(facts, " · ")))
	}
	fmt.Fprintln(t, line)
	if t.in.Error != "" {
		for _, l := range strings.SplitN(t.in.Error, "\n", 4) {
			fmt.Fprintf(t, "%s %s\n", t.paint(red, "torture failed:"), plain(clip(l, 300)))
		}
	}
	reasons := untold(r)
	for i, why := range reasons {
		if i == 5 && len(reasons) > 6 {
			fmt.Fprintf(t, "  … and %s\n", plural(len(reasons)-i, "more reason"))
			break
		}
		fmt.Fprintf(t, "  %s\n", plain(clip(why, 300)))
	}
}

// untold are the reasons of a verdict but for those that are an anomaly's, and
// are told with it.
func untold(r checker.Result) []string {
	return slices.DeleteFunc(strings.Split(r.Why, "; "), func(why string) bool {
		return why == "" || slices.ContainsFunc(r.Anomalies, func(a checker.Anomaly) bool {
			return why == a.Why || strings.HasSuffix(why, ": "+a.Why)
		})
	})
}

// varied is all with the first of each kind before the others.
func varied(all []checker.Anomaly) []checker.Anomaly {
	first := firsts(all)
	for i, a := range all {
		if slices.ContainsFunc(all[:i], func(b checker.Anomaly) bool { return b.Kind == a.Kind }) {
			first = append(first, a)
		}
	}
	return first
}

// firsts is the first anomaly of each kind.
func firsts(all []checker.Anomaly) (first []checker.Anomaly) {
	for _, a := range all {
		if !slices.ContainsFunc(first, func(b checker.Anomaly) bool { return b.Kind == a.Kind }) {
			first = append(first, a)
		}
	}
	return first
}

// anomalies prints as many anomalies as fit into so many lines, the first in
// any case.
func (t text) anomalies(lines int) {
	r := t.in.Result
	if r.Verdict != checker.Vacuous {
		r = proper(r)
	}
	if len(r.Anomalies) == 0 {
		return
	}
	if n := total(r); n > 1 {
		fmt.Fprintf(t, "%s anomalies: %s\n", number(n), plain(strings.Join(kindCounts(r, r.Anomalies), ", ")))
	}
	apart := true // by an empty line: not from one alike that shows no ops
	for i, a := range varied(r.Anomalies) {
		shown := min(len(a.Ops), opsShown)
		need := 3 + shown + min(strings.Count(a.Why, "\n"), whyLines)
		if apart = apart || shown > 0; !apart {
			need -= 2
		}
		if i > 0 && need > lines {
			fmt.Fprintf(t, "\n%s\n", t.paint(dim, fmt.Sprintf("… and %d more", total(r)-i)))
			return
		}
		lines -= need
		if apart {
			fmt.Fprintln(t)
		}
		t.anomaly(a, i == 0 && shown > 0)
		apart = shown > 0
	}
	if more := total(r) - len(r.Anomalies); more > 0 {
		fmt.Fprintf(t, "\n%s\n", t.paint(dim, fmt.Sprintf("… and %d more", more)))
	}
}

// permitted tells of what the promise allows: how often each kind was found, and
// one case.
func (t text) permitted() {
	r := t.in.Result
	if len(r.Permitted) == 0 {
		return
	}
	fmt.Fprintf(t, "permitted: %s\n", plain(strings.Join(kindCounts(r, r.Permitted), ", ")))
	for _, a := range firsts(r.Permitted) {
		fmt.Fprintf(t, "  %s\n", plain(clip(a.Kind+": "+a.Why, 300)))
	}
}

// counted prints the table of a checker that was asked for by name. That of a
// part, such as a run's stats, is in the report.
func (t text) counted() {
	table := t.in.Result.Table
	if len(table) < 2 {
		return
	}
	fmt.Fprintln(t)
	lines := &strings.Builder{}
	tw := tabwriter.NewWriter(lines, 0, 0, 2, ' ', 0)
	for i, row := range table {
		if i == tableRows+1 && len(table) > tableRows+2 {
			fmt.Fprintf(tw, "  … and %s\n", plural(len(table)-i, "more row"))
			break
		}
		for _, cell := range row {
			fmt.Fprintf(tw, "  %s\t", plain(clip(cell, textValue)))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
	for i, line := range strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n") {
		if line = strings.TrimRight(line, " "); i == 0 {
			line = t.paint(dim, line)
		}
		fmt.Fprintln(t, line)
	}
}

// proper is r without the gaps of statistics: next to a broken promise, or where
// nothing could be judged, they are of no interest.
func proper(r checker.Result) checker.Result {
	kinds := map[string]bool{}
	r.Anomalies = slices.DeleteFunc(slices.Clone(r.Anomalies), func(a checker.Anomaly) bool {
		gap := path.Base(a.Part) == "stats"
		kinds[a.Kind] = gap
		return gap
	})
	r.Truncated = maps.Clone(r.Truncated)
	maps.DeleteFunc(r.Truncated, func(kind string, _ int) bool { return kinds[kind] })
	return r
}

// anomaly prints one; header tells whether its columns need names.
func (t text) anomaly(a checker.Anomaly, header bool) {
	fmt.Fprint(t, t.paint(red, plain(a.Kind)))
	if a.Key != "" {
		fmt.Fprintf(t, " %s", t.paint(bold, "key "+plain(clip(a.Key, 60))))
	}
	for i, line := range strings.SplitN(clip(a.Why, 600), "\n", whyLines+1) {
		switch i {
		case 0:
			fmt.Fprintf(t, ": %s\n", plain(line))
		case whyLines:
			fmt.Fprintf(t, "  %s\n", t.paint(dim, "…"))
		default:
			fmt.Fprintf(t, "  %s\n", plain(line))
		}
	}
	table := &strings.Builder{}
	tw := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	var colours []string
	if header {
		fmt.Fprintln(tw, "  op\ttime\tprocess\tnode\t\t")
		colours = append(colours, dim)
	}
	for i, index := range a.Ops {
		if i == opsShown {
			break
		}
		if index < 0 || index >= t.in.History.Len() {
			fmt.Fprintf(tw, "  %d\tnot in this history\n", index)
			colours = append(colours, dim)
			continue
		}
		op := t.in.History.At(index)
		fmt.Fprintf(tw, "  %d\t%s\t%s\t%s\t%s\t%s\n", index, seconds(op.Time), plain(clip(op.Process.String(), 60)), plain(clip(op.Node, 60)), op.Type, opText(op, textValue))
		colours = append(colours, map[histories.Type]string{histories.OK: "32", histories.Fail: "31", histories.Info: "33"}[op.Type])
	}
	tw.Flush()
	for i, line := range strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n") {
		if line = strings.TrimRight(line, " "); line == "" {
			continue
		}
		if i < len(colours) && colours[i] != "" {
			line = t.paint(colours[i], line)
		}
		fmt.Fprintln(t, line)
	}
	if more := len(a.Ops) - opsShown; more > 0 {
		fmt.Fprintf(t, "  %s\n", t.paint(dim, fmt.Sprintf("… and %s", plural(more, "more op"))))
	}
}

// opText is what op is about: "write k3 5", with its error.
func opText(op histories.Op, n int) string {
	words := []string{plain(clip(op.F, n))}
	for _, w := range []string{value(op.Key, n), value(op.Value, n)} {
		if w != "" {
			words = append(words, w)
		}
	}
	if op.Error != "" {
		words = append(words, "("+plain(clip(op.Error, n))+")")
	}
	if op.Final {
		words = append(words, "[final]")
	}
	return strings.Join(words, " ")
}

// behind says by how much a run missed the rate that it was asked for, if by a
// tenth or more: its clients waited for the nodes.
func (t text) behind(cs []call) string {
	h, m := t.in.History, t.in.Manifest
	if m.Schedule || m.Rate <= 0 || m.TimeLimit <= 0 || len(cs) == 0 {
		return ""
	}
	began := slices.IndexFunc(cs, func(c call) bool { return h.Final(int(c.begin)) })
	if began < 0 {
		began = len(cs)
	}
	span := min(m.TimeLimit, time.Duration(h.Time(h.Len()-1)))
	rate := float64(began) / span.Seconds()
	if rate > 0.9*m.Rate {
		return ""
	}
	return fmt.Sprintf("; %.0f/s of the %v/s asked for", rate, m.Rate)
}

func (t text) foot() {
	h := t.in.History
	cs := calls(h)
	var sum counts
	for _, c := range cs {
		sum.add(c.outcome(h))
	}
	row := func(name, s string) { fmt.Fprintf(t, "%s %s\n", t.paint(dim, fmt.Sprintf("%-7s", name)), s) }
	fmt.Fprintln(t)
	did := fmt.Sprintf("%s: %s ok, %s fail, %s info", plural(len(cs), "operation"), number(sum.OK), number(sum.Fail), number(sum.Info))
	if n := h.Len(); n > 0 {
		did += ", in " + brief(time.Duration(h.Time(n-1)))
	}
	row("clients", did+t.behind(cs))
	if stalls := stalls(h); stalls != "" {
		row("stalls", stalls)
	}
	if kinds := faultCounts(faults(h)); len(kinds) > 0 {
		var parts []string
		for _, k := range kinds {
			parts = append(parts, k.String())
		}
		row("faults", strings.Join(parts, ", "))
	}
	r := t.in.Result
	for _, l := range []struct {
		name string
		list []string
	}{{"looked", r.Checked}, {"not", r.Unchecked}, {"try", t.in.Advice}} {
		for i, line := range wrap(l.list, textWidth) {
			if i > 0 {
				l.name = ""
			}
			row(l.name, plain(line))
		}
	}
	if t.in.Dir != "" {
		if t.in.Manifest.Target != "" {
			row("run", plain(t.in.Dir))
		}
		row("report", plain(filepath.Join(t.in.Dir, "report.html")))
	}
	if t.in.Command != "" {
		row("repeat", t.paint(bold, plain(t.in.Command)))
	}
}

// wrap joins phrases by semicolons, in lines of about so many bytes.
func wrap(phrases []string, width int) (lines []string) {
	line := ""
	for i, p := range phrases {
		if i < len(phrases)-1 {
			p += ";"
		}
		if line != "" && len(line)+1+len(p) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+p, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
