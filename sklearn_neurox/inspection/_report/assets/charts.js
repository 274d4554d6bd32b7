// Small drawings: distributions, bars, and the curves of an ablation.

const DISTRIBUTION = { width: 320, height: 36, box: 7 };

// The values of a neuron in one class: a histogram, and a box of quantiles below it.
function distribution(neuron, c) {
  const [, , nBins] = shapeOf("shares");
  const { width, height, box } = DISTRIBUTION;
  const row = drawnAt(neuron) * nClasses + c;
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

const CURVES = { width: 460, height: 290, left: 48, right: 120, top: 14, bottom: 50 };
const CURVE_KINDS = ["top", "random", "bottom"];

// The frame of a chart: grid, ticks and named levels; scores decide the range of the axis.
function chartFrame({ scores, ticks, x, title, levels }) {
  const { width, height, left, right, top, bottom } = CURVES;
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const y = linear(low, high, height - bottom - 8, top + 10);
  const text = (at, height, anchor, content, kind = "tick") =>
    svg("text", { x: at, y: height, "text-anchor": anchor, class: kind }, content);
  const rule = (score, kind) =>
    svg("path", { d: `M${left} ${y(score)}H${width - right}`, class: kind });
  const nodes = niceTicks(low, high).map((tick) => [
    rule(tick, "grid"),
    text(left - 6, y(tick) + 4, "end", number(tick)),
  ]);
  for (const [at, name] of apart(ticks.map(([value, name]) => [x(value), name])))
    nodes.push(text(at, height - bottom + 15, "middle", name));
  levels.forEach(([, score]) => nodes.push(rule(score, "level")));
  const middle = (left + width - right) / 2;
  nodes.push(text(middle, height - 18, "middle", title));
  if (low > 0) nodes.push(text(middle, height - 4, "middle", "the vertical axis does not start at 0"));
  return { y, nodes, text };
}

// The ticks whose names do not touch, the first and the last before those between them.
function apart(ticks) {
  const letter = 6.5;
  const room = (one, other) => (letter * (one[1].length + other[1].length)) / 2 + 4;
  const kept = [];
  for (const tick of [ticks[0], ticks.at(-1), ...ticks])
    if (kept.every((other) => Math.abs(tick[0] - other[0]) >= room(tick, other))) kept.push(tick);
  return kept;
}

// As long as there is room for at the right of a chart; names that differ do so at either end.
function shortened(name) {
  const longest = 16;
  return name.length > longest ? `${name.slice(0, 7)}…${name.slice(8 - longest)}` : name;
}

// Names at the right end of lines and levels, moved apart.
function endNames(entries, y, text) {
  const x = CURVES.width - CURVES.right + 6;
  const ends = spread(
    entries.map(([, score]) => y(score)),
    14,
    CURVES.height - CURVES.bottom - 4,
  );
  return entries.map(([name, , kind], i) =>
    text(x, ends[i] + 4, "start", shortened(name), `tick ${kind}`),
  );
}

// Scores by fraction kept; `points` have which, fraction, score, low and high, and `levels` names
// and scores. Small fractions have room on a logarithmic axis.
function ablationCurves(points, levels, scores) {
  const { width, height, left, right } = CURVES;
  const fractions = [...new Set(points.map((point) => point.fraction))];
  const ends = [Math.min(...fractions), Math.max(...fractions)];
  const scale = ends[0] > 0 && ends[1] >= 100 * ends[0] ? Math.log : (fraction) => fraction;
  const along = linear(...ends.map(scale), left + 20, width - right - 8);
  const x = (fraction) => along(scale(fraction));
  fractions.sort((a, b) => a - b);
  const ticks = fractions.map((fraction) => [fraction, `${number(100 * fraction)}%`]);
  const hasBand = points.some(isBanded);
  const title = hasBand ? "neurons kept (band: ± 1 standard deviation)" : "neurons kept";
  const frame = chartFrame({ scores, ticks, x, title, levels });
  const fills = new Set(points.map((point) => point.fill));
  const curves = groupBy(points, (point) => `${point.which}|${point.fill}`).map((own) => ({
    name: fills.size > 1 ? `${own[0].which}, ${own[0].fill}` : own[0].which,
    which: own[0].which,
    points: own.sort((a, b) => a.fraction - b.fraction),
  }));
  const named = curves.map((curve) => [curve.name, curve.points.at(-1).score, curve.which]);
  return drawing(
    width,
    height,
    "Score by share of neurons kept; the table contains the numbers",
    frame.nodes,
    curves.map((curve) =>
      bandedCurve(curve.points, (point) => x(point.fraction), frame.y, curve.which),
    ),
    endNames([...named, ...levels.map(([name, score]) => [name, score, ""])], frame.y, frame.text),
  );
}

const drawCurve = (at, kind) =>
  svg(
    "g",
    null,
    svg("path", { d: `M${at.join("L")}`, class: `curve ${kind}` }),
    at.map(([cx, cy]) => svg("circle", { cx, cy, r: 3, class: kind })),
  );

// Scores by layer, one curve per component, with a band from low to high.
function layerCurves(points, levels, confidence) {
  const { width, height, left, right } = CURVES;
  const layers = [...new Set(points.map((point) => point.layer))].sort((a, b) => a - b);
  const x = linear(layers[0], layers.at(-1), left + 12, width - right - 8);
  const ends = points.flatMap(({ score, low, high }) => [score, low ?? score, high ?? score]);
  const hasBand = points.some(isBanded);
  const frame = chartFrame({
    scores: [...ends, ...levels.map(([, score]) => score)],
    ticks: everySoMany(layers).map((layer) => [layer, number(layer)]),
    x,
    title: hasBand ? `layer (band: ${intervalName(confidence)})` : "layer",
    levels,
  });
  const curves = groupBy(points, (point) => point.component).map((own) =>
    own.sort((a, b) => a.layer - b.layer),
  );
  const named = curves.map((own, i) => [
    own[0].component || "probe",
    own.at(-1).score,
    SERIES[i % SERIES.length],
  ]);
  return drawing(
    width,
    height,
    "Score by layer; the table in Layers contains the numbers",
    frame.nodes,
    curves.map((own, i) =>
      bandedCurve(own, (point) => x(point.layer), frame.y, SERIES[i % SERIES.length]),
    ),
    endNames([...named, ...levels.map(([name, score]) => [name, score, ""])], frame.y, frame.text),
  );
}

// A table from a file does not say its confidence level.
const intervalName = (confidence) =>
  confidence === null ? "interval from low to high" : `${number(100 * confidence)}% interval`;

// Classes of colors in the order of the plots.
const SERIES = ["s0", "s1", "s2", "s3", "s4", "s5"];

const isBanded = (point) => point.low !== null && point.high !== null;

// Some of the layers, with the same number of others between them.
function everySoMany(layers) {
  const step = [1, 2, 4, 5, 10, 20].find((s) => layers.length / s <= 12) ?? layers.length;
  return layers.filter((_, i) => i % step === 0);
}

// A line, and a band for every run of points with bounds; a run of one point is a bar.
function bandedCurve(own, x, y, kind) {
  const runs = [[]];
  for (const point of own)
    if (isBanded(point)) runs.at(-1).push(point);
    else runs.push([]);
  const half = 3;
  const edge = (run, name) => {
    const at = run.map((point) => [x(point), y(point[name])]);
    return run.length > 1 ? at : [-half, half].map((shift) => [at[0][0] + shift, at[0][1]]);
  };
  const outline = (run) => `M${[...edge(run, "low"), ...edge(run, "high").reverse()].join("L")}Z`;
  const d = runs.filter((run) => run.length).map(outline).join("");
  const band = d ? svg("path", { d, class: `band ${kind}` }) : null;
  const line = drawCurve(
    own.map((point) => [x(point), y(point.score)]),
    kind,
  );
  return svg("g", null, band, line);
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return [...groups.values()];
}

function linear(low, high, from, to) {
  if (low === high) return () => (from + to) / 2;
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

// Move overlapping labels apart, downward, or upward above the lowest place.
function spread(positions, gap, lowest) {
  const byPlace = positions.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
  byPlace.forEach((entry, i) => {
    if (i) entry[0] = Math.max(entry[0], byPlace[i - 1][0] + gap);
  });
  byPlace.reverse().forEach((entry, i) => {
    entry[0] = Math.min(entry[0], i ? byPlace[i - 1][0] - gap : lowest);
  });
  const moved = [];
  for (const [y, i] of byPlace) moved[i] = y;
  return moved;
}

function niceTicks(low, high) {
  const step = 10 ** Math.floor(Math.log10((high - low || 1) / 2));
  const stride = [1, 2, 5, 10].map((m) => m * step).find((s) => (high - low) / s <= 5);
  const ticks = [];
  const first = Math.ceil(low / stride);
  // Adding 0 makes a zero of minus zero.
  for (let k = first; k * stride <= high; k++) ticks.push(k * stride + 0);
  return ticks;
}
