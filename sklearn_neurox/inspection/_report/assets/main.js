// Search, navigation between views, and startup.

const VIEWS = [
  ["overview", "Overview", overviewView, true],
  ["ranking", "Ranking", rankingView, true],
  ["labels", `${LABEL}s`, labelsView, true],
  ["ablation", "Ablation", ablationView, "ablation" in data.tables],
  [
    "layers",
    "Layers",
    layersView,
    "layer_profile" in data.tables,
  ],
  ["about", "About", aboutView, true],
].filter(([, , , isThere]) => isThere);

const main = document.getElementById("view");
const tabs = document.getElementById("tabs");
const query = document.getElementById("query");
const results = document.getElementById("results");
const found = document.getElementById("found");

function viewOf(path) {
  const [, kind, ...rest] = path.split("/");
  const name = decoded(rest.join("/"));
  if (kind === "neuron" && neuronNumbers.has(name))
    return () => neuronView(neuronNumbers.get(name));
  if (kind === "label" && classNumbers.has(name)) return () => labelView(classNumbers.get(name));
  if (kind === "layer" && layerNumbers.has(name)) return () => layerView(layerNumbers.get(name));
  if (kind === "word" && wordNumbers.has(name)) return () => wordView(wordNumbers.get(name));
  const view = VIEWS.find(([id]) => id === (kind || "overview"));
  if (view) return view[2];
  return () => [
    heading("Not found"),
    el("p", null, `This report has no page for “${name || kind}”.`),
  ];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let isFirst = true;

function show(path) {
  main.replaceChildren(...viewOf(path)().filter(Boolean));
  const title = main.querySelector("h1");
  document.title = `${title.textContent} · ${data.title}`;
  for (const tab of tabs.children) {
    const isHere = tab.hash === (path || "#/overview");
    if (isHere) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  markCurrent();
  if (!isFirst) {
    // Screen readers announce the new heading, and Tab continues from there.
    title.focus({ preventScroll: true });
    window.scrollTo(0, history.state?.scroll ?? 0);
  }
  isFirst = false;
}

// Mark the search result that the main part shows.
function markCurrent() {
  for (const option of results.querySelectorAll("[role=option]")) {
    if (option.hash === location.hash) option.setAttribute("aria-current", "page");
    else option.removeAttribute("aria-current");
  }
}

const LIMIT = 60;
let chosen = -1;

function search() {
  const text = query.value.trim();
  const groups = text ? matches(text.toLowerCase()) : everything();
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
  if (!total) return `Nothing found for “${text}” among the neurons, layers, labels and words.`;
  if (shown === total) return "";
  return `${integers.format(shown)} of ${integers.format(total)} shown; type more to narrow the search`;
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
  path: neuronPath(i),
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
    if (!query.value) query.blur();
    query.value = "";
    search();
  },
};

// In a notebook's iframe, the browser would resolve links against the address of the notebook.
function followLink(event) {
  const link = event.target.closest('a[href^="#/"]');
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  keepState({ scroll: window.scrollY });
  const path = link.getAttribute("href");
  if (location.hash === path) show(path);
  else location.hash = path;
}

function listen() {
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
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    event.stopPropagation();
    main.focus();
  });
  window.addEventListener("hashchange", () => show(location.hash));
  document.addEventListener("click", followLink);
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    main.replaceChildren(
      el("p", null, "This browser is too old for the report. Use a browser from 2023 or later."),
    );
    return;
  }
  await unpackAll(Object.keys(data.arrays));
  history.scrollRestoration = "manual";
  tabs.append(...VIEWS.map(([id, title]) => el("a", { href: `#/${id}` }, title)));
  show(location.hash);
  search();
  listen();
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  main.replaceChildren(heading("This report cannot be read"), el("p", null, String(error)));
});
