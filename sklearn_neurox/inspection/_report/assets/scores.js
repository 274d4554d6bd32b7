// The views of ablations and layers, with their charts.

function ablationView() {
  const table = data.tables.ablation;
  const about =
    "Scores of the probe on only some of the neurons, averaged over n folds, draws and repeats; " +
    "the spread is the standard deviation of these scores.";
  const [title, paragraph, numbers] = tableView("Ablation", table, about);
  return [title, paragraph, ablationCharts(table), numbers];
}

const HOW = { retrained: "Probe fitted again", filled: "Other neurons filled" };

// Drawn only for a single pair of probe and ranking; the table has the numbers for more.
function ablationCharts(table) {
  const at = (name) => table.columns.indexOf(name);
  const distinct = (name) =>
    at(name) < 0 ? 1 : new Set(table.rows.map((row) => row[at(name)])).size;
  if (distinct("probe") > 1 || distinct("ranking") > 1) return null;
  if (["which", "fraction", "score"].some((name) => at(name) < 0)) return null;
  const all = table.rows.find((row) => row[at("which")] === "all");
  const points = table.rows
    .filter((row) => CURVE_KINDS.includes(row[at("which")]) && row[at("score")] !== null)
    .map((row) => [row, at("spread") < 0 ? null : row[at("spread")]])
    .map(([row, spread]) => ({
      which: row[at("which")],
      fraction: row[at("fraction")],
      score: row[at("score")],
      low: spread === null ? null : row[at("score")] - spread,
      high: spread === null ? null : row[at("score")] + spread,
      fill: row[at("fill")] ?? "",
      how: row[at("retrained")] === "yes" ? "retrained" : "filled",
    }));
  const levels = all ? [["all neurons", all[at("score")]]] : [];
  const chance = baselineScores().find(([name]) => name === "majority");
  if (chance) levels.push(["majority", chance[1]]);
  const ends = points.flatMap(({ score, low, high }) => [score, low ?? score, high ?? score]);
  const scores = [...ends, ...levels.map(([, score]) => score)];
  const panels = Object.keys(HOW).map((how) => {
    const own = points.filter((point) => point.how === how);
    return own.length
      ? el("section", null, el("h3", null, HOW[how]), figureOf(ablationCurves(own, levels, scores), how))
      : null;
  });
  return points.length ? el("div", { class: "panels" }, panels) : null;
}

// The names and scores of the baselines, without the probe itself.
function baselineScores() {
  const table = data.tables.baselines;
  if (!table) return [];
  const [name, score] = ["name", "score"].map((column) => table.columns.indexOf(column));
  return table.rows
    .filter((row) => row[name] !== "probe" && row[score] !== null)
    .map((row) => [row[name], row[score]]);
}

function layersView() {
  const table = data.tables.layer_profile;
  const [title, numbers] = tableView("Layers", table).filter(Boolean);
  return [title, layerChart(table), numbers];
}

// The score of each layer, drawn if the table has numbered layers and their scores.
function layerChart(table) {
  const at = (name) => table.columns.indexOf(name);
  if (["layer", "score"].some((name) => at(name) < 0 || !table.numeric[at(name)])) return null;
  const points = table.rows
    .filter((row) => row[at("layer")] !== null && row[at("score")] !== null)
    .map((row) => ({
      component: at("component") < 0 ? "" : row[at("component")],
      layer: row[at("layer")],
      score: row[at("score")],
      low: at("low") < 0 ? null : row[at("low")],
      high: at("high") < 0 ? null : row[at("high")],
    }));
  return points.length ? figureOf(layerCurves(points, baselineScores(), table.confidence), "layers") : null;
}
