// The data of the page: unpacked once, then read by neuron and by class.

const data = JSON.parse(document.getElementById("data").textContent);
const nNeurons = data.neurons.length;
const nClasses = data.classes.length;
const arrays = {};

const TYPES = {
  int8: Int8Array,
  int16: Int16Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  float32: Float32Array,
};

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unpack(name) {
  const packed = data.arrays[name];
  if (!packed || arrays[name]) return;
  const deflated = new Blob([bytesOf(packed.data)]).stream();
  const bytes = new Response(deflated.pipeThrough(new DecompressionStream("deflate")));
  arrays[name] = new TYPES[packed.dtype](await bytes.arrayBuffer());
  packed.data = null;
}

const unpackAll = (names) => Promise.all(names.map(unpack));

const neuronNumbers = new Map(data.neurons.map((name, i) => [name, i]));
const classNumbers = new Map(data.classes.map((name, c) => [name, c]));
const wordNumbers = new Map(data.words.map((word, w) => [word, w]));
const layerNumbers = new Map(data.layers.map((name, k) => [name, k]));
const detailNumbers = data.detailed && new Map(data.detailed.map((i, place) => [i, place]));

// The position of a neuron's words and sentences, or undefined if it has none.
const detailOf = (neuron) => (detailNumbers ? detailNumbers.get(neuron) : neuron);

// The position of a neuron's distributions, or undefined if it has none.
const drawnAt = (neuron) => (data.all_drawn ? neuron : detailOf(neuron));

const scaled = (name, i) => arrays[name][i] * data.arrays[name].scale;
const shapeOf = (name) => data.arrays[name].shape;

function layerName(neuron) {
  const layer = arrays.layer_of[neuron];
  return layer < 0 ? "" : data.layers[layer];
}

function numbersByRank(rankOf) {
  const order = new Uint32Array(nNeurons);
  for (let i = 0; i < nNeurons; i++) order[rankOf(i) - 1] = i;
  return order;
}

let order = null;
const neuronsByRank = () => (order ??= numbersByRank((i) => arrays.rank[i]));

const hasClassRanks = (c) => Boolean(arrays.class_rank && arrays.class_rank[c * nNeurons]);
const classRank = (c, neuron) =>
  hasClassRanks(c) ? arrays.class_rank[c * nNeurons + neuron] : NaN;
const classScore = (c, neuron) =>
  hasClassRanks(c) ? arrays.class_score[c * nNeurons + neuron] : NaN;

// The weight for a change by one standard deviation, which is comparable between neurons.
const weightOf = (c, neuron) =>
  arrays.weight
    ? arrays.weight[(data.numeric ? 0 : c) * nNeurons + neuron] * arrays.deviation[neuron]
    : NaN;

// The mean of a class, in standard deviations from the mean over all words.
const classMean = (c, neuron) =>
  data.class_counts[c] ? scaled("class_mean", neuron * nClasses + c) : NaN;

function differenceFromOthers(c, neuron) {
  const others = data.n_words - data.class_counts[c];
  return others ? (classMean(c, neuron) * data.n_words) / others : NaN;
}

// The probability that a row of the label has a higher value than another row.
function aucOf(c, neuron) {
  const count = data.class_counts[c];
  return count && count < data.n_words ? scaled("auc", neuron * nClasses + c) : NaN;
}

// The label for which the neuron matters most, as in neuron_summary: the one with the highest class
// score, or the largest difference; of two labels, the one that the neuron is high for.
function mainClass(neuron) {
  const size = (c) => Math.abs(differenceFromOthers(c, neuron)) || 0;
  if (nClasses === 2) return differenceFromOthers(1, neuron) > 0 ? 1 : 0;
  let best = 0;
  for (let c = 1; c < nClasses; c++) {
    const gain = (classScore(c, neuron) || 0) - (classScore(best, neuron) || 0);
    if (gain > 0 || (gain === 0 && size(c) > size(best))) best = c;
  }
  return best;
}

const isHigh = (c, neuron) => !(differenceFromOthers(c, neuron) < 0);

// The words of a text that are shown around a word, as in Spans.windows in Python.
function windowOf(span, text) {
  const first = arrays.text_first[text];
  const last = arrays.text_first[text + 1];
  const latest = Math.max(first, last - data.window);
  const begin = Math.min(Math.max(span - (data.window >> 1), first), latest);
  return [begin, Math.min(begin + data.window, last)];
}

// The label, or target, of a span.
const goldOf = (span) =>
  data.numeric ? number(arrays.span_target[span]) : data.classes[arrays.span_label[span]];

// The most frequent label of a word, with its share if it has others, or the mean target.
function goldOfWord(w) {
  if (data.numeric) return number(arrays.type_target[w]);
  const share = arrays.type_share[w];
  return data.classes[arrays.type_label[w]] + (share < 100 ? ` ${share}%` : "");
}

function textOf(span) {
  let low = 0;
  let high = data.texts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (arrays.text_first[middle] <= span) low = middle;
    else high = middle;
  }
  return low;
}

// The offset of each window's values: the windows are stored one after another.
let offsets = null;

function windowOffset(place) {
  if (!offsets) {
    offsets = new Uint32Array(arrays.context.length + 1);
    arrays.context.forEach((span, i) => {
      const [begin, stop] = windowOf(span, textOf(span));
      offsets[i + 1] = offsets[i] + stop - begin;
    });
  }
  return offsets[place];
}

// The sentence at a position in `context`, with its words and their values in standard deviations.
function contextAt(place) {
  const focus = arrays.context[place];
  const text = textOf(focus);
  const [begin, stop] = windowOf(focus, text);
  const offset = windowOffset(place);
  const words = [];
  for (let span = begin; span < stop; span++) {
    words.push({
      start: arrays.span_start[span],
      end: arrays.span_end[span],
      value: (arrays.window_values[offset + span - begin] * data.full_color) / 127,
      isFocus: span === focus,
      gold: goldOf(span),
    });
  }
  return {
    gold: goldOf(focus),
    text: data.texts[text],
    words,
    value: scaled("context_value", place),
    cutBefore: begin > arrays.text_first[text],
    cutAfter: stop < arrays.text_first[text + 1],
  };
}
