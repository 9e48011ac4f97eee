"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plot = document.getElementById("plot");
  const canvas = plot.querySelector("canvas");
  const tip = document.getElementById("tip");
  const g = canvas.getContext("2d");
  const calls = data.calls;
  const types = ["ok", "fail", "info"];

  // Absolute times, and where each op of the history is.
  const start = new Float64Array(calls.t.length);
  const byOp = new Map();
  let longest = 0;
  for (let i = 0, t = 0; i < start.length; i++) {
    start[i] = t += calls.t[i];
    if (calls.d[i] > longest) longest = calls.d[i];
    byOp.set(calls.i[i], i);
    if (calls.j[i] >= 0) byOp.set(calls.j[i], i);
  }
  const open = [];
  calls.d.forEach((d, i) => { if (d < 0) open.push(i); });

  const end = Math.max(data.end, 1);
  let from = 0, to = end * 1.01, chosen = -1, moment = -1, width = 0, height = 0;
  const left = 92, foot = 22;
  const rows = data.rows.length;
  const rowHeight = Math.max(7, Math.min(18, 1400 / Math.max(rows, 1)));
  const gap = n => (n > 0 ? 8 : 0);
  const top = row => row * rowHeight + 4 +
    (row >= data.kinds ? gap(data.kinds) : 0) + (row >= data.kinds + data.nodes ? gap(data.nodes) : 0);
  const x = t => left + (t - from) / (to - from) * (width - left);

  let style = {};
  function colours() {
    const css = getComputedStyle(document.documentElement);
    for (const name of ["ok", "fail", "info", "ink", "soft", "line", "down", "bad", "paper", "zebra", "on"]) {
      style[name] = css.getPropertyValue("--" + name).trim();
    }
    style.kinds = data.rows.slice(0, data.kinds).map(kind => {
      const swatch = [...document.querySelectorAll("#timeline .legend .swatch")].find(s => s.nextSibling && s.nextSibling.textContent.trim() === kind);
      return swatch ? getComputedStyle(swatch).getPropertyValue("--c").trim() : style.soft;
    });
  }

  function time(t) {
    const s = t / 1e6, span = (to - from) / 1e6;
    return s.toFixed(span < 0.01 ? 6 : span < 10 ? 3 : 1) + "s";
  }

  function firstAfter(t) { // index of the first call that starts at t or later
    let lo = 0, hi = start.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (start[mid] < t) lo = mid + 1; else hi = mid;
    }
    return lo;
  }

  function visible(each) {
    const first = firstAfter(from - longest), last = firstAfter(to);
    for (const i of open) if (i < first) each(i);
    for (let i = first; i < last; i++) each(i);
  }

  function box(i) { // of call i: left edge and width
    const a = x(start[i]);
    const b = calls.d[i] < 0 ? width : x(start[i] + calls.d[i]);
    return [Math.max(a, left), Math.max(b - Math.max(a, left), 1.2)];
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    width = plot.clientWidth;
    height = top(rows) + foot;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = height + "px";
    }
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    g.font = Math.min(12, rowHeight - 1) + "px system-ui, sans-serif";
    g.textBaseline = "middle";

    for (let r = 0; r < rows; r += 2) {
      g.fillStyle = style.zebra;
      g.fillRect(left, top(r), width - left, rowHeight);
    }
    const unit = ticks();
    g.fillStyle = style.line;
    for (let t = Math.ceil(from / unit) * unit; t <= to; t += unit) g.fillRect(x(t), 0, 1, height - foot + 3);
    for (const f of data.faults) { // in force: shaded over everything
      if (!f.in || f.b > to || f.c < from) continue;
      const a = Math.max(x(f.b), left), b = Math.min(x(f.c), width);
      g.fillStyle = style.kinds[f.r];
      g.globalAlpha = Math.max(0.03, 0.25 / (data.kinds + 1)) * (f.ok ? 1 : 0.5);
      g.fillRect(a, top(data.kinds), b - a, height - foot - top(data.kinds));
      g.globalAlpha = 0.3;
      const i0 = Math.max(x(f.a), left), i1 = Math.min(x(f.d), width);
      g.fillRect(i0, top(f.r) + 3, i1 - i0, rowHeight - 6);
      g.globalAlpha = f.ok ? 0.9 : 0.45;
      g.fillRect(a, top(f.r) + 2, Math.max(b - a, 1), rowHeight - 4);
      g.globalAlpha = 1;
      label(f.id + " " + f.s, a, top(f.r), b - a, "#fff");
    }
    for (const s of data.spans) {
      if (s.b > to || s.c < from) continue;
      const a = Math.max(x(s.b), left), b = Math.min(x(s.c), width);
      g.fillStyle = s.k === "down" ? style.down : `hsl(${(s.n * 137 + 140) % 360} 60% 50% / 0.25)`;
      g.fillRect(a, top(s.r) + 1, Math.max(b - a, 1), rowHeight - 2);
      label(s.k === "down" ? "down: " + s.s : s.s, a, top(s.r), b - a, s.k === "down" ? style.paper : style.ink);
    }
    for (const m of data.marks) {
      if (m.t > to || m.t < from) continue;
      g.fillStyle = m.k === "restart" ? style.ok : style.bad;
      g.fillRect(x(m.t) - 1, top(m.r), 2, rowHeight);
    }
    visible(i => {
      const [a, w] = box(i), y = top(calls.r[i]);
      g.fillStyle = style[types[calls.y[i]]];
      if (calls.d[i] < 0) {
        g.globalAlpha = 0.35;
        g.fillRect(a, y + rowHeight / 3, w, rowHeight / 3);
        g.globalAlpha = 1;
        g.fillRect(a, y + 1, 2, rowHeight - 2);
      } else {
        g.fillRect(a, y + 1, w, rowHeight - 2);
      }
      if (w > 40) label(words(i), a, y, w, calls.d[i] < 0 ? style.ink : style.on);
    });
    if (moment >= from && moment <= to) {
      g.fillStyle = style.bad;
      g.fillRect(x(moment) - 0.5, 0, 1, height - foot);
    }
    if (chosen >= 0) {
      const [a, w] = box(chosen);
      g.strokeStyle = style.bad;
      g.lineWidth = 2;
      g.strokeRect(a - 3, top(calls.r[chosen]) - 2, w + 6, rowHeight + 4);
    }

    g.fillStyle = style.soft; // names, left
    g.clearRect(0, 0, left, height - foot);
    const step = rowHeight < 11 ? Math.ceil(11 / rowHeight) : 1;
    for (let r = 0; r < rows; r++) {
      if (r < data.kinds + data.nodes || (r - data.kinds - data.nodes) % step === 0) {
        const name = r < data.kinds + data.nodes ? data.rows[r] : (r === data.kinds + data.nodes ? "client " : "") + data.rows[r];
        g.textAlign = "right";
        g.fillText(name, left - 8, top(r) + rowHeight / 2, left - 10);
      }
    }
    g.textAlign = "center"; // times, below
    for (let t = Math.ceil(from / unit) * unit; t <= to; t += unit) {
      const at = x(t);
      if (at > left + 14 && at < width - 22) g.fillText(time(t), at, height - foot / 2);
    }
  }

  function ticks() {
    const rough = (to - from) / Math.max(2, (width - left) / 110);
    const power = Math.pow(10, Math.floor(Math.log10(rough)));
    return [1, 2, 5, 10].map(m => m * power).find(u => u >= rough);
  }

  function label(text, a, y, w, colour) {
    if (w < 34 || rowHeight < 10) return;
    g.save();
    g.beginPath();
    g.rect(a, y, w - 3, rowHeight);
    g.clip();
    g.fillStyle = colour;
    g.textAlign = "left";
    g.fillText(text, a + 4, y + rowHeight / 2 + 0.5);
    g.restore();
  }

  function words(i) {
    const result = calls.w[i] && calls.w[i] !== calls.v[i] ? " → " + calls.w[i] : "";
    return [data.f[calls.f[i]], calls.k[i], calls.v[i]].filter(Boolean).join(" ") + result;
  }

  function describe(i) {
    const node = calls.n[i] >= 0 ? " at " + data.rows[calls.n[i]] : "";
    const took = calls.d[i] < 0 ? "never completed" : types[calls.y[i]] + " after " + duration(calls.d[i]);
    return [words(i), "process " + calls.p[i] + node + ", op " + calls.i[i] + (calls.j[i] > calls.i[i] ? "–" + calls.j[i] : ""),
      (start[i] / 1e6).toFixed(6) + "s, " + took, calls.e[i]].filter(Boolean).join("\n");
  }

  const duration = us => us < 1e3 ? us + "µs" : us < 1e6 ? (us / 1e3).toFixed(2) + "ms" : (us / 1e6).toFixed(3) + "s";

  function under(px, py) { // what is there, in words
    let row = -1;
    for (let r = 0; r < rows; r++) if (py >= top(r) && py < top(r) + rowHeight) row = r;
    if (row < 0 || px < left) return "";
    const t = from + (px - left) / (width - left) * (to - from);
    if (row < data.kinds) {
      const f = data.faults.findLast(f => f.r === row && f.a <= t && t <= f.d);
      return f ? [f.id + " " + f.s, f.in ? "in force " + (f.b / 1e6).toFixed(3) + "s to " + (f.c / 1e6).toFixed(3) + "s" : "never in force", f.ok ? "verified" : "not verified"].join("\n") : "";
    }
    if (row < data.kinds + data.nodes) {
      const near = (to - from) / (width - left) * 4;
      const m = data.marks.find(m => m.r === row && Math.abs(m.t - t) <= near);
      if (m) return m.k + " " + m.s + "\n" + (m.t / 1e6).toFixed(6) + "s";
      const s = data.spans.findLast(s => s.r === row && s.b <= t && t <= s.c);
      return s ? data.rows[row] + " " + s.k + ": " + s.s + "\nsince " + (s.b / 1e6).toFixed(3) + "s" : "";
    }
    let best = -1;
    visible(i => {
      if (calls.r[i] !== row) return;
      const [a, w] = box(i);
      if (px >= a - 2 && px <= a + w + 2 && (best < 0 || calls.d[i] >= 0)) best = i;
    });
    return best < 0 ? "" : describe(best);
  }

  let asked = false;
  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  }

  function show(a, b) {
    const least = 20, most = end * 1.2, middle = (a + b) / 2;
    const half = Math.min(Math.max(b - a, least), most) / 2;
    from = Math.max(middle - half, -end * 0.05);
    to = from + 2 * half;
    redraw();
  }

  function zoom(factor, px) {
    if (factor === 0) { show(0, end * 1.01); return; }
    const t = from + ((px ?? (left + width) / 2) - left) / (width - left) * (to - from);
    show(t - (t - from) * factor, t + (to - t) * factor);
  }

  const place = e => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  let drag = null;
  canvas.addEventListener("pointerdown", e => { drag = { x: e.clientX, from, to }; canvas.setPointerCapture(e.pointerId); canvas.classList.add("dragging"); });
  canvas.addEventListener("pointerup", () => { drag = null; canvas.classList.remove("dragging"); });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("pointermove", e => {
    if (drag) {
      const d = (drag.x - e.clientX) / (width - left) * (drag.to - drag.from);
      show(drag.from + d, drag.to + d);
      tip.hidden = true;
      return;
    }
    const [px, py] = place(e), text = under(px, py);
    tip.hidden = !text;
    tip.textContent = text;
    tip.style.left = Math.min(px + 14, Math.max(0, width - tip.offsetWidth - 4)) + "px";
    tip.style.top = py + 16 + "px";
  });
  canvas.addEventListener("dblclick", () => zoom(0));
  canvas.addEventListener("wheel", e => {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    zoom(Math.exp(Math.max(-1, Math.min(1, e.deltaY / 200))), place(e)[0]);
  }, { passive: false });
  canvas.addEventListener("keydown", e => {
    const d = (to - from) / 5;
    if (e.key === "ArrowLeft") show(from - d, to - d);
    else if (e.key === "ArrowRight") show(from + d, to + d);
    else if (e.key === "+" || e.key === "=") zoom(0.5);
    else if (e.key === "-") zoom(2);
    else if (e.key === "0") zoom(0);
    else return;
    e.preventDefault();
  });
  for (const b of document.querySelectorAll("[data-zoom]")) b.addEventListener("click", () => zoom(Number(b.dataset.zoom)));

  // The ops of an anomaly lead to their places, with their fellows in view.
  function find(link) {
    const i = byOp.get(Number(link.dataset.op));
    moment = Number(link.dataset.at);
    chosen = i ?? -1;
    if (chosen < 0) { // a record: no call, just a moment
      show(moment - 1e5, moment + 1e5);
      return;
    }
    let a = start[i], b = start[i] + Math.max(calls.d[i], 0);
    const wide = Math.max((b - a) * 4, 20);
    for (const other of link.closest("table").querySelectorAll("[data-op]")) {
      const j = byOp.get(Number(other.dataset.op));
      if (j === undefined || Math.abs(start[j] - start[i]) > wide * 20) continue;
      a = Math.min(a, start[j]);
      b = Math.max(b, start[j] + Math.max(calls.d[j], 0));
    }
    const margin = Math.max((b - a) / 3, 10);
    show(a - margin, b + margin);
  }
  for (const link of document.querySelectorAll("[data-op]")) link.addEventListener("click", () => find(link));

  const begin = () => { colours(); redraw(); };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", begin);
  new ResizeObserver(redraw).observe(plot);
  begin();
})();
