// The list of topics: rows stay where they are while figures change, ticks survive filters and updates, the filter works
// while it is typed. Without this file the page's links and forms do the same.
"use strict";

// Sorted by something that changes: rows stay in their order, and new ones come at the end.
(function () {
  const table = document.querySelector("table.topics");
  if (!table || table.dataset.sort === "name") return;
  const rows = () => [...document.querySelectorAll("table.topics tbody tr")];
  const order = new Map(rows().map((row, index) => [row.id, index]));
  document.addEventListener("sandbox:live", () => {
    const now = rows();
    now.forEach((row) => { if (!order.has(row.id)) order.set(row.id, order.size); });
    const wanted = [...now].sort((a, b) => order.get(a.id) - order.get(b.id));
    if (wanted.every((row, index) => row === now[index])) return;
    const focused = document.activeElement;
    wanted.forEach((row) => row.parentNode.append(row));
    if (focused && focused !== document.activeElement && wanted.some((row) => row.contains(focused))) focused.focus({ preventScroll: true });
  });
})();

// Ticked topics, by name: a filter or another update may take their rows away for a while.
(function () {
  const form = document.getElementById("selection");
  if (!form) return;
  const picked = new Set();
  const boxes = () => [...document.querySelectorAll('table.topics input[name="topic"]')];
  const said = document.getElementById("picked");
  function show() {
    const shown = boxes();
    shown.forEach((box) => { box.checked = picked.has(box.value); });
    const away = picked.size - shown.filter((box) => box.checked).length;
    const text = picked.size ? `${picked.size} selected${away ? `, ${away} not shown` : ""}:` : said.dataset.none;
    if (said.textContent !== text) said.textContent = text;
    form.querySelectorAll("button").forEach((button) => {
      button.disabled = !picked.size;
      button.title = picked.size ? "" : "Select topics in the list first";
    });
    const all = document.getElementById("pick-all");
    if (all) {
      all.checked = shown.length > 0 && shown.every((box) => box.checked);
      all.indeterminate = !all.checked && shown.some((box) => box.checked);
    }
  }
  document.addEventListener("change", (event) => {
    const box = event.target;
    if (box.id === "pick-all") boxes().forEach((one) => (box.checked ? picked.add(one.value) : picked.delete(one.value)));
    else if (box.name === "topic" && box.form === form) box.checked ? picked.add(box.value) : picked.delete(box.value);
    else return;
    show();
  });
  form.addEventListener("submit", () => {
    const there = new Set(boxes().map((box) => box.value));
    form.querySelectorAll("input.away").forEach((input) => input.remove());
    for (const name of picked) {
      if (!there.has(name)) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "topic", value: name, className: "away" }));
    }
  });
  // After Back the browser may have kept the ticks.
  addEventListener("pageshow", () => {
    boxes().filter((box) => box.checked).forEach((box) => picked.add(box.value));
    show();
  });
  document.addEventListener("sandbox:live", show);
  document.body.addEventListener("htmx:afterSwap", show);
  show();
})();

// The filter is applied while it is typed; the address is that of what is shown.
document.getElementById("filter")?.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  const query = new URLSearchParams(new FormData(event.target.form));
  if (!query.get("q")) query.delete("q");
  const path = `${document.documentElement.dataset.base || ""}/topics`;
  history.replaceState(null, "", String(query) ? `${path}?${query}` : path);
});
