// The map: a node under the pointer, or with the focus, lights everything that flows to it and from it.
"use strict";

(function () {
  let lit = null;

  function along(edges, start, from, to) {
    const seen = new Set([start]);
    const waiting = [start];
    while (waiting.length) {
      const here = waiting.pop();
      for (const edge of edges) {
        if (edge.dataset[from] === here && !seen.has(edge.dataset[to])) {
          seen.add(edge.dataset[to]);
          waiting.push(edge.dataset[to]);
        }
      }
    }
    return seen;
  }

  function light() {
    const svg = document.querySelector(".map svg");
    if (!svg) return;
    const edges = [...svg.querySelectorAll(".edge")];
    const after = lit && along(edges, lit, "from", "to");
    const before = lit && along(edges, lit, "to", "from");
    svg.classList.toggle("lit", Boolean(lit));
    for (const node of svg.querySelectorAll(".node")) {
      const id = node.dataset.node;
      node.classList.toggle("on", Boolean(lit) && (after.has(id) || before.has(id)));
    }
    for (const edge of edges) {
      const { from, to } = edge.dataset;
      edge.classList.toggle("on", Boolean(lit) && ((after.has(from) && after.has(to)) || (before.has(from) && before.has(to))));
    }
  }

  function choose(event) {
    const node = event.target.closest && event.target.closest(".map .node");
    const id = node ? node.dataset.node : null;
    if (id === lit) return;
    lit = id;
    light();
  }

  document.addEventListener("pointerover", choose);
  document.addEventListener("focusin", choose);
  // A new drawing has no lights yet.
  document.body.addEventListener("htmx:oobAfterSwap", light);
})();
