// Tables are sorted by a click on a head: once, the other way round, and back as they were.
const text = (cell) => cell.dataset.value ?? cell.textContent.trim();
const numeric = (rows, column) => rows.some((row) => "value" in row.cells[column].dataset);

function sort(body, rows, column, direction) {
  const asNumbers = numeric(rows, column);
  const compare = (one, other) => {
    const [a, b] = [text(one.cells[column]), text(other.cells[column])];
    if (!a || !b) return !a - !b; // what has no value comes last, in either direction
    return direction * (asNumbers ? a - b : a.localeCompare(b, "en", { numeric: true }));
  };
  body.append(...(direction ? [...rows].sort(compare) : rows));
}

for (const table of document.querySelectorAll("table")) {
  const [body] = table.tBodies;
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (rows.length < 3 || !head.textContent) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = numeric(rows, column) ? -1 : 1; // of numbers, the largest
      const now = { ascending: 1, descending: -1 }[head.ariaSort] ?? 0;
      const next = now === 0 ? first : now === first ? -first : 0;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next) head.ariaSort = next > 0 ? "ascending" : "descending";
      table.classList.toggle("sorted", next !== 0); // lines between groups would mislead
      sort(body, rows, column, next);
    });
  });
}

// A figure as a file of its own is drawn in the inks of light paper.
for (const link of document.querySelectorAll("a.svg")) {
  link.hidden = false;
  link.href = "#";
  link.addEventListener("click", () => {
    const drawing = link.closest("figure").querySelector("svg");
    const source = new XMLSerializer().serializeToString(drawing);
    const inked = source.replace(/var\(--(\w+)\)/g, (_, ink) => INKS[ink]);
    const url = URL.createObjectURL(new Blob([inked], { type: "image/svg+xml" }));
    link.href = url;
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  });
}
