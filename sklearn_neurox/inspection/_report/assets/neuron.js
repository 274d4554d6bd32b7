// The view of one neuron: by label, by word and in sentences.

function neuronView(neuron) {
  return [
    heading(data.neurons[neuron]),
    neighbors(neuron),
    factList(neuronFacts(neuron)),
    ...responses(neuron),
  ];
}

function neuronFacts(neuron) {
  const c = mainClass(neuron);
  return [
    ["Direction", direction(neuron)],
    data.numeric
      ? ["Correlation", short(arrays.correlation[neuron])]
      : ["AUC", short(aucOf(c, neuron))],
    ["Rank", `${integers.format(arrays.rank[neuron])} of ${integers.format(nNeurons)}`],
    ["Score", arrays.score ? number(arrays.score[neuron]) : null],
    data.numeric && arrays.weight ? ["Weight × SD", number(weightOf(0, neuron))] : ["", null],
    ["Layer", layerLink(neuron) || null],
    ["Mean", number(arrays.mean[neuron])],
    ["SD", number(arrays.deviation[neuron])],
  ];
}

function neighbors(neuron) {
  const rank = arrays.rank[neuron];
  const link = (place, text) =>
    place >= 1 && place <= nNeurons
      ? el("a", { href: neuronPath(neuronsByRank()[place - 1]) }, text)
      : el("span", { class: "muted" }, text);
  return el(
    "p",
    { class: "neighbors" },
    link(rank - 1, "← ranked higher"),
    link(rank + 1, "ranked lower →"),
    nNeurons > 1
      ? actionButton(
          "Compare with another neuron",
          () => searchPartner(neuron, (other) => pairPath(neuron, other)),
          "pair",
        )
      : null,
  );
}

function responses(neuron) {
  const parts = [];
  if (arrays.deviation[neuron] > 0) parts.push(el("h2", null, byLabelTitle()), classTable(neuron));
  const missing = missingNote(neuron);
  if (missing) return [...parts, missing];
  const place = detailOf(neuron);
  return [
    ...parts,
    el("h2", null, "Top words"),
    topWords(place),
    el("h2", null, "Sentences"),
    colorKey(),
    el(
      "div",
      { class: "sides" },
      sentences(place, 0, "Highest activation"),
      sentences(place, 1, "Lowest activation"),
    ),
  ];
}

const byLabelTitle = () => (data.numeric ? `By ${data.label}` : "By label");

// What the report does not show of a neuron, and why; null if it shows everything.
function missingNote(neuron) {
  if (!(arrays.deviation[neuron] > 0)) {
    return el(
      "p",
      { class: "note" },
      `This neuron has the value ${number(arrays.mean[neuron])} for every ${data.unit}, so it carries no information about ${data.label}.`,
    );
  }
  if (detailOf(neuron) !== undefined) return null;
  const best = plural(data.detailed.length, "best-ranked neuron");
  return el(
    "p",
    { class: "note" },
    `${data.all_drawn ? "Top" : "Distributions, top"} words and sentences are included only for the ${best}; this is not one of them.`,
  );
}

function classTable(neuron) {
  const rows = Array.from(data.classes.keys());
  const columns = [
    { title: LABEL, value: (c) => (data.numeric ? c : data.classes[c]), cell: labelLink },
  ];
  // In the second column, where a phone shows it.
  const isDrawn = drawnAt(neuron) !== undefined;
  if (isDrawn)
    columns.push({
      title: "Distribution",
      kind: "drawing",
      largestFirst: true,
      value: (c) => classMean(c, neuron),
      cell: (c) => (data.class_counts[c] ? distribution(neuron, c) : "–"),
    });
  columns.push({
    title: ROWS,
    kind: "number",
    largestFirst: true,
    value: (c) => data.class_counts[c],
  });
  if (arrays.class_rank) {
    columns.push(
      {
        title: "Rank",
        kind: "number",
        value: (c) => classRank(c, neuron),
      },
      {
        title: "Score",
        kind: "number",
        largestFirst: true,
        value: (c) => classScore(c, neuron),
        cell: (c) => aligned(classScore(c, neuron), 1),
      },
    );
  }
  if (arrays.weight && !data.numeric)
    columns.push(weightColumn(rows, (c) => weightOf(c, neuron)));
  columns.push(
    {
      title: "Mean, SD",
      kind: "number",
      largestFirst: true,
      value: (c) => classMean(c, neuron),
      cell: (c) => deviations(classMean(c, neuron)),
    },
    {
      title: "AUC",
      kind: "number",
      largestFirst: true,
      value: (c) => aucOf(c, neuron),
      cell: (c) => short(aucOf(c, neuron)),
    },
  );
  const foot = isDrawn
    ? el(
        "tr",
        null,
        el("td"),
        el("td", { class: "drawing" }, distributionAxis(neuron)),
        el("td", { colspan: columns.length - 2 }),
      )
    : null;
  const mean = columns.findIndex((column) => column.title === "Mean, SD");
  return sortableTable({
    caption: `${data.neurons[neuron]} by ${data.label}`,
    columns,
    rows,
    sort: data.numeric ? { column: 0, descending: false } : { column: mean, descending: true },
    foot,
    pictures: isDrawn && ((sorted) => distributionChart(neuron, sorted)),
  });
}

function topWords(place) {
  if (!shapeOf("top_word")[2]) return noTopWords();
  return el(
    "div",
    null,
    el("p", { class: "about" }, aboutTopWords()),
    el("div", { class: "sides" }, wordList(place, 0, "Highest"), wordList(place, 1, "Lowest")),
  );
}

const noTopWords = () =>
  el("p", { class: "note" }, `No word occurs at least ${plural(data.min_count, "time")}.`);

const aboutTopWords = () =>
  `Mean activation of words that occur ${data.unit === "text" ? "in texts " : ""}at least ` +
  `${plural(data.min_count, "time")}, in standard deviations, with ` +
  `${data.numeric ? `the mean ${data.label}` : "their most frequent label"}.`;

// The places in `top_word` of the highest (side 0) or lowest (side 1) words of a neuron.
function topWordPlaces(place, side) {
  const n = shapeOf("top_word")[2];
  return Array.from({ length: n }, (_, k) => (2 * place + side) * n + k);
}

function wordList(place, side, title) {
  const items = topWordPlaces(place, side).map((at) => {
    const word = arrays.top_word[at];
    const value = scaled("top_word_mean", at);
    return el(
      "li",
      null,
      colored(el("bdi", { class: "word" }, data.words[word]), value),
      el("bdi", { class: "muted gold" }, goldOfWord(word)),
      el("span", { class: "muted" }, `× ${integers.format(arrays.type_count[word])}`),
      el("span", { class: "value" }, deviations(value)),
    );
  });
  return el("section", null, el("h3", null, title), el("ol", { class: "words" }, items));
}

function colorKey() {
  const steps = [];
  for (let k = -4; k <= 4; k++) {
    const value = (k * data.full_color) / 4;
    steps.push(colored(el("span", null, deviations(value).replace(/\.?0+$/, "") || "0"), value));
  }
  return el(
    "p",
    { class: "key", "aria-label": "Colors by standard deviations" },
    steps,
    el("span", { class: "muted" }, "standard deviations"),
  );
}

function sentences(place, side, title) {
  const n = shapeOf("context")[2];
  const items = [];
  for (let k = 0; k < n; k++) items.push(sentence(contextAt((2 * place + side) * n + k)));
  return el("section", null, el("h3", null, title), el("ol", { class: "sentences" }, items));
}

function sentence(context) {
  return el(
    "li",
    null,
    el(
      "span",
      { class: "value" },
      deviations(context.value),
      el("bdi", { class: "muted gold" }, context.gold),
    ),
    el("p", { dir: "auto" }, pieces(context)),
  );
}

// The text, split at its words. Offsets count characters, as in Python, not UTF-16 units.
function pieces({ text, words, cutBefore, cutAfter }) {
  const characters = Array.from(text);
  const slice = (from, to) => characters.slice(from, to).join("");
  const focus = words.find((word) => word.isFocus);
  let done = cutBefore ? words[0].start : 0;
  const nodes = cutBefore ? ["… "] : [];
  for (const word of words) {
    const hidesFocus = !word.isFocus && word.start < focus.end && word.end > focus.start;
    if (word.start < done || hidesFocus) continue;
    nodes.push(slice(done, word.start));
    const tag = word.isFocus ? "strong" : "span";
    const node = el(
      tag,
      { class: "word", title: `${deviations(word.value)} SD · ${word.gold}` },
      slice(word.start, word.end),
    );
    nodes.push(colored(node, word.value));
    done = word.end;
  }
  nodes.push(cutAfter ? " …" : slice(done));
  return nodes;
}
