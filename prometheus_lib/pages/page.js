"use strict";
// One script for all pages: tables that sort, filter, tell more and are saved as CSV; lists that filter; printing.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- filters: a search field, and perhaps a choice, that hide items ------------------------------------------------
  for (const box of all("[data-filters]")) {
    const items = all(box.dataset.filters), search = box.querySelector("input"), choice = box.querySelector("select");
    const texts = items.map(item => item.textContent.toLowerCase());
    const apply = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean), wanted = choice ? choice.value : "";
      items.forEach((item, place) => {
        item.hidden = !words.every(word => texts[place].includes(word)) || (wanted && item.dataset.choice !== wanted);
      });
      box.querySelector("[role=status]").textContent = items.filter(item => !item.hidden).length + " of " + items.length;
    };
    for (const field of [search, choice]) field?.addEventListener("input", apply);
    apply();
  }

  // --- sorting: numbers by their value, texts as people count, what is empty always last -----------------------------
  const value = cell => "number" in cell.dataset ? Number(cell.dataset.number) : cell.textContent.trim();
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b, undefined, { numeric: true });
  const empty = text => text === "" || text === "-";
  for (const table of all("table")) all("thead th button", table).forEach((button, column) => {
    button.addEventListener("click", () => {
      const head = button.parentElement, down = head.getAttribute("aria-sort") === "ascending";
      all("thead th", table).forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...table.tBodies[0].rows].map(row => [value(row.cells[column]), row]);
      const [blank, full] = [keyed.filter(each => empty(each[0])), keyed.filter(each => !empty(each[0]))];
      full.sort((one, two) => (down ? -1 : 1) * order(one[0], two[0]));
      table.tBodies[0].append(...[...full, ...blank].map(each => each[1]));
    });
  });

  // --- CSV: the whole table, made here, so that no server is asked ---------------------------------------------------
  for (const button of all("[data-csv]")) button.addEventListener("click", () => {
    const text = JSON.parse(document.getElementById(button.dataset.csv).textContent);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = button.dataset.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  // --- more about a cell: pointed at, focused or tapped; Escape closes; arrow keys go from cell to cell --------------
  const tip = Object.assign(document.createElement("div"), { id: "tip", hidden: true });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let told = null;
  const hide = () => { told?.removeAttribute("aria-describedby"); told = null; tip.hidden = true; };
  const tell = cell => {
    hide();
    told = cell;
    tip.textContent = [cell.dataset.interval && "95 % interval " + cell.dataset.interval, cell.dataset.more]
      .filter(Boolean).join("; ");
    tip.hidden = false;
    cell.setAttribute("aria-describedby", "tip");
    const at = cell.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const below = at.bottom + own.height < innerHeight;
    tip.style.left = Math.max(4, Math.min(at.left, document.documentElement.clientWidth - own.width - 4)) + "px";
    tip.style.top = (below ? at.bottom - 1 : Math.max(4, at.top - own.height + 1)) + "px";
  };
  const telling = "td[data-more], td[data-interval]";
  const over = event => { const cell = event.target.closest?.(telling); if (cell && cell !== told) tell(cell); };
  document.addEventListener("pointermove", over);  // not pointerover: what scrolls under a resting pointer is not meant
  document.addEventListener("focusin", over);
  document.addEventListener("pointerout", event => {
    const to = event.relatedTarget;
    if (told && to !== tip && !told.contains(to) && document.activeElement !== told) hide();
  });
  document.addEventListener("focusout", hide);
  addEventListener("scroll", () => told && told === document.activeElement ? tell(told) : hide(), true);
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") hide();
    const cell = document.activeElement?.closest?.(telling), move = step[event.key];
    if (!cell || !move) return;
    const rows = [...cell.closest("tbody").rows].filter(row => !row.hidden);
    let [row, column] = [rows.indexOf(cell.parentElement), cell.cellIndex], next;
    do { row += move[0]; column += move[1]; next = rows[row]?.cells[column]; } while (next && !next.matches(telling));
    if (next) { event.preventDefault(); next.focus(); }
  });
  for (const table of all("table")) all(telling, table).forEach((cell, place) => { cell.tabIndex = place ? -1 : 0; });

  // --- what is folded opens for whoever comes by a link, and for paper -----------------------------------------------
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) { if (at.tagName === "DETAILS") at.open = true; at.hidden = false; }
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach(each => { each.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach(each => { each.open = false; }));
})();
