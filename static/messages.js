// The Messages page: a brush over the histogram, ticks that stay, and what the tail skipped. Without this file the
// since and until fields, the table of the bars and the form of the ticks do the same.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const live = () => document.getElementById("live");

  // An order that is chosen replaces the sorting by a column.
  document.querySelectorAll('#filters input[name="order"]').forEach((radio) => {
    radio.addEventListener("change", () => document.querySelector('#filters input[name="sort"]')?.remove());
  });

  // The brush. What is drawn lies over the page, where a swap does not touch it.
  let drag = null;
  const zone = document.documentElement.dataset.zone ? "Z" : "";
  const written = (ms) => new Date(ms).toISOString().replace("T", " ").replace("Z", zone).replace(".000", "");
  function shape(to) {
    const left = Math.max(drag.box.left, Math.min(drag.at, to));
    const right = Math.min(drag.box.right, Math.max(drag.at, to));
    Object.assign(drag.node.style, { left: `${left}px`, width: `${right - left}px`, top: `${drag.box.top}px`, height: `${drag.box.height}px` });
    return [left, right].map((x) => (x - drag.box.left) / drag.box.width);
  }
  document.addEventListener("pointerdown", (event) => {
    const bars = event.target.closest(".volume .bars");
    if (!bars || event.button !== 0) return;
    const figure = bars.closest(".volume");
    event.preventDefault();
    drag = {
      at: event.clientX,
      box: bars.getBoundingClientRect(),
      from: Number(figure.dataset.from),
      until: Number(figure.dataset.until),
      count: bars.viewBox.baseVal.width,
      node: document.body.appendChild(Object.assign(document.createElement("div"), { className: "brush" })),
    };
    shape(event.clientX);
  });
  document.addEventListener("pointermove", (event) => { if (drag) shape(event.clientX); });
  function drop() {
    drag.node.remove();
    drag = null;
  }
  document.addEventListener("pointercancel", () => { if (drag) drop(); });
  document.addEventListener("keydown", (event) => { if (drag && event.key === "Escape") drop(); });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const [low, high] = shape(event.clientX);
    const { from, until, count } = drag;
    drop();
    // Whole bars: from the edge before the press to the edge after the release.
    const width = (until - from) / count;
    const first = Math.min(Math.floor(low * count), count - 1);
    const last = Math.max(Math.ceil(high * count), first + 1);
    const address = new URL(location.href);
    address.searchParams.delete("cursor");
    address.searchParams.set("since", written(from + first * width));
    address.searchParams.set("until", written(from + last * width));
    location.assign(address);
  });

  // Ticks. A ticked row stays where its reader can find it, as an opened one does.
  const boxes = () => [...document.querySelectorAll('.messages input[name="event"][form="selection"]')];
  const all = () => document.getElementById("pick-all");
  function tell() {
    const ticked = boxes().filter((box) => box.checked);
    const said = document.getElementById("picked");
    if (said) said.textContent = ticked.length ? `${ticked.length} ticked` : said.dataset.none;
    document.querySelectorAll(".pickbar button").forEach((button) => {
      button.disabled = !ticked.length;
      button.title = ticked.length ? "" : "Select events first";
    });
    if (all()) {
      // The form without scripts sends "all"; here each box speaks for itself.
      all().removeAttribute("name");
      all().checked = ticked.length > 0 && ticked.length === boxes().length;
    }
  }
  document.addEventListener("change", (event) => {
    if (event.target.id === "pick-all") boxes().forEach((box) => { box.checked = event.target.checked; });
    else if (event.target.name !== "event") return;
    boxes().forEach((box) => box.closest("tbody").classList.toggle("is-picked", box.checked));
    tell();
  });

  // What the tail skipped: events that came and went between two swaps.
  let mark = Number((live() || { dataset: {} }).dataset.mark || 0);
  let skipped = 0;
  function count(refetched) {
    const view = live();
    if (!view || !view.dataset.tail) return;
    const fresh = refetched ? 0 : Number(view.dataset.mark) - mark;
    mark = Number(view.dataset.mark);
    const rows = boxes().length;
    if (fresh > rows && rows) skipped += fresh - rows;
    const said = document.getElementById("skipped");
    if (said && skipped) said.textContent = `${skipped.toLocaleString("en")} went by between two updates: they are in the log, further down`;
  }
  // Choosing columns goes on after each choice.
  const columns = document.getElementById("columns");
  if (columns && location.hash === "#columns") columns.open = true;

  document.addEventListener("sandbox:live", (event) => {
    if (event.detail.held) return;
    count(event.detail.refetched);
    tell();
  });
  tell();
});
