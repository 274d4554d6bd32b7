// The views of the page: each returns the nodes of the main part, heading first.

const heading = (...children) => el("h1", { tabindex: "-1" }, ...children);

function rankingView() {
  const largest = arrays.score ? arrays.score.reduce((a, b) => Math.max(a, b), 0) : 0;
  const columns = [
    { title: "Rank", kind: "number", value: (i) => arrays.rank[i] },
    { title: "Neuron", value: (i) => data.neurons[i], cell: neuronLink },
  ];
  if (data.layers.length) columns.push({ title: "Layer", value: layerName });
  if (arrays.score) {
    columns.push({
      title: "Score",
      kind: "number",
      largestFirst: true,
      value: (i) => arrays.score[i],
      cell: (i) => bar(arrays.score[i], largest),
    });
  }
  if (arrays.class_rank && nClasses > 2) {
    columns.push(
      {
        title: "Best for",
        value: (i) => data.classes[mainClass(i)],
        cell: (i) => labelLink(mainClass(i)),
        hint: "The label for which the neuron ranks highest",
      },
      { title: "Rank for label", kind: "number", value: (i) => classRank(mainClass(i), i) },
    );
  }
  return [
    heading("Ranking of all neurons"),
    el("p", { class: "about" }, summary()),
    el(
      "div",
      { class: "beside" },
      sortableTable({
        caption: `${plural(nNeurons, "neuron")} by ${data.ranker}`,
        columns,
        rows: neuronsByRank(),
        sort: { column: 0, descending: false },
      }),
      layersOfBest(neuronsByRank()),
    ),
  ];
}

// The layers of the best tenth of the neurons.
function layersOfBest(neurons) {
  if (data.layers.length < 2) return null;
  const n = Math.max(1, Math.round(neurons.length / 10));
  const counts = new Array(data.layers.length).fill(0);
  for (const i of neurons.slice(0, n)) if (arrays.layer_of[i] >= 0) counts[arrays.layer_of[i]]++;
  const largest = Math.max(...counts);
  const columns = [
    { title: "Layer", value: (k) => data.layers[k] },
    {
      title: "Neurons",
      kind: "number",
      largestFirst: true,
      value: (k) => counts[k],
      cell: (k) => bar(counts[k], largest, integers.format(counts[k])),
    },
  ];
  const title = `Layers of the best ${integers.format(n)}`;
  return el(
    "section",
    null,
    el("h2", null, title),
    sortableTable({ caption: title, columns, rows: data.layers.keys() }),
  );
}

function summary() {
  const probe = data.probe ? `; weights from ${data.probe}` : "";
  return (
    `${plural(nNeurons, "neuron")}, ${plural(data.n_words, "word")}, ` +
    `${plural(nClasses, "value")} of ${data.label}. Ranked by ${data.ranker}${probe}.`
  );
}

function labelsView() {
  const columns = [
    { title: "Label", value: (c) => data.classes[c], cell: labelLink },
    { title: "Words", kind: "number", largestFirst: true, value: (c) => data.class_counts[c] },
    {
      title: "Share",
      kind: "number",
      largestFirst: true,
      value: (c) => data.class_counts[c] / data.n_words,
      cell: (c) => `${((100 * data.class_counts[c]) / data.n_words).toFixed(1)}%`,
    },
    {
      title: "Best neurons",
      value: (c) => data.neurons[neuronsFor(c)[0]],
      cell: (c) => {
        const best = Array.from(neuronsFor(c).slice(0, 3));
        return best.flatMap((i, k) => (k ? [" · ", neuronLink(i)] : [neuronLink(i)]));
      },
    },
  ];
  return [
    heading("Labels"),
    el("p", { class: "about" }, `The values of ${data.label}. Each has its own ranking.`),
    sortableTable({ caption: "Labels", columns, rows: data.classes.keys() }),
  ];
}

// Best first for a label; without ranks by label, by the difference of its words from the others.
const byLabel = new Map();

function neuronsFor(c) {
  if (!byLabel.has(c)) {
    const ranked = hasClassRanks(c)
      ? numbersByRank((i) => classRank(c, i))
      : sorted(neuronsByRank(), (i) => Math.abs(differenceFromOthers(c, i)), true);
    byLabel.set(c, ranked);
  }
  return byLabel.get(c);
}

function labelView(c) {
  const widest = largestSize(neuronsFor(c), (i) => differenceFromOthers(c, i));
  const columns = [];
  if (hasClassRanks(c)) {
    columns.push(
      { title: "Rank", kind: "number", value: (i) => classRank(c, i) },
      { title: "Neuron", value: (i) => data.neurons[i], cell: neuronLink },
      {
        title: "Score",
        kind: "number",
        largestFirst: true,
        value: (i) => classScore(c, i),
        cell: (i) => bar(classScore(c, i), classScore(c, neuronsFor(c)[0])),
      },
    );
  } else {
    columns.push({ title: "Neuron", value: (i) => data.neurons[i], cell: neuronLink });
  }
  if (arrays.weight) columns.push(weightColumn(neuronsFor(c), (i) => weightOf(c, i)));
  columns.push(
    {
      title: "Difference, SD",
      kind: "number",
      hint: "Mean over the label's words minus mean over all other words, in standard deviations",
      largestFirst: true,
      value: (i) => differenceFromOthers(c, i),
      cell: (i) =>
        signedBar(differenceFromOthers(c, i), widest, deviations(differenceFromOthers(c, i))),
    },
    { title: "Rank overall", kind: "number", value: (i) => arrays.rank[i] },
  );
  const note = hasClassRanks(c)
    ? ""
    : ` ${data.ranker} has no scores by label, so the neurons are sorted by the size of their difference.`;
  return [
    heading("Label ", el("bdi", null, data.classes[c])),
    el(
      "p",
      { class: "about" },
      `${plural(data.class_counts[c], "word")} of ${integers.format(data.n_words)}.${note}`,
    ),
    el(
      "div",
      { class: "beside" },
      sortableTable({
        caption: `Neurons for ${data.classes[c]}, best first`,
        columns,
        rows: neuronsFor(c),
      }),
      layersOfBest(neuronsFor(c)),
    ),
  ];
}

function weightColumn(rows, value) {
  const largest = largestSize(rows, value);
  return {
    title: "Weight × SD",
    kind: "number",
    hint: "The weight in the probe times the standard deviation of the neuron",
    largestFirst: true,
    value,
    cell: (row) => signedBar(value(row), largest),
  };
}

function largestSize(rows, value) {
  let largest = 0;
  for (const i of rows) largest = Math.max(largest, Math.abs(value(i)) || 0);
  return largest;
}

function tableView(title, table, about) {
  const columns = table.columns.map((name, k) => {
    const isWhole = table.rows.every((row) => row[k] === null || Number.isInteger(row[k]));
    const largest = isWhole ? 0 : largestSize(table.rows, (row) => row[k]);
    const shown = isWhole ? number : (value) => aligned(value, largest);
    return {
      title: name,
      kind: table.numeric[k] ? "number" : null,
      value: (row) => row[k],
      cell: (row) => (table.numeric[k] ? shown(row[k]) : row[k]),
    };
  });
  return [
    heading(title),
    about && el("p", { class: "about" }, about),
    sortableTable({ caption: title, columns, rows: table.rows }),
  ];
}

function ablationView() {
  const table = data.tables.ablation;
  const about =
    "Scores of the probe on only some of the neurons, averaged over n folds, draws and repeats; " +
    "the spread is the standard deviation of these scores.";
  const [title, paragraph, numbers] = tableView("Ablation", table, about);
  const chart = ablationChart(table);
  return [title, paragraph, chart && el("div", { class: "scroll" }, chart), numbers];
}

// Drawn only for a single pair of probe and ranking; the table has the numbers for more.
function ablationChart(table) {
  const at = (name) => table.columns.indexOf(name);
  const distinct = (name) =>
    at(name) < 0 ? 1 : new Set(table.rows.map((row) => row[at(name)])).size;
  if (distinct("probe") > 1 || distinct("ranking") > 1) return null;
  if (["which", "fraction", "score"].some((name) => at(name) < 0)) return null;
  const all = table.rows.find((row) => row[at("which")] === "all");
  const points = table.rows
    .filter((row) => CURVE_KINDS.includes(row[at("which")]) && row[at("score")] !== null)
    .map((row) => ({
      which: row[at("which")],
      fraction: row[at("fraction")],
      score: row[at("score")],
      mode: row[at("retrained")] === "yes" ? "retrained" : `filled (${row[at("fill")] ?? ""})`,
    }));
  return points.length ? ablationCurves(points, all ? all[at("score")] : null) : null;
}

const ABOUT = [
  "Activations are shown in standard deviations (SD) from the neuron's mean over all words. " +
    "Values below the mean are blue and values above it orange; the mean has no color, and the " +
    `color is full at ${data.full_color} SD. Hover over a word in a sentence to see its value.`,
  "Each distribution is scaled to its fullest bin, and all labels of a neuron share one range. " +
    `Values more than ${data.reach} SD from the mean are counted in the outermost bins. The box ` +
    "below a distribution covers the middle 50% of the words, and its line the middle 90%.",
  `The value of a top word is the mean over its occurrences, of which there are at least ` +
    `${data.min_count}. Repeated sentences are shown once, and long texts in part. The word with ` +
    "the highest or lowest activation is underlined. Words that are not in the data have no color.",
  "Keyboard: / moves to the search, the arrow keys select a result, Enter opens it, and Escape " +
    "clears the search. Click a table header to sort the table.",
  `Created by sklearn-neurox ${data.version}. This page loads nothing and sends nothing.`,
];

function aboutView() {
  const paragraphs = [summary(), ...ABOUT].map((text) => el("p", { class: "prose" }, text));
  return [heading("About this report"), ...paragraphs];
}
