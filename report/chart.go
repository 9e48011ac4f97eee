package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/torture-harness/torture/checker"
	"github.com/torture-harness/torture/histories"
)

// chart is an SVG drawing over the time of a run, in the colours of the page's
// style sheet.
type chart struct {
	strings.Builder
	end   histories.Time
	top   float64               // of the vertical axis
	y     func(float64) float64 // value to share of the height, 0 at the bottom
	kinds int
}

// The chart's geometry, in user units.
const (
	chartWidth  = 1000
	chartHeight = 240
	marginLeft  = 64
	marginRight = 12
	marginTop   = 10
	strip       = 7 // height of a kind's strip of faults
)

var typeClass = [...]string{"ok", "fail", "info"}

func (c *chart) px(t histories.Time) float64 {
	return marginLeft + float64(t)/float64(max(c.end, 1))*(chartWidth-marginLeft-marginRight)
}

func (c *chart) py(v float64) float64 { return marginTop + (1-c.y(v))*chartHeight }

// begin draws the faults: shaded over the interval in which they were in force,
// and a strip for each kind below the axis.
func (c *chart) begin(label string, fs []fault) {
	for _, f := range fs {
		c.kinds = max(c.kinds, f.Colour+1)
	}
	height := marginTop + chartHeight + 22 + strip*c.kinds + 4
	// The more kinds, the more shades lie over one another.
	shade := max(0.03, 0.25/float64(c.kinds+1))
	fmt.Fprintf(c, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s" style="--shade:%.3f">`, chartWidth, height, label, shade)
	for _, f := range fs {
		if !f.Effective {
			continue
		}
		x, w := c.px(f.From), max(c.px(f.To)-c.px(f.From), 0.5)
		class := "band"
		if !f.Verified {
			class = "band unverified"
		}
		title := template.HTMLEscapeString(f.ID + " " + f.Victims)
		fmt.Fprintf(c, `<g class="%s k%d"><title>%s</title><rect x="%.1f" y="%d" width="%.1f" height="%d" class="shade"/><rect x="%.1f" y="%d" width="%.1f" height="%d"/></g>`,
			class, f.Colour, title, x, marginTop, w, chartHeight, x, marginTop+chartHeight+22+strip*f.Colour, w, strip-2)
	}
}

// axes draws the frame, the ticks of time, and the given ones of the values.
func (c *chart) axes(ticks []float64, name func(float64) string) template.HTML {
	for _, v := range ticks {
		fmt.Fprintf(c, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			marginLeft, c.py(v), chartWidth-marginRight, marginLeft-6, c.py(v)+4, name(v))
	}
	for _, t := range niceTicks(float64(c.end)/1e9, 10) {
		x := c.px(histories.Time(t * 1e9))
		fmt.Fprintf(c, `<path class="grid" d="M%.1f %dv5"/><text x="%.1f" y="%d" text-anchor="middle">%gs</text>`, x, marginTop+chartHeight, x, marginTop+chartHeight+17, t)
	}
	fmt.Fprintf(c, `<path class="axis" d="M%d %dV%dH%d"/></svg>`, marginLeft, marginTop, marginTop+chartHeight, chartWidth-marginRight)
	return template.HTML(c.String())
}

// niceTicks are about n round numbers from 0 to end.
func niceTicks(end float64, n int) []float64 {
	if end <= 0 || math.IsInf(end, 0) || math.IsNaN(end) {
		return []float64{0}
	}
	unit := math.Pow(10, math.Floor(math.Log10(end/float64(n))))
	for _, m := range []float64{1, 2, 5, 10} {
		if end/(unit*m) <= float64(n) {
			unit *= m
			break
		}
	}
	var ticks []float64
	for i := 0; float64(i)*unit <= end*1.0001; i++ {
		ticks = append(ticks, math.Round(float64(i)*unit*1e9)/1e9)
	}
	return ticks
}

// last is the time of the last op of h.
func last(h histories.History) histories.Time {
	if h.Len() == 0 {
		return 0
	}
	return h.Time(h.Len() - 1)
}

// latencies draws each call's latency, on a logarithmic axis, where it was
// invoked: at most one point of a type to a cell of the grid, so that the
// drawing does not grow with the history. Lines are quantiles over time of the
// calls that succeeded.
func latencies(h histories.History, cs []call, fs []fault) template.HTML {
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for _, c := range cs {
		if d, ok := c.took(h); ok {
			d = max(d, time.Microsecond)
			low, high = min(low, d), max(high, d)
		}
	}
	if high == 0 {
		return ""
	}
	from, to := math.Floor(math.Log10(float64(low))), math.Ceil(math.Log10(float64(high)))
	to = max(to, from+1)
	c := chart{end: last(h), y: func(v float64) float64 {
		return (math.Log10(max(v, 1000)) - from) / (to - from)
	}}
	c.begin("latency of operations over time", fs)
	const cell = 2.5
	type point struct{ x, y int }
	points := [3]map[point]bool{{}, {}, {}}
	for _, one := range cs {
		if d, ok := one.took(h); ok {
			p := point{int(c.px(h.Time(int(one.begin))) / cell), int(c.py(float64(d)) / cell)}
			points[one.outcome(h)-histories.OK][p] = true
		}
	}
	for t, set := range points {
		ps := make([]point, 0, len(set))
		for p := range set {
			ps = append(ps, p)
		}
		slices.SortFunc(ps, func(a, b point) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.y, b.y)) })
		fmt.Fprintf(&c, `<path class="dots %s" d="`, typeClass[t])
		for _, p := range ps {
			fmt.Fprintf(&c, "M%.4g %.4gh0", (float64(p.x)+0.5)*cell, (float64(p.y)+0.5)*cell)
		}
		c.WriteString(`"/>`)
	}
	c.quantiles(h, cs)
	var ticks []float64
	for e := from; e <= to; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return c.axes(ticks, func(v float64) string { return time.Duration(math.Round(v)).String() })
}

// windows is the number of parts of the run over which rates and quantiles are
// taken.
const windows = 100

func (c *chart) window(t histories.Time) int {
	return int(min(max(float64(t)/float64(max(c.end, 1))*windows, 0), windows-1))
}

func (c *chart) middle(w int) float64 {
	return c.px(histories.Time((float64(w) + 0.5) / windows * float64(c.end)))
}

func (c *chart) quantiles(h histories.History, cs []call) {
	took := make([][]time.Duration, windows)
	for _, one := range cs {
		if d, ok := one.took(h); ok && one.outcome(h) == histories.OK {
			w := c.window(h.Time(int(one.begin)))
			took[w] = append(took[w], d)
		}
	}
	for _, ds := range took {
		slices.Sort(ds)
	}
	for _, q := range []struct {
		class string
		q     float64
	}{{"q50", 0.5}, {"q95", 0.95}, {"q99", 0.99}, {"q100", 1}} {
		fmt.Fprintf(c, `<path class="line %s" d="`, q.class)
		gap := true
		for w, ds := range took {
			if len(ds) == 0 {
				gap = true
				continue
			}
			step := "L"
			if gap {
				step = "M"
			}
			fmt.Fprintf(c, "%s%.1f %.1f", step, c.middle(w), c.py(float64(checker.Quantile(ds, q.q))))
			gap = false
		}
		c.WriteString(`"/>`)
	}
}

// rates draws the completions a second, by type.
func rates(h histories.History, cs []call, fs []fault) template.HTML {
	c := chart{end: last(h)}
	if len(cs) == 0 || c.end == 0 {
		return ""
	}
	var n [3][windows]float64
	second := float64(windows) / (float64(c.end) / 1e9)
	for _, one := range cs {
		if one.end < 0 {
			continue
		}
		rate := &n[one.outcome(h)-histories.OK][c.window(h.Time(int(one.end)))]
		*rate += second
		c.top = max(c.top, *rate)
	}
	if c.top == 0 {
		return ""
	}
	ticks := niceTicks(c.top, 5)
	c.y = func(v float64) float64 { return v / (c.top * 1.05) }
	c.begin("completions a second over time", fs)
	for t, rate := range n {
		if slices.Max(rate[:]) == 0 {
			continue
		}
		fmt.Fprintf(&c, `<path class="line rate %s" d="`, typeClass[t])
		for w, v := range rate {
			step := "L"
			if w == 0 {
				step = "M"
			}
			fmt.Fprintf(&c, "%s%.1f %.1f", step, c.middle(w), c.py(v))
		}
		c.WriteString(`"/>`)
	}
	return c.axes(ticks, func(v float64) string { return fmt.Sprintf("%g/s", v) })
}
