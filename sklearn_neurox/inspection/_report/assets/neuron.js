// The view of one neuron: by label, by word and in sentences.

function neuronView(neuron) {
  const c = mainClass(neuron);
  const facts = [
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
  return [
    heading(data.neurons[neuron]),
    neighbors(neuron),
    factList(facts),
    ...responses(neuron),
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
  );
}

function responses(neuron) {
  if (!(arrays.deviation[neuron] > 0)) {
    return [
      el(
        "p",
        { class: "note" },
        `This neuron has the value ${number(arrays.mean[neuron])} for every ${data.unit}, so it carries no information about ${data.label}.`,
      ),
    ];
  }
  const place = detailOf(neuron);
  const title = data.numeric ? `By ${data.label}` : "By label";
  const parts = [el("h2", null, title), classTable(neuron)];
  if (place === undefined) {
    const n = integers.format(data.detailed.length);
    parts.push(
      el(
        "p",
        { class: "note" },
        `${data.all_drawn ? "Top" : "Distributions, top"} words and sentences are included only for the ${n} best-ranked neurons; this is not one of them.`,
      ),
    );
    return parts;
  }
  return [
    ...parts,
    el("h2", null, "Top words"),
    topWords(place),
    el("h2", null, "Sentences"),
    colorKey(),
    sentences(place),
  ];
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
  });
}

function topWords(place) {
  const n = shapeOf("top_word")[2];
  if (!n)
    return el("p", { class: "note" }, `No word occurs at least ${plural(data.min_count, "time")}.`);
  const list = (side, title) => {
    const items = [];
    for (let k = 0; k < n; k++) {
      const at = (2 * place + side) * n + k;
      const word = arrays.top_word[at];
      const value = scaled("top_word_mean", at);
      items.push(
        el(
          "li",
          null,
          colored(el("bdi", { class: "word" }, data.words[word]), value),
          el("bdi", { class: "muted gold" }, goldOfWord(word)),
          el("span", { class: "muted" }, `× ${integers.format(arrays.type_count[word])}`),
          el("span", { class: "value" }, deviations(value)),
        ),
      );
    }
    return el("section", null, el("h3", null, title), el("ol", { class: "words" }, items));
  };
  return el(
    "div",
    null,
    el(
      "p",
      { class: "about" },
      `Mean activation of words that occur ${data.unit === "text" ? "in texts " : ""}at least ${plural(data.min_count, "time")}, in standard deviations, with ${data.numeric ? `the mean ${data.label}` : "their most frequent label"}.`,
    ),
    el("div", { class: "sides" }, list(0, "Highest"), list(1, "Lowest")),
  );
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

function sentences(place) {
  const n = shapeOf("context")[2];
  const list = (side, title) => {
    const items = [];
    for (let k = 0; k < n; k++) items.push(sentence(contextAt((2 * place + side) * n + k)));
    return el("section", null, el("h3", null, title), el("ol", { class: "sentences" }, items));
  };
  return el("div", { class: "sides" }, list(0, "Highest activation"), list(1, "Lowest activation"));
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
