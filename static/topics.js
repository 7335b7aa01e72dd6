// The list of topics, sorted by something that changes: rows stay where they are, and new ones come at the end.
"use strict";

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

// The filter is at work while it is typed; the address is that of what is shown.
document.getElementById("filter")?.addEventListener("htmx:afterRequest", (event) => {
  if (!event.detail.successful) return;
  const query = new URLSearchParams(new FormData(event.target.form));
  if (!query.get("q")) query.delete("q");
  const path = `${document.documentElement.dataset.base || ""}/topics`;
  history.replaceState(null, "", String(query) ? `${path}?${query}` : path);
});
