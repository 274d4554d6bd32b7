// The views of the page: each returns the nodes of the main part, heading first.

const heading = (...children) => el("h1", { tabindex: "-1" }, ...children);

// The columns of a table of neurons, with bars up to the largest of these.
function neuronColumns(neurons) {
  const largest = arrays.score ? arrays.score.reduce((a, b) => Math.max(a, b), 0) : 0;
  const columns = [
    { title: "Rank", kind: "number", value: (i) => arrays.rank[i] },
    { title: "Neuron", value: (i) => data.neurons[i], cell: neuronLink },
  ];
  columns.push({ title: "Direction", value: directionText, cell: direction });
  columns.push(data.numeric ? correlationColumn : aucColumn);
  if (data.layers.length) columns.push({ title: "Layer", value: layerName, cell: layerLink });
  if (arrays.score) {
    columns.push({
      title: "Score",
      kind: "number",
      largestFirst: true,
      value: (i) => arrays.score[i],
      cell: (i) => bar(arrays.score[i], largest),
    });
  }
  if (data.numeric && arrays.weight)
    columns.push(weightColumn(neurons, (i) => weightOf(0, i)));
  if (arrays.class_rank && nClasses > 2) {
    const value = (i) => classRank(mainClass(i), i);
    columns.push({ title: "Rank for label", kind: "number", value });
  }
  return columns;
}

const aucColumn = {
  title: "AUC",
  kind: "number",
  largestFirst: true,
  value: (i) => aucOf(mainClass(i), i),
  cell: (i) => short(aucOf(mainClass(i), i)),
};

const correlationColumn = {
  title: "Correlation",
  kind: "number",
  largestFirst: true,
  value: (i) => arrays.correlation[i],
  cell: (i) => signedBar(arrays.correlation[i], 1),
};

function rankingView() {
  const rows = neuronsByRank();
  return [
    heading("Ranking of all neurons"),
    el("p", { class: "about" }, summary()),
    el(
      "div",
      { class: "beside" },
      sortableTable({
        caption: `${plural(nNeurons, "neuron")} by ${data.ranker}`,
        columns: neuronColumns(rows),
        rows,
        sort: { column: 0, descending: false },
      }),
      layersOfBest(rows),
    ),
  ];
}

function layerView(k) {
  const rows = neuronsByRank().filter((i) => arrays.layer_of[i] === k);
  const caption = `Neurons of ${data.layers[k]}, best first`;
  return [
    heading("Layer ", el("bdi", null, data.layers[k])),
    el("p", { class: "about" }, `${plural(rows.length, "neuron")}, by rank among all neurons.`),
    sortableTable({ caption, columns: neuronColumns(rows), rows }),
  ];
}

function wordView(w) {
  const hits = topNeuronsOfWord((word) => word === w);
  const count = integers.format(arrays.type_count[w]);
  const gold = data.numeric ? `mean ${data.label} ${goldOfWord(w)}` : `labeled ${goldOfWord(w)}`;
  const columns = [
    { title: "Neuron", value: ([, i]) => data.neurons[i], cell: ([, i]) => neuronLink(i) },
    {
      title: "Mean, SD",
      kind: "number",
      largestFirst: true,
      value: ([value]) => value,
      cell: ([value]) => deviations(value),
    },
    {
      title: "Direction",
      value: ([, i]) => directionText(i),
      cell: ([, i]) => direction(i),
    },
    { title: "Rank", kind: "number", value: ([, i]) => arrays.rank[i] },
  ];
  const few = arrays.type_count[w] < data.min_count;
  const why = few
    ? `The word is rarer than ${plural(data.min_count, "time")}, so it is no top word of any neuron.`
    : "The word is not among the top words of any neuron with words in this report.";
  return [
    heading("Word ", el("bdi", null, data.words[w])),
    el("p", { class: "about" }, `${count} ×, ${gold}.`),
    hits.length
      ? sortableTable({ caption: `Neurons with the top word ${data.words[w]}`, columns, rows: hits })
      : el(
          "p",
          { class: "note" },
          `${why} `,
          data.numeric ? null : ["See the neurons for ", labelLink(arrays.type_label[w]), "."],
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
    `${plural(nNeurons, "neuron")}, ${rows(data.n_words)}, ` +
    (data.numeric
      ? `${data.label} in ${plural(nClasses, "range")}. `
      : `${plural(nClasses, "value")} of ${data.label}. `) +
    `Ranked by ${data.ranker}${probe}.`
  );
}

function labelsView() {
  const columns = [
    { title: LABEL, value: (c) => (data.numeric ? c : data.classes[c]), cell: labelLink },
    { title: ROWS, kind: "number", largestFirst: true, value: (c) => data.class_counts[c] },
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
    heading(`${LABEL}s`),
    el(
      "p",
      { class: "about" },
      data.numeric
        ? `The values of ${data.label}, in ranges with about equally many ${data.unit}s.`
        : `The values of ${data.label}. Each has its own ranking.`,
    ),
    sortableTable({ caption: `${LABEL}s`, columns, rows: data.classes.keys() }),
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
  if (arrays.weight && !data.numeric)
    columns.push(weightColumn(neuronsFor(c), (i) => weightOf(c, i)));
  columns.push({
    title: "AUC",
    kind: "number",
    largestFirst: true,
    value: (i) => aucOf(c, i),
    cell: (i) => short(aucOf(c, i)),
  });
  columns.push(
    {
      title: "Difference, SD",
      kind: "number",
      largestFirst: true,
      value: (i) => differenceFromOthers(c, i),
      cell: (i) =>
        signedBar(differenceFromOthers(c, i), widest, deviations(differenceFromOthers(c, i))),
    },
    { title: "Rank overall", kind: "number", value: (i) => arrays.rank[i] },
  );
  const note = hasClassRanks(c) || data.numeric
    ? ""
    : ` ${data.ranker} has no scores by label, so the neurons are sorted by the size of their difference.`;
  return [
    heading(`${LABEL} `, el("bdi", null, data.classes[c])),
    el(
      "p",
      { class: "about" },
      `${rows(data.class_counts[c])} of ${integers.format(data.n_words)}.${note}`,
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
  if (!table.rows.length) return [heading(title), el("p", { class: "note" }, "No rows.")];
  return [
    heading(title),
    about && el("p", { class: "about" }, about),
    sortableTable({ caption: title, columns, rows: table.rows }),
  ];
}

const ABOUT = [
  "Activations are shown in standard deviations (SD) from the neuron's mean over all words. " +
    "Values below the mean are blue and values above it orange; the mean has no color, and the " +
    `color is full at ${data.full_color} SD. Hover over a word in a sentence to see its value.`,
  "The label of a word is the one that it has in the data, or its most frequent one, with the " +
    "share of the occurrences that have it. The label of a sentence is that of the underlined word.",
  "The AUC is computed from 256 bins of the distribution, so values in the same bin count as ties.",
  "Each distribution is scaled to its fullest bin, and all labels of a neuron share one range. " +
    `Values more than ${data.reach} SD from the mean are counted in the outermost bins. The box ` +
    "below a distribution covers the middle 50% of the words, and its line the middle 90%.",
  `The value of a top word is the mean over its occurrences, of which there are at least ` +
    `${data.min_count}. Repeated sentences are shown once, and long texts in part. The word with ` +
    "the highest or lowest activation is underlined. Words that are not in the data have no color.",
  "Keyboard: / moves to the search, the arrow keys select a result, Enter opens it, and Escape " +
    "clears the search. Click a table header to sort the table. Its tooltip says what it means.",
  `Created on ${data.date} by sklearn-neurox ${data.version}. This page loads nothing and sends nothing.`,
];

function aboutView() {
  const paragraphs = [summary(), ...ABOUT].map((text) => el("p", { class: "prose" }, text));
  const terms = Object.entries(GLOSSARY).flatMap(([term, text]) => [
    el("dt", null, term),
    el("dd", null, text),
  ]);
  return [
    heading("About this report"),
    ...paragraphs,
    el("h2", null, "Columns and terms"),
    el("dl", { class: "glossary prose" }, terms),
  ];
}
