package report

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

//go:embed page.html page.css page.js
var assets embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"seconds": seconds, "number": number, "plural": plural,
}).ParseFS(assets, "page.html"))

const (
	paletteSize  = 13  // colours of faults in page.css
	anomalyOps   = 40  // ops of one anomaly in the page
	anomaliesMax = 200 // in the page
	pageValue    = 600 // bytes of a value in the page
)

// policy is the page's content security policy: it runs its own script and no
// other, and loads nothing, whatever has come into it from outside.
var policy = fmt.Sprintf("default-src 'none'; script-src '%s'; style-src '%s'; style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'", digest("page.js"), digest("page.css"))

// digest names an asset in a policy.
func digest(name string) string {
	sum := sha256.Sum256(asset(name))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// HTML writes the run as one page. It loads nothing and works from disk, also
// for long histories: of many calls it draws a part, and says so.
func HTML(w io.Writer, in Input) error {
	b := bufio.NewWriter(w)
	if err := page.Execute(b, newView(in)); err != nil {
		return err
	}
	return b.Flush()
}

// view is what page.html shows.
type view struct {
	Title, Verdict string
	Input          Input
	Facts          [][2]string
	Why            []string
	Kinds          []string
	Looked, Not    []string // what was checked, and what was not
	Anomalies      []anomalyView
	More           int           // anomalies not shown
	Permitted      []anomalyView // what the promise allows: of each kind the first
	PermittedKinds []string
	Faults         []fault
	MoreFaults     int // not shown
	FaultKinds     []kindCount
	Counts         []counts
	Reasons        []reason
	Latency, Rate  template.HTML
	Ops            int // events in the history
	Calls, Drawn   int
	Timeline       template.JS
	Logs           []nodeLog
	Files          []string
	Stats          string
	Policy         string
	CSS            template.CSS
	JS             template.JS
	Parts          []partView
}

// partView is a part of the verdict, with how many anomalies came from it.
type partView struct {
	checker.Result
	Found int
}

func parts(r checker.Result) (views []partView) {
	for _, p := range r.Parts {
		v := partView{Result: p}
		for _, a := range r.Anomalies {
			if a.Part == p.Checker || strings.HasPrefix(a.Part, p.Checker+"/") {
				v.Found++
			}
		}
		views = append(views, v)
	}
	return views
}

type anomalyView struct {
	Kind, Key, Why, File string
	Ops                  []opView
	More                 int
}

type opView struct {
	Index               int
	Missing             bool
	Time                string
	Micros              int64 // the time, as the timeline has it
	Process, Node, Type string
	F, Key, Value       string
	Error               string
	Final               bool
}

func newView(in Input) view {
	h := in.History
	cs := calls(h)
	every := faults(h)
	fs := every[:min(len(every), faultsMax)]
	v := view{
		Title: plain(clip(in.title(), 200)), Verdict: in.Result.Verdict.String(), Input: in, Facts: in.facts(),
		Kinds: kindCounts(in.Result, in.Result.Anomalies), Looked: in.Result.Checked, Not: in.Result.Unchecked, Faults: fs, MoreFaults: len(every) - len(fs), Counts: tally(h, cs), Reasons: reasons(h, cs, 12),
		Latency: latencies(h, cs, fs), Rate: rates(h, cs, fs),
		FaultKinds: faultCounts(every),
		Ops:        h.Len(), Calls: len(cs), Logs: readLogs(in.Dir), Parts: parts(in.Result), Why: untold(in.Result),
		Policy: policy, CSS: template.CSS(asset("page.css")), JS: template.JS(asset("page.js")),
	}
	if s := stalls(h); s != "" {
		v.Facts = append(v.Facts, [2]string{"stalls", s})
	}
	shown := in.Result.Anomalies[:min(len(in.Result.Anomalies), anomaliesMax)]
	v.More = total(in.Result) - len(shown)
	for _, a := range shown {
		v.Anomalies = append(v.Anomalies, newAnomaly(h, a))
	}
	v.PermittedKinds = kindCounts(in.Result, in.Result.Permitted)
	for _, a := range firsts(in.Result.Permitted) {
		v.Permitted = append(v.Permitted, newAnomaly(h, a))
	}
	drawn := sample(h, cs, shown)
	v.Drawn = len(drawn)
	v.Timeline = template.JS(histories.Encode(draw(h, drawn, fs, in.Manifest.Clients)))
	for name := range in.Result.Files {
		v.Files = append(v.Files, name)
	}
	slices.Sort(v.Files)
	if len(in.Result.Stats) > 0 {
		if b, err := json.MarshalIndent(in.Result.Stats, "", "  "); err == nil { // else there is nothing to show
			v.Stats = string(b)
		}
	}
	return v
}

func newAnomaly(h histories.History, a checker.Anomaly) anomalyView {
	v := anomalyView{Kind: plain(a.Kind), Key: plain(clip(a.Key, 200)), Why: clip(a.Why, 8000), File: a.File}
	for i, index := range a.Ops {
		if i == anomalyOps {
			v.More = len(a.Ops) - i
			break
		}
		if index < 0 || index >= h.Len() {
			v.Ops = append(v.Ops, opView{Index: index, Missing: true})
			continue
		}
		op := h.At(index)
		v.Ops = append(v.Ops, opView{
			Index: index, Time: seconds(op.Time), Micros: micros(op.Time), Process: plain(clip(op.Process.String(), 60)), Node: plain(clip(op.Node, 60)),
			Type: op.Type.String(), F: plain(clip(op.F, 60)), Key: value(op.Key, pageValue), Value: value(op.Value, pageValue),
			Error: plain(clip(op.Error, pageValue)), Final: op.Final,
		})
	}
	return v
}

// asset is an embedded file.
func asset(name string) []byte {
	b, err := assets.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return b
}

// nodeLog is the end of what a node printed.
type nodeLog struct {
	Node, Text string
	Cut        bool // there was more
}

const (
	logLines = 200
	logBytes = 64 << 10
)

// readLogs reads the ends of the nodes' logs in a run's directory. Nodes
// without a log have none; a log that cannot be read says why.
func readLogs(dir string) []nodeLog {
	if dir == "" {
		return nil
	}
	d := histories.Dir(dir)
	nodes, err := d.Nodes()
	if err != nil {
		return nil // no nodes, no logs
	}
	var logs []nodeLog
	for _, n := range nodes {
		text, cut, err := tail(d, n)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			text = "this log cannot be read: " + err.Error()
		}
		logs = append(logs, nodeLog{plain(n), text, cut})
	}
	slices.SortFunc(logs, func(a, b nodeLog) int { return natural(a.Node, b.Node) })
	return logs
}

// tail reads the last logLines lines of a node's log, or the last logBytes bytes
// if those are fewer.
func tail(d histories.Dir, node string) (text string, cut bool, err error) {
	f, err := d.OpenNode(node, "log")
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", false, err
	}
	start := max(0, info.Size()-logBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, start, logBytes))
	if err != nil {
		return "", false, err
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if start > 0 && len(lines) > 1 {
		lines = lines[1:] // begins in the middle
	}
	if n := len(lines) - logLines; n > 0 {
		lines, start = lines[n:], 1
	}
	for i, l := range lines {
		lines[i] = plain(clip(strings.TrimSuffix(l, "\r"), 2000))
	}
	return strings.Join(lines, "\n"), start > 0, nil
}
