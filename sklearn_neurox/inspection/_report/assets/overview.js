// The first view: the data, the probe, its score beside baselines, and three neurons.

function overviewView() {
  const facts = [
    ["Data", `${rows(data.n_words)}${data.unit === "text" ? "" : ` in ${plural(data.n_texts, "text")}`}`],
    [data.numeric ? "Target" : "Labels", labelsText()],
    ["Language model", data.model],
    ["Neurons", neuronsText()],
    ["Ranking", data.ranker],
    ["Probe", data.probe],
    ["Penalty", data.penalty.map(([name, value]) => `${name} = ${value}`).join(", ")],
    ["Created", `${data.date}, sklearn-neurox ${data.version}`],
  ];
  return [
    heading("Overview"),
    factList(facts),
    ...scoreParts(),
    ...layerParts(),
    el("h2", null, "Three of the best neurons"),
    el("p", { class: "about prose" }, ABOUT_BEST),
    el("div", { class: "cards" }, examples().map(card)),
    el("p", null, el("a", { href: "#/ranking" }, `All ${plural(nNeurons, "neuron")} →`)),
  ];
}

// A label of fewer words says little about a neuron.
const FEWEST_WORDS = 10;
const ABOUT_BEST =
  `Best in the order of ${data.ranker}` +
  (data.numeric
    ? ". The correlation looks at the neuron alone; a neuron can matter to a probe together with others."
    : `, of different labels with at least ${FEWEST_WORDS} ${data.unit}s where possible. ` +
      "The AUC looks at the neuron alone: 1 or 0 if it tells its label from the others perfectly, " +
      "0.5 if it does not. A neuron can matter to a probe together with others.");

const factList = (facts) =>
  el(
    "dl",
    { class: "facts" },
    facts
      .filter(([, fact]) => fact)
      .map(([name, fact]) => el("div", { title: GLOSSARY[name] }, el("dt", null, name), el("dd", null, fact))),
  );

function labelsText() {
  if (data.numeric) return `${data.label}, a number`;
  const names = Array.from(data.classes.keys())
    .sort((a, b) => data.class_counts[b] - data.class_counts[a])
    .slice(0, 5)
    .map((c) => data.classes[c]);
  const more = nClasses > names.length ? ", …" : "";
  return `${plural(nClasses, "value")} of ${data.label}: ${names.join(", ")}${more}`;
}

function neuronsText() {
  const layers = data.layers.length ? ` in ${plural(data.layers.length, "layer")}` : "";
  return `${integers.format(nNeurons)}${layers}`;
}

const NO_SCORES =
  "This report was made without held-out scores and baselines, so it does not say how well the " +
  "neurons predict. To add them, pass baselines=baseline_table(words, y, estimator=probe, X=X).";

function scoreParts() {
  const table = data.tables.baselines;
  if (!table)
    return [
      el("h2", null, "Score and baselines"),
      el("p", { class: "note" }, NO_SCORES),
    ];
  const at = (name) => table.columns.indexOf(name);
  const score = (row) => row[at("score")] ?? NaN;
  const probe = table.rows.find((row) => row[at("name")] === "probe");
  const best = Math.max(...baselineScores().map(([, value]) => value));
  const largest = Math.max(...table.rows.map(score).filter((value) => value > 0), 0);
  const columns = [
    {
      title: "Model",
      value: (row) => row[at("name")],
      cell: (row) => (row === probe ? el("strong", null, "probe") : row[at("name")]),
    },
    {
      title: "Held-out score",
      kind: "number",
      largestFirst: true,
      value: score,
      cell: (row) => bar(score(row), largest),
    },
  ];
  // A single fold has no standard deviation.
  if (at("std") >= 0 && table.rows.some((row) => row[at("std")] !== null)) {
    const value = (row) => row[at("std")] ?? NaN;
    columns.push({ title: "SD of folds", kind: "number", value, cell: (row) => aligned(value(row), 1) });
  }
  const gap = probe && Number.isFinite(best) ? score(probe) - best : NaN;
  const verdict = Number.isNaN(gap)
    ? null
    : `The probe scores ${number(score(probe))} on held-out ${data.unit}s, ${aligned(Math.abs(gap), 1)} ` +
      `${gap < 0 ? "below" : "above"} the best baseline.`;
  return [
    el("h2", null, "Score and baselines"),
    verdict && el("p", { class: "about" }, verdict),
    sortableTable({ caption: "Score and baselines", columns, rows: table.rows }),
  ];
}

function layerParts() {
  const chart = data.tables.layer_profile && layerChart(data.tables.layer_profile);
  return chart ? [el("h2", null, "Score by layer"), chart] : [];
}

// The best neurons, where possible of different labels with enough words.
function examples() {
  const order = Array.from(neuronsByRank().slice(0, 1000)).filter(
    (i) => arrays.deviation[i] > 0 && detailOf(i) !== undefined,
  );
  const seen = new Set();
  const chosen = data.numeric
    ? []
    : order.filter((i) => {
        const c = mainClass(i);
        const isNew = seen.size < 3 && !seen.has(c) && data.class_counts[c] >= FEWEST_WORDS;
        if (isNew) seen.add(c);
        return isNew;
      });
  for (const i of order) if (chosen.length < 3 && !chosen.includes(i)) chosen.push(i);
  return chosen;
}

function card(neuron) {
  const place = detailOf(neuron);
  const c = mainClass(neuron);
  const isUp = data.numeric || isHigh(c, neuron);
  const n = shapeOf("top_word")[2];
  const side = isUp ? 0 : 1;
  const words = [];
  for (let k = 0; k < Math.min(5, n); k++) {
    const at = (2 * place + side) * n + k;
    const word = el("bdi", { class: "word", title: `${deviations(scaled("top_word_mean", at))} SD` });
    word.append(data.words[arrays.top_word[at]]);
    words.push(colored(word, scaled("top_word_mean", at)), " ");
  }
  const strength = data.numeric
    ? `correlation ${short(arrays.correlation[neuron])}`
    : `AUC ${short(aucOf(c, neuron))}`;
  const texts = shapeOf("context")[2];
  return el(
    "section",
    { class: "card" },
    el("h3", null, neuronLink(neuron)),
    el("p", null, direction(neuron), `, ${strength}`),
    words.length ? el("p", null, words) : null,
    texts ? el("p", { dir: "auto" }, pieces(contextAt((2 * place + side) * texts))) : null,
  );
}
