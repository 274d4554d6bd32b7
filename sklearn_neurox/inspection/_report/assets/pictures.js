// Charts as files of their own, in the colors of a light page, for papers and slides.

const STYLED = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray"],
  ...["font-size", "font-family", "text-anchor"],
];
// Pixels for each unit of a chart: a chart 16 cm wide then has 220 dots per inch.
const SHARPNESS = 3;

// Call `use` while the page has its light colors; the browser paints nothing in between.
function onPaper(use) {
  document.documentElement.classList.add("paper");
  try {
    return use();
  } finally {
    document.documentElement.classList.remove("paper");
  }
}

// With its computed style, which a file cannot inherit.
function svgFile(chart) {
  const copy = chart.cloneNode(true);
  const nodes = chart.querySelectorAll("*");
  onPaper(() =>
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
  onPaper(() => chart.querySelectorAll("path, circle, rect, text").forEach((node) => draw(context, node)));
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function draw(context, node) {
  const style = getComputedStyle(node);
  context.fillStyle = style.fill === "none" ? "transparent" : style.fill;
  context.strokeStyle = style.stroke === "none" ? "transparent" : style.stroke;
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
  context.stroke(shape);

  function number(name) {
    return Number(node.getAttribute(name));
  }
}

function figureOf(chart, name) {
  const save = (kind, type, content) =>
    downloadButton(`Download ${kind}`, `${name}.${kind.toLowerCase()}`, type, () => content(chart));
  const buttons = [save("PNG", "image/png", pngFile), save("SVG", "image/svg+xml", svgFile)];
  return el("figure", { class: "scroll" }, chart, el("div", { class: "tools" }, buttons));
}
