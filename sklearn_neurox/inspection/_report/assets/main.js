// Navigation between views, and startup.

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

function viewOf(path) {
  const [, kind, ...rest] = path.split("/");
  const name = decoded(rest.join("/"));
  const pair = rest.map((part) => neuronNumbers.get(decoded(part)));
  if (kind === "pair" && pair.length === 2 && !pair.includes(undefined))
    return () => pairView(...pair);
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
  endPair();
  markCurrent();
  if (!isFirst) {
    // Screen readers announce the new heading, and Tab continues from there.
    title.focus({ preventScroll: true });
    window.scrollTo(0, history.state?.scroll ?? 0);
  }
  isFirst = false;
}

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
  listenToSearch();
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
