// Small drawings: distributions, bars, and the curves of an ablation.

const DISTRIBUTION = { width: 240, height: 34, box: 7 };

// The values of one class of a neuron: a histogram, and below it a box of quantiles.
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
    svg("rect", { x: at[1], y: middle - 3, width: Math.max(1, at[3] - at[1]), height: 6, class: "box" }),
    svg("path", { d: `M${at[2]} ${middle - 3}v6`, class: "median" }),
  );
}

function quantilesAt(row) {
  const n = shapeOf("quantiles")[2];
  const bins = arrays.quantiles.subarray(row * n, (row + 1) * n);
  return Array.from(bins, (bin) => (bin + 0.5) / data.fine_bins);
}

const rangeOf = (neuron) => [arrays.range[2 * neuron], arrays.range[2 * neuron + 1]];

// The activation at a share of the range that the bins of a neuron span.
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
    svg("text", { x: at, y: 11, "text-anchor": anchor, class: "tick" }, text);
  const isClear = x > 60 && x < width - 60;
  return drawing(
    width,
    14,
    `Axis from ${ends[0]} to ${ends[1]}`,
    label(0, "start", `${isCut(low) ? "≤ " : ""}${ends[0]}`),
    isClear ? label(x, "middle", `mean ${number(arrays.mean[neuron])}`) : null,
    label(width, "end", `${isCut(high) ? "≥ " : ""}${ends[1]}`),
  );
}

// A bar to the right for what is positive, to the left for what is negative, with its number.
function signedBar(value, largest) {
  if (Number.isNaN(value)) return "–";
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
    el("span", { class: "value" }, number(value)),
    svg("svg", { width: 2 * half, height: 14, "aria-hidden": "true" }, bar, zero),
  );
}

function scoreBar(value, largest) {
  if (Number.isNaN(value)) return "–";
  const length = largest > 0 ? Math.max(0, value / largest) * 50 : 0;
  return el(
    "span",
    { class: "bar" },
    el("span", { class: "value" }, number(value)),
    svg(
      "svg",
      { width: 50, height: 14, "aria-hidden": "true" },
      svg("rect", { x: 0, y: 2, width: length, height: 10, class: "score" }),
    ),
  );
}

const CURVES = { width: 560, height: 280, left: 48, right: 150, top: 12, bottom: 34 };
const CURVE_KINDS = ["top", "random", "bottom"];

// Scores by how much is kept; `points` have which, mode, fraction and score, and `all` is a score.
function ablationCurves(points, all) {
  const { width, height, left, right, top, bottom } = CURVES;
  const scores = [...points.map((point) => point.score), ...(all === null ? [] : [all])];
  const fractions = points.map((point) => point.fraction);
  const span = [Math.min(...scores), Math.max(...scores)];
  const most = Math.max(...fractions);
  const margin = (span[1] - span[0] || 1) * 0.06;
  const x = (fraction) => left + (fraction / most) * (width - left - right);
  const y = (score) =>
    height - bottom - ((score - span[0] + margin) / (span[1] - span[0] + 2 * margin)) * (height - top - bottom);
  const ticks = niceTicks(span[0], span[1]);
  const grid = ticks.flatMap((tick) => [
    svg("path", { d: `M${left} ${y(tick)}H${width - right}`, class: "grid" }),
    svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end", class: "tick" }, number(tick)),
  ]);
  const kept = [...new Set(fractions)].map((fraction) =>
    svg("text", { x: x(fraction), y: height - bottom + 16, "text-anchor": "middle", class: "tick" }, `${number(100 * fraction)} %`),
  );
  const curves = curvesOf(points).map((curve) => drawCurve(curve, x, y));
  const ends = spread(curvesOf(points).map((curve) => y(curve.points.at(-1).score)), 14);
  const names = curvesOf(points).map((curve, i) =>
    svg("text", { x: width - right + 10, y: ends[i] + 4, class: `tick ${curve.which}` }, curve.name),
  );
  const level = all === null ? [] : [
    svg("path", { d: `M${left} ${y(all)}H${width - right}`, class: "level" }),
    svg("text", { x: left + 4, y: y(all) - 4, class: "tick" }, `all neurons ${number(all)}`),
  ];
  const title = svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle", class: "tick" }, "neurons kept");
  return drawing(width, height, "Score by the share of neurons kept; the table has the numbers",
    grid, kept, level, curves, names, title);
}

function curvesOf(points) {
  const curves = new Map();
  for (const point of points) {
    const name = `${point.which}, ${point.mode}`;
    if (!curves.has(name)) curves.set(name, { name, which: point.which, mode: point.mode, points: [] });
    curves.get(name).points.push(point);
  }
  for (const curve of curves.values()) curve.points.sort((a, b) => a.fraction - b.fraction);
  return [...curves.values()];
}

function drawCurve(curve, x, y) {
  const path = curve.points.map((p, i) => `${i ? "L" : "M"}${x(p.fraction)} ${y(p.score)}`).join("");
  const dots = curve.points.map((p) =>
    svg("circle", { cx: x(p.fraction), cy: y(p.score), r: 3, class: curve.which }),
  );
  const style = curve.mode === "retrained" ? "dashed" : "";
  return svg("g", null, svg("path", { d: path, class: `curve ${curve.which} ${style}` }), dots);
}

// Move labels apart that would lie on one another.
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
