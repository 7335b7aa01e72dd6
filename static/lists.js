// Long lists: rows stay where they are while figures change, and filters work while they are typed. Without this file the
// links and forms do the same.
"use strict";

// Sorted by something that changes: rows stay in their order, and new ones come at the end.
(function () {
  const table = () => document.querySelector("table.sticky");
  let order = new Map();
  const rows = () => [...table().querySelectorAll("tbody tr")];
  function remember() {
    order = new Map(table() && table().dataset.sort !== "name" ? rows().map((row, index) => [row.id, index]) : []);
  }
  remember();
  document.body.addEventListener("htmx:afterSwap", remember);
  document.addEventListener("sandbox:live", () => {
    if (!table() || table().dataset.sort === "name") return;
    const now = rows();
    now.forEach((row) => { if (!order.has(row.id)) order.set(row.id, order.size); });
    const wanted = [...now].sort((a, b) => order.get(a.id) - order.get(b.id));
    if (wanted.every((row, index) => row === now[index])) return;
    const focused = document.activeElement;
    wanted.forEach((row) => row.parentNode.append(row));
    if (focused && focused !== document.activeElement && wanted.some((row) => row.contains(focused))) focused.focus({ preventScroll: true });
  });
})();

// The address is that of what is shown.
document.querySelector("form.list-filter")?.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  const form = event.currentTarget;
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  history.replaceState(null, "", String(query) ? `${form.action}?${query}` : form.action);
});
