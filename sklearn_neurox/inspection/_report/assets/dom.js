// Create elements. Text always stays text: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => ![null, undefined, false].includes(child)));
  return node;
}

const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);

const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const integers = new Intl.NumberFormat("en");
const decimals = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

// With a proper minus sign, and none before zero.
const signed = (text) => text.replace(/^-(?=[0.]*$)/, "").replace("-", "−");

function number(value) {
  if (value === null || Number.isNaN(value)) return "–";
  if (Number.isInteger(value)) return signed(integers.format(value));
  const size = Math.abs(value);
  return signed(size < 1e-4 || size >= 1e6 ? value.toExponential(1) : decimals.format(value));
}

// As many decimals as the largest number in the column needs, so that the column is aligned.
function aligned(value, largest) {
  if (value === null || Number.isNaN(value)) return "–";
  const digits = 2 - Math.floor(Math.log10(largest || 1));
  return signed(value.toFixed(Math.min(8, Math.max(largest < 10 ? 3 : 0, digits))));
}

// Format a number of standard deviations, always with its sign.
function deviations(value) {
  if (Number.isNaN(value)) return "–";
  const text = Math.abs(value).toFixed(2);
  return (Number(text) === 0 ? "" : value < 0 ? "−" : "+") + text;
}

const plural = (n, one) => `${integers.format(n)} ${one}${n === 1 ? "" : "s"}`;

const neuronPath = (neuron) => `#/neuron/${encodeURIComponent(data.neurons[neuron])}`;
const pairPath = (...pair) =>
  `#/pair/${pair.map((neuron) => encodeURIComponent(data.neurons[neuron])).join("/")}`;
const labelPath = (c) => `#/label/${encodeURIComponent(data.classes[c])}`;
const neuronLink = (neuron) =>
  el("a", { href: neuronPath(neuron), class: "name" }, data.neurons[neuron]);
const layerPath = (k) => `#/layer/${encodeURIComponent(data.layers[k])}`;
const wordPath = (w) => `#/word/${encodeURIComponent(data.words[w])}`;
const layerLink = (neuron) =>
  arrays.layer_of[neuron] < 0
    ? ""
    : el("a", { href: layerPath(arrays.layer_of[neuron]) }, layerName(neuron));
const rows = (n) => plural(n, data.unit);
const LABEL = data.numeric ? "Range" : "Label";
const ROWS = data.unit === "text" ? "Texts" : "Words";
const labelLink = (c) => el("a", { href: labelPath(c) }, el("bdi", null, data.classes[c]));

const strength = (value) => Math.max(-1, Math.min(1, value / data.full_color));

// Color an element by a value in standard deviations; zero has the color of the page.
function colored(node, value) {
  const share = strength(value);
  if (Math.abs(share) < 0.01) return node;
  node.classList.add(share > 0 ? "high" : "low");
  node.style.setProperty("--share", Math.abs(share).toFixed(2));
  return node;
}

// What a neuron does: "high for NOUN", or "rises with rating".
function directionText(neuron) {
  if (!(arrays.deviation[neuron] > 0)) return "constant";
  if (data.numeric)
    return `${arrays.correlation[neuron] < 0 ? "falls" : "rises"} with ${data.label}`;
  const c = mainClass(neuron);
  return `${isHigh(c, neuron) ? "high" : "low"} for ${data.classes[c]}`;
}

function direction(neuron) {
  if (data.numeric || !(arrays.deviation[neuron] > 0)) return directionText(neuron);
  const c = mainClass(neuron);
  return [isHigh(c, neuron) ? "high for " : "low for ", labelLink(c)];
}

const short = (value) => (Number.isNaN(value) ? "–" : signed(value.toFixed(2)));

function actionButton(title, action, kind) {
  const button = el("button", { type: "button", class: kind ? `action ${kind}` : "action" }, title);
  button.addEventListener("click", action);
  return button;
}

// An <svg> with a description for screen readers.
const drawing = (width, height, description, ...children) =>
  svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description },
    ...children,
  );
