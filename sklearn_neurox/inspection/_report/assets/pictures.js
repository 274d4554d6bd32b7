// Charts as files of their own, in the colors of a light page, for papers and slides.

const STYLED = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray"],
  ...["font-size", "font-family", "text-anchor"],
];
// Pixels for each unit of a chart: a chart 16 cm wide then has 220 dots per inch.
const SHARPNESS = 3;

// Call `use` while the chart is in the page, in its light colors; nothing is painted in between.
function onPaper(chart, use) {
  const isShown = chart.isConnected;
  document.documentElement.classList.add("paper");
  if (!isShown) document.body.append(chart);
  try {
    return use();
  } finally {
    if (!isShown) chart.remove();
    document.documentElement.classList.remove("paper");
  }
}

// With its computed style, which a file cannot inherit.
function svgFile(chart) {
  const copy = chart.cloneNode(true);
  const nodes = chart.querySelectorAll("*");
  onPaper(chart, () =>
    copy.querySelectorAll("*").forEach((node, i) => {
      const style = getComputedStyle(nodes[i]);
      for (const name of STYLED) node.setAttribute(name, style.getPropertyValue(name));
      node.removeAttribute("class");
    }),
  );
  copy.setAttribute("xmlns", SVG);
  return new XMLSerializer().serializeToString(copy);
}

// Drawn shape by shape: the policy of the page lets it load no image, not even one of its own.
function pngFile(chart) {
  const { width, height } = chart.viewBox.baseVal;
  const canvas = el("canvas", { width: width * SHARPNESS, height: height * SHARPNESS });
  const context = canvas.getContext("2d");
  context.scale(SHARPNESS, SHARPNESS);
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  onPaper(chart, () =>
    chart.querySelectorAll("path, circle, rect, text").forEach((node) => {
      const moved = node.closest("g[transform]")?.transform.baseVal.consolidate().matrix;
      context.save();
      if (moved) context.translate(moved.e, moved.f);
      draw(context, node);
      context.restore();
    }),
  );
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function draw(context, node) {
  const style = getComputedStyle(node);
  context.fillStyle = style.fill === "none" ? "transparent" : style.fill;
  context.strokeStyle = style.stroke;
  context.lineWidth = parseFloat(style.strokeWidth);
  context.setLineDash(style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(",").map(parseFloat));
  if (node.tagName === "text") {
    const anchor = { start: "left", middle: "center", end: "right" }[style.textAnchor];
    Object.assign(context, { textAlign: anchor, font: `${style.fontSize} ${style.fontFamily}` });
    context.fillText(node.textContent, number("x"), number("y"));
    return;
  }
  const shape = new Path2D(node.tagName === "path" ? node.getAttribute("d") : undefined);
  if (node.tagName === "circle") shape.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI);
  if (node.tagName === "rect") shape.rect(number("x"), number("y"), number("width"), number("height"));
  context.globalAlpha = Number(style.fillOpacity);
  context.fill(shape);
  context.globalAlpha = 1;
  if (style.stroke !== "none") context.stroke(shape);

  function number(name) {
    return Number(node.getAttribute(name));
  }
}

// `chartOf` returns the chart, which need not be in the page.
function pictureButtons(name, chartOf) {
  const save = (kind, type, content) =>
    downloadButton(`Download ${kind}`, `${name}.${kind.toLowerCase()}`, type, () => content(chartOf()));
  return [save("PNG", "image/png", pngFile), save("SVG", "image/svg+xml", svgFile)];
}

const figureOf = (chart, name) =>
  el(
    "figure",
    { class: "scroll" },
    chart,
    el("div", { class: "tools" }, pictureButtons(name, () => chart)),
  );

// The distributions of a neuron by label as one chart, best mean first.
function distributionChart(neuron, classes) {
  const left = 126;
  const step = DISTRIBUTION.height + 6;
  const place = (chart, x, y) =>
    svg("g", { transform: `translate(${x} ${y})` }, Array.from(chart.children));
  const text = (content, x, y, kind) => svg("text", { x, y, class: kind }, content);
  const named = (c) => {
    const letters = Array.from(data.classes[c]);
    return letters.length > 18 ? `${letters.slice(0, 17).join("")}…` : data.classes[c];
  };
  const rows = classes.filter((c) => data.class_counts[c]);
  const top = 30;
  const height = top + rows.length * step + 30;
  return drawing(
    left + DISTRIBUTION.width + 12,
    height,
    `Distributions of ${data.neurons[neuron]} by ${data.label}`,
    text(`${data.neurons[neuron]} by ${data.label}`, 8, 18, "title"),
    rows.map((c, i) => [
      text(named(c), 8, top + i * step + DISTRIBUTION.height - 10, "tick"),
      place(distribution(neuron, c), left, top + i * step),
    ]),
    place(distributionAxis(neuron), left, top + rows.length * step),
  );
}
