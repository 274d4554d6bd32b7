// The search, and its results beside every view.

const side = document.getElementById("side");
const query = document.getElementById("query");
const results = document.getElementById("results");
const found = document.getElementById("found");
const beside = document.getElementById("beside");

// Mark the search result that the main part shows.
function markCurrent() {
  for (const option of results.querySelectorAll("[role=option]")) {
    if (option.hash === location.hash) option.setAttribute("aria-current", "page");
    else option.removeAttribute("aria-current");
  }
}

const LIMIT = 60;
let chosen = -1;

// The neuron that another one is searched for, to show both side by side, and their path.
let partner = null;

function searchPartner(neuron, path) {
  partner = { neuron, path };
  query.value = "";
  beside.replaceChildren(
    "Select a neuron to show beside ",
    el("span", { class: "name" }, data.neurons[neuron]),
    ". ",
    actionButton("Cancel", endPair),
  );
  side.dataset.pair = "true";
  search();
  query.focus();
}

function endPair() {
  if (!partner) return;
  partner = null;
  beside.replaceChildren();
  delete side.dataset.pair;
  query.value = "";
  search();
  main.querySelector(".pair")?.focus();
}

function search() {
  const text = query.value.trim();
  const all = text ? matches(text.toLowerCase()) : everything();
  const groups = partner ? all.filter(([title]) => /neurons/i.test(title)) : all;
  const entries = groups.flatMap(([, list]) => list);
  results.replaceChildren(...groups.flatMap(([title, list]) => groupNodes(title, list)));
  Array.from(results.querySelectorAll("[role=option]")).forEach(
    (node, i) => (node.id = `result-${i}`),
  );
  const total = groups.reduce((sum, [, , n]) => sum + n, 0);
  found.textContent = countText(text, entries.length, total);
  choose(text && entries.length ? 0 : -1);
  markCurrent();
}

function countText(text, shown, total) {
  if (!total)
    return `Nothing found for “${text}” among the neurons${partner ? "" : `, layers, labels and ${searchedWords()}`}.`;
  if (shown === total) return "";
  return `${integers.format(shown)} of ${integers.format(total)} shown; type more to narrow the search`;
}

// A report of many different words holds only the frequent ones.
function searchedWords() {
  if (data.words.length === data.n_types) return "words";
  return `${integers.format(data.words.length)} of ${integers.format(data.n_types)} different words, mostly the most frequent`;
}

function groupNodes(title, list) {
  if (!list.length) return [];
  const options = list.map(({ name, note, path }) =>
    el(
      "a",
      // The title shows the full text of a long name.
      { role: "option", href: path, tabindex: "-1", "aria-selected": "false", title: name },
      el("bdi", null, name),
      el("span", { class: "muted" }, note),
    ),
  );
  return [
    el(
      "div",
      { role: "group", "aria-label": title },
      el("div", { class: "group" }, title),
      options,
    ),
  ];
}

const neuronEntry = (i, note) => ({
  name: data.neurons[i],
  note: note ?? `rank ${integers.format(arrays.rank[i])}`,
  path: partner ? partner.path(i) : neuronPath(i),
});
const labelEntry = (c) => ({
  name: data.classes[c],
  note: rows(data.class_counts[c]),
  path: labelPath(c),
});
const layerEntry = (k) => ({ name: data.layers[k], note: "all its neurons", path: layerPath(k) });
const wordEntry = (w) => ({
  name: data.words[w],
  note: `${goldOfWord(w)} × ${integers.format(arrays.type_count[w])}`,
  path: wordPath(w),
});

function everything() {
  const labels = data.classes.map((_, c) => labelEntry(c));
  const best = Array.from(neuronsByRank().slice(0, LIMIT), (i) => neuronEntry(i));
  return [
    [`${LABEL}s`, labels.slice(0, LIMIT), labels.length],
    ["Best neurons", best, best.length],
  ];
}

function matches(text) {
  const labels = namesLike(data.classes.keys(), (c) => data.classes[c], text).map(labelEntry);
  const neurons = namesLike(neuronsByRank(), (i) => data.neurons[i], text);
  const shown = neurons.slice(0, LIMIT).map((i) => neuronEntry(i));
  const layers = layersLike(text);
  const hits = neuronsOfWord(text);
  const words = namesLike(data.words.keys(), (w) => data.words[w], text);
  return [
    [`${LABEL}s`, labels.slice(0, LIMIT), labels.length],
    ["Layers", layers.slice(0, LIMIT).map(layerEntry), layers.length],
    ["Neurons", shown, neurons.length],
    ["Neurons with this top word", hits.slice(0, LIMIT), hits.length],
    ["Words", words.slice(0, LIMIT).map(wordEntry), words.length],
  ];
}

// "layer 2" and "2" find every component of this layer; other text is part of a name.
function layersLike(text) {
  const [, wanted] = /^(?:layers?\s*)?(\d+)$/.exec(text) ?? [];
  if (wanted !== undefined)
    return Array.from(data.layers.keys()).filter((k) => data.layers[k].split(".").at(-1) === wanted);
  if (/^layers?$/.test(text)) return Array.from(data.layers.keys());
  return namesLike(data.layers.keys(), (k) => data.layers[k], text);
}

// Exact matches first, then names that start with the text, then names that contain it.
function namesLike(numbers, nameOf, text) {
  const byPlace = [[], [], []];
  for (const i of numbers) {
    const name = nameOf(i).toLowerCase();
    const at = name.indexOf(text);
    if (at >= 0) byPlace[name === text ? 0 : at === 0 ? 1 : 2].push(i);
  }
  return byPlace.flat();
}

// The neurons that have a chosen word among their top words, with its mean, the largest first.
function topNeuronsOfWord(isChosen) {
  const n = shapeOf("top_word")[2];
  const hits = [];
  arrays.top_word.forEach((word, at) => {
    if (!isChosen(word)) return;
    const place = Math.floor(at / (2 * n));
    const neuron = data.detailed ? data.detailed[place] : place;
    if (arrays.deviation[neuron] > 0) hits.push([scaled("top_word_mean", at), neuron]);
  });
  return hits.sort(([a], [b]) => Math.abs(b) - Math.abs(a));
}

function neuronsOfWord(text) {
  const numbers = new Set(
    data.words.flatMap((word, w) => (word.toLowerCase() === text ? [w] : [])),
  );
  if (!numbers.size) return [];
  const hits = topNeuronsOfWord((word) => numbers.has(word));
  return hits.map(([value, neuron]) => neuronEntry(neuron, `${deviations(value)} SD`));
}

function choose(i) {
  const options = results.querySelectorAll("[role=option]");
  options[chosen]?.setAttribute("aria-selected", "false");
  chosen = Math.max(-1, Math.min(options.length - 1, i));
  const option = options[chosen];
  if (!option) {
    query.removeAttribute("aria-activedescendant");
    return;
  }
  option.setAttribute("aria-selected", "true");
  query.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  ArrowDown: () => choose(chosen + 1),
  ArrowUp: () => choose(chosen - 1),
  PageDown: () => choose(chosen + 10),
  PageUp: () => choose(Math.max(0, chosen - 10)),
  Enter: () => results.querySelector('[aria-selected="true"]')?.click(),
  Escape: () => {
    const isEmpty = !query.value;
    query.value = "";
    search();
    if (isEmpty && partner) endPair();
    else if (isEmpty) query.blur();
  },
};

function listenToSearch() {
  query.addEventListener("input", search);
  query.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.isComposing) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea")) return;
    event.preventDefault();
    query.focus();
    query.select();
  });
}
