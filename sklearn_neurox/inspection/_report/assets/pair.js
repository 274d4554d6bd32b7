// The view of two neurons side by side, called A and B where a name would be too long.

function pairView(...pair) {
  const names = pair.map((neuron) => data.neurons[neuron]);
  const varying = pair.filter((neuron) => arrays.deviation[neuron] > 0);
  return [
    heading(`${names[0]} and ${names[1]}`),
    pairFacts(pair),
    ...(varying.length ? [el("h2", null, byLabelTitle()), pairTable(pair)] : []),
    ...pairNotes(pair),
    ...pairWords(pair),
    ...pairSentences(pair),
  ];
}

const LETTERS = ["A", "B"];
const lettered = (pair, k) => [`${LETTERS[k]} `, el("span", { class: "name" }, data.neurons[pair[k]])];

function pairFacts(pair) {
  const [first, second] = pair.map(neuronFacts);
  const rows = first
    .map(([name, fact], i) => [name, fact, second[i][1]])
    .filter(([, ...facts]) => facts.some(Boolean));
  const replace = (k) => {
    const path = (other) => (k ? pairPath(pair[0], other) : pairPath(other, pair[1]));
    const title = `Replace ${LETTERS[k]}`;
    return actionButton(title, () => searchPartner(pair[1 - k], path), "pair");
  };
  const head = pair.map((neuron, k) => el("th", { scope: "col" }, `${LETTERS[k]} `, neuronLink(neuron)));
  const body = rows.map(([name, ...facts]) =>
    el(
      "tr",
      null,
      el("th", { scope: "row", title: GLOSSARY[name] }, name),
      facts.map((fact) => el("td", null, fact ?? "–")),
    ),
  );
  const foot = el("tr", null, el("td"), [0, 1].map((k) => el("td", null, replace(k))));
  return el(
    "div",
    { class: "scroll" },
    el(
      "table",
      { class: "facts-of-two" },
      el("caption", null, "The two neurons"),
      el("thead", null, el("tr", null, el("td"), head)),
      el("tbody", null, body),
      el("tfoot", null, foot),
    ),
  );
}

// Distributions first, so that a phone shows both beside the label.
function pairTable(pair) {
  const columns = [
    { title: LABEL, value: (c) => (data.numeric ? c : data.classes[c]), cell: labelLink },
  ];
  const drawn = pair.map((neuron) => arrays.deviation[neuron] > 0 && drawnAt(neuron) !== undefined);
  const forEach = (title, column) =>
    pair.forEach((neuron, k) =>
      columns.push({ title: `${title} ${LETTERS[k]}`, hint: GLOSSARY[title], ...column(neuron) }),
    );
  if (drawn.some(Boolean))
    forEach("Distribution", (neuron) => ({
      kind: "drawing",
      largestFirst: true,
      value: (c) => classMean(c, neuron),
      cell: (c) =>
        drawn[pair.indexOf(neuron)] && data.class_counts[c] ? distribution(neuron, c) : "–",
    }));
  forEach("Mean, SD", (neuron) => ({
    kind: "number",
    largestFirst: true,
    value: (c) => classMean(c, neuron),
    cell: (c) => deviations(classMean(c, neuron)),
  }));
  forEach("AUC", (neuron) => ({
    kind: "number",
    largestFirst: true,
    value: (c) => aucOf(c, neuron),
    cell: (c) => short(aucOf(c, neuron)),
  }));
  if (arrays.class_rank)
    forEach("Rank", (neuron) => ({ kind: "number", value: (c) => classRank(c, neuron) }));
  const axes = pair.map((neuron, k) =>
    el("td", { class: "drawing" }, drawn[k] ? distributionAxis(neuron) : null),
  );
  const rest = el("td", { colspan: columns.length - 3 });
  const table = sortableTable({
    caption: `${data.neurons[pair[0]]} and ${data.neurons[pair[1]]} by ${data.label}`,
    columns,
    rows: Array.from(data.classes.keys()),
    sort: data.numeric
      ? { column: 0, descending: false }
      : { column: columns.findIndex(({ title }) => title === "Mean, SD A"), descending: true },
    foot: drawn.some(Boolean) ? el("tr", null, el("td"), axes, rest) : null,
  });
  return el("div", { class: "narrow" }, table);
}

function pairNotes(pair) {
  return pair.map((neuron, k) => {
    const note = missingNote(neuron);
    note?.prepend(...lettered(pair, k), ": ");
    return note;
  });
}

const ENDS = ["highest", "lowest"];

// A grid of two columns, A and B, with a row for the highest and one for the lowest.
function pairGrid(pair, part) {
  const cells = ENDS.flatMap((end, side) =>
    pair.map((neuron, k) =>
      missingNote(neuron)
        ? el("div")
        : part(detailOf(neuron), side, [...lettered(pair, k), `: ${end}`]),
    ),
  );
  return el("div", { class: "sides two" }, cells);
}

function pairWords(pair) {
  if (pair.every(missingNote)) return [];
  const title = el("h2", null, "Top words");
  if (!shapeOf("top_word")[2]) return [title, noTopWords()];
  const shared = sharedWords(pair);
  return [
    title,
    el("p", { class: "about" }, aboutTopWords()),
    shared.length ? el("p", { class: "about shared" }, shared) : null,
    pairGrid(pair, wordList),
  ];
}

// The words that stand in a list of A and in one of B.
function sharedWords(pair) {
  if (pair.some(missingNote)) return [];
  const lists = pair.map((neuron) =>
    [0, 1].map((side) => topWordPlaces(detailOf(neuron), side).map((at) => arrays.top_word[at])),
  );
  return [0, 1].flatMap((a) =>
    [0, 1].flatMap((b) => {
      const both = lists[0][a].filter((word) => lists[1][b].includes(word));
      if (!both.length) return [];
      const words = both.map((word) => data.words[word]).join(", ");
      return [`Among the ${ENDS[a]} of A and the ${ENDS[b]} of B: `, el("bdi", null, words), ". "];
    }),
  );
}

function pairSentences(pair) {
  if (pair.every(missingNote)) return [];
  return [el("h2", null, "Sentences"), colorKey(), pairGrid(pair, sentences)];
}
