// Small drawings: distributions, bars, and the curves of an ablation.

const DISTRIBUTION = { width: 320, height: 36, box: 7 };

// The values of a neuron in one class: a histogram, and a box of quantiles below it.
function distribution(neuron, c) {
  const [, , nBins] = shapeOf("shares");
  const { width, height, box } = DISTRIBUTION;
  const row = neuron * nClasses + c;
  const counts = arrays.shares.subarray(row * nBins, (row + 1) * nBins);
  const base = height - box - 3;
  let path = `M0 ${base}`;
  counts.forEach((count, i) => {
    const y = base - (count / data.heights) * (base - 1);
    path += `V${y.toFixed(1)}H${(((i + 1) * width) / nBins).toFixed(1)}`;
  });
  const mean = classMean(c, neuron);
  const at = quantilesAt(row).map((q) => q * width);
  const middle = height - box / 2 - 1;
  const share = 0.35 + 0.65 * Math.abs(strength(mean));
  return drawing(
    width,
    height,
    `Distribution of ${data.classes[c]}: median ${number(activationAt(neuron, at[2] / width))}`,
    svg("path", { d: `${path}V${base}Z`, class: mean < 0 ? "low" : "high", "fill-opacity": share }),
    svg("path", { d: `M0 ${base}H${width}`, class: "axis" }),
    meanLine(neuron, 0, base),
    svg("path", { d: `M${at[0]} ${middle}H${at[4]}`, class: "whisker" }),
    svg("rect", {
      x: at[1],
      y: middle - 3,
      width: Math.max(1, at[3] - at[1]),
      height: 6,
      class: "box",
    }),
    svg("path", { d: `M${at[2]} ${middle - 3}v6`, class: "median" }),
  );
}

function quantilesAt(row) {
  const n = shapeOf("quantiles")[2];
  const bins = arrays.quantiles.subarray(row * n, (row + 1) * n);
  return Array.from(bins, (bin) => (bin + 0.5) / data.fine_bins);
}

const rangeOf = (neuron) => [arrays.range[2 * neuron], arrays.range[2 * neuron + 1]];

// The activation at a fraction of the range that the bins of a neuron cover.
function activationAt(neuron, share) {
  const [low, high] = rangeOf(neuron);
  return arrays.mean[neuron] + arrays.deviation[neuron] * (low + share * (high - low));
}

function meanLine(neuron, top, bottom) {
  const [low, high] = rangeOf(neuron);
  const x = (-low / (high - low)) * DISTRIBUTION.width;
  return svg("path", { d: `M${x.toFixed(1)} ${top}V${bottom}`, class: "mean" });
}

function distributionAxis(neuron) {
  const { width } = DISTRIBUTION;
  const [low, high] = rangeOf(neuron);
  const isCut = (end) => Math.abs(end) >= data.reach;
  const ends = [activationAt(neuron, 0), activationAt(neuron, 1)].map(number);
  const x = (-low / (high - low)) * width;
  const label = (at, anchor, text) =>
    svg("text", { x: at, y: 12, "text-anchor": anchor, class: `tick ${anchor}` }, text);
  const isClear = x > 60 && x < width - 60;
  return drawing(
    width,
    18,
    `Axis from ${ends[0]} to ${ends[1]}`,
    label(0, "start", `${isCut(low) ? "≤ " : ""}${ends[0]}`),
    isClear ? label(x, "middle", `mean ${number(arrays.mean[neuron])}`) : null,
    label(width, "end", `${isCut(high) ? "≥ " : ""}${ends[1]}`),
  );
}

// A bar to the right for a positive value, to the left for a negative one, with the number.
function signedBar(value, largest, text = aligned(value, largest)) {
  if (Number.isNaN(value)) return text;
  const half = 30;
  const width = largest > 0 ? (Math.abs(value) / largest) * half : 0;
  const bar = svg("rect", {
    x: value < 0 ? half - width : half,
    y: 2,
    width,
    height: 10,
    class: value < 0 ? "low" : "high",
  });
  const zero = svg("path", { d: `M${half} 0v14`, class: "axis" });
  return el(
    "span",
    { class: "bar" },
    el("span", { class: "value" }, text),
    svg("svg", { width: 2 * half, height: 14, "aria-hidden": "true" }, bar, zero),
  );
}

function bar(value, largest, text = aligned(value, largest)) {
  if (Number.isNaN(value)) return text;
  const length = largest > 0 ? Math.max(0, value / largest) * 50 : 0;
  return el(
    "span",
    { class: "bar" },
    el("span", { class: "value" }, text),
    svg(
      "svg",
      { width: 50, height: 14, "aria-hidden": "true" },
      svg("rect", { x: 0, y: 2, width: length, height: 10, class: "score" }),
    ),
  );
}

const CURVES = { width: 600, height: 280, left: 48, right: 190, top: 14, bottom: 38 };
const CURVE_KINDS = ["top", "random", "bottom"];

// Scores by fraction kept; `points` have which, mode, fraction and score, and `all` is a score.
function ablationCurves(points, all) {
  const { width, height, left, right, top, bottom } = CURVES;
  const scores = [...points.map((point) => point.score), ...(all === null ? [] : [all])];
  const fractions = [...new Set(points.map((point) => point.fraction))];
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const x = linear(Math.min(...fractions), Math.max(...fractions), left + 24, width - right - 8);
  const y = linear(low, high, height - bottom - 8, top + 10);
  const text = (at, height, anchor, content) =>
    svg("text", { x: at, y: height, "text-anchor": anchor, class: "tick" }, content);
  const rule = (score, kind) =>
    svg("path", { d: `M${left} ${y(score)}H${width - right}`, class: kind });
  const grid = niceTicks(low, high).flatMap((tick) => [
    rule(tick, "grid"),
    text(left - 6, y(tick) + 4, "end", number(tick)),
  ]);
  const kept = fractions.map((fraction) =>
    text(x(fraction), height - bottom + 15, "middle", `${number(100 * fraction)}%`),
  );
  const level =
    all === null
      ? []
      : [rule(all, "level"), text(left + 2, y(all) - 4, "start", `all neurons ${number(all)}`)];
  const title = text((left + width - right) / 2, height - 5, "middle", "neurons kept");
  const curves = curvesOf(points);
  const lines = curves.map((curve) => drawCurve(curve, x, y));
  return drawing(
    width,
    height,
    "Score by share of neurons kept; the table contains the numbers",
    grid,
    kept,
    level,
    lines,
    curveNames(curves, y),
    title,
  );
}

// Each name next to the end of its curve, after a sample of its line.
function curveNames(curves, y) {
  const x = CURVES.width - CURVES.right + 8;
  const ends = spread(
    curves.map((curve) => y(curve.points.at(-1).score)),
    15,
  );
  return curves.map((curve, i) => [
    svg("path", { d: `M${x} ${ends[i]}h22`, class: curveClass(curve) }),
    svg("text", { x: x + 28, y: ends[i] + 4, class: "tick" }, curve.name),
  ]);
}

const curveClass = (curve) => `curve ${curve.which} ${curve.mode === "retrained" ? "dashed" : ""}`;

function linear(low, high, from, to) {
  if (low === high) return () => (from + to) / 2;
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

function curvesOf(points) {
  const curves = new Map();
  for (const point of points) {
    const name = `${point.which}, ${point.mode}`;
    if (!curves.has(name))
      curves.set(name, { name, which: point.which, mode: point.mode, points: [] });
    curves.get(name).points.push(point);
  }
  for (const curve of curves.values()) curve.points.sort((a, b) => a.fraction - b.fraction);
  return [...curves.values()];
}

function drawCurve(curve, x, y) {
  const at = curve.points.map((point) => [x(point.fraction), y(point.score)]);
  const dots = at.map(([cx, cy]) => svg("circle", { cx, cy, r: 3, class: curve.which }));
  return svg("g", null, svg("path", { d: `M${at.join("L")}`, class: curveClass(curve) }), dots);
}

// Move overlapping labels apart.
function spread(positions, gap) {
  const byPlace = positions.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
  byPlace.forEach((entry, i) => {
    if (i) entry[0] = Math.max(entry[0], byPlace[i - 1][0] + gap);
  });
  const moved = [];
  for (const [y, i] of byPlace) moved[i] = y;
  return moved;
}

function niceTicks(low, high) {
  const step = 10 ** Math.floor(Math.log10((high - low || 1) / 2));
  const stride = [1, 2, 5, 10].map((m) => m * step).find((s) => (high - low) / s <= 5);
  const ticks = [];
  for (let k = Math.ceil(low / stride); k * stride <= high; k++) ticks.push(k * stride);
  return ticks;
}
