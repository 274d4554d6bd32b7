// Paged tables that sort when their headers are clicked.

const PAGE = 50;

// `columns` have a title and a value by row, and optionally a cell, a hint and `largestFirst`;
// `pictures` draws the sorted rows as one chart.
function sortableTable({ caption, columns, rows: given, sort, foot, pictures }) {
  // `given` may be an iterator, which can be read only once.
  const rows = Array.from(given);
  const state = { rows, start: 0, column: null, descending: false };
  // Back returns to a table as it was left.
  const left = history.state?.tables?.[caption];
  const body = el("tbody");
  const headers = columns.map((column) => {
    const button = el("button", { type: "button", title: column.hint ?? meaning(column.title) }, column.title);
    return el("th", { scope: "col", class: column.kind }, button);
  });
  const names = namesBox(columns);
  const pager = makePager(state, () => {
    draw();
    remember();
  });

  function draw() {
    const shown = state.rows.slice(state.start, state.start + PAGE);
    names?.update(shown);
    body.replaceChildren(
      ...shown.map((row) =>
        el(
          "tr",
          null,
          columns.map((c) => cellOf(c, row)),
        ),
      ),
    );
    headers.forEach((header, i) => {
      if (i !== state.column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
    });
    pager?.update();
  }

  function remember() {
    const { column, descending, start } = state;
    const tables = { ...history.state?.tables, [caption]: { column, descending, start } };
    keepState({ tables });
  }

  function sortBy(i, descending) {
    Object.assign(state, { column: i, descending, start: 0 });
    state.rows = sorted(rows, columns[i].value, descending);
    draw();
  }

  headers.forEach((header, i) => {
    header.firstChild.addEventListener("click", () => {
      const largestFirst = columns[i].largestFirst ?? false;
      sortBy(i, state.column === i ? !state.descending : largestFirst);
      remember();
    });
  });
  const first = left && left.column !== null ? left : sort;
  if (first && first.column < columns.length) sortBy(first.column, first.descending);
  if (left && left.start < rows.length) state.start = left.start;
  draw();
  const table = el(
    "table",
    null,
    el("caption", null, caption),
    el("thead", null, el("tr", null, headers)),
    body,
    foot && el("tfoot", null, foot),
  );
  const csv = downloadButton("Download CSV", `${caption}.csv`, "text/csv;charset=utf-8", () =>
    csvOf(columns, state.rows),
  );
  const drawn = pictures && pictureButtons(caption, () => pictures(state.rows));
  const tools = el("div", { class: "tools" }, pager?.node, csv, drawn ?? [], names?.node);
  return el("div", { class: "table" }, el("div", { class: "scroll" }, table), tools);
}

// The neurons on this page of a table, to paste into Python; a notebook's frame cannot copy them.
function namesBox(columns) {
  const column = columns.find(({ title }) => title === "Neuron");
  if (!column) return null;
  const box = el("textarea", { readonly: "", rows: 3, "aria-label": "Names as a Python list" });
  box.addEventListener("focus", () => box.select());
  const summary = el("summary", null, "Names for Python");
  return {
    node: el("details", { class: "names" }, summary, box),
    update: (rows) => {
      box.value = `[${rows.map((row) => JSON.stringify(column.value(row))).join(", ")}]`;
    },
  };
}

// All rows in the order shown, with the numbers behind the drawings.
function csvOf(columns, rows) {
  const quoted = (value) => {
    const text = value === null || Number.isNaN(value) ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const kept = columns.filter((column) => column.kind !== "drawing");
  const lines = [kept.map((column) => quoted(column.title))];
  for (const row of rows) lines.push(kept.map((column) => quoted(column.value(row))));
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

// The frame of a notebook allows no downloads.
function downloadButton(title, name, type, content) {
  if (window.parent !== window) return null;
  const button = el("button", { type: "button", class: "download" }, title);
  button.addEventListener("click", async () => {
    const url = URL.createObjectURL(new Blob([await content()], { type }));
    el("a", { href: url, download: name.replace(/[^\p{L}\p{N}.,_ -]+/gu, "_") }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
  return button;
}

// Add to the state of this page in the history.
function keepState(change) {
  history.replaceState({ ...history.state, ...change }, "");
}

function cellOf(column, row) {
  const content = column.cell ? column.cell(row) : column.value(row);
  const shown = typeof content === "number" ? number(content) : content;
  return el("td", { class: column.kind, dir: column.kind ? null : "auto" }, shown);
}

// Missing numbers come last in either direction; equal ones keep their order.
function sorted(rows, value, descending) {
  const keyed = Array.from(rows, (row) => [value(row), row]);
  const isMissing = (key) => key === null || Number.isNaN(key);
  const collator = new Intl.Collator("en", { numeric: true });
  const sign = descending ? -1 : 1;
  keyed.sort(([a], [b]) => {
    if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
    if (typeof a === "string") return sign * collator.compare(a, b);
    return sign * (a - b);
  });
  return keyed.map(([, row]) => row);
}

function makePager(state, draw) {
  if (state.rows.length <= PAGE) return null;
  const lastStart = Math.floor((state.rows.length - 1) / PAGE) * PAGE;
  const status = el("span", { role: "status" });
  const buttons = [
    ["First", () => 0],
    ["Previous", () => state.start - PAGE],
    ["Next", () => state.start + PAGE],
    ["Last", () => lastStart],
  ].map(([title, target]) => {
    const button = el("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      state.start = Math.max(0, Math.min(lastStart, target()));
      draw();
    });
    return button;
  });

  function update() {
    const stop = Math.min(state.start + PAGE, state.rows.length);
    const range = `${integers.format(state.start + 1)}–${integers.format(stop)}`;
    status.textContent = `${range} of ${integers.format(state.rows.length)}`;
    // Not `disabled`, which would move the focus away while somebody presses the key repeatedly.
    buttons.forEach((button, i) => {
      const isEnd = i < 2 ? state.start === 0 : state.start === lastStart;
      button.setAttribute("aria-disabled", isEnd);
    });
  }

  return { node: el("div", { class: "pager" }, buttons, status), update };
}
