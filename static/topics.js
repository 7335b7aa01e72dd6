// The list of topics: ticks survive filters and updates. Without this file the form of the ticks does the same.
"use strict";

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
