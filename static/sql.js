// SQL: Ctrl+Enter, names put into the query, the place of a mistake, and the chart of the table.
"use strict";

(function () {
  const query = document.getElementById("query");
  const form = document.getElementById("sql-form");
  if (!query) return;

  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  if (query.dataset.position) {
    const at = Number(query.dataset.position);
    query.focus();
    query.setSelectionRange(at, Math.min(query.value.length, at + 1));
  } else if (!query.value) {
    query.focus();
  }

  const plain = (name) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
  const show = (place) => place.querySelectorAll(".insert[hidden]").forEach((button) => { button.hidden = false; });
  show(document);
  document.body.addEventListener("htmx:afterSwap", (event) => show(event.detail.target));
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".insert");
    if (!button) return;
    const start = query.selectionStart;
    const before = query.value.slice(0, start);
    const space = before && !/[\s(.,]$/.test(before) ? " " : "";
    query.setRangeText(space + plain(button.dataset.insert), start, query.selectionEnd, "end");
    query.focus();
  });

  // The chart: x is the first column, a time where it reads as one, a number, or the place in the table.
  const place = document.getElementById("sql-chart");
  const table = document.getElementById("sql-rows");
  if (!place || !table) return;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
  const series = table.dataset.series.split(" ").map(Number);
  const number = (text) => (text === "" || text === "NULL" ? null : Number(text));
  const iso = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?$/;
  const labels = rows.map((row) => row[0]);
  const times = labels.every((text) => iso.test(text));
  const numbers = !times && labels.every((text) => text !== "" && Number.isFinite(Number(text)));
  const at = (text, index) =>
    times ? Date.parse(text.replace(" ", "T").replace(/^(.{10}T[\d:.]+)$/, "$1Z")) / 1000 : numbers ? Number(text) : index;
  let points = rows.map((row, index) => [at(row[0], index), ...series.map((column) => number(row[column]))]);
  if (times || numbers) points = points.sort((a, b) => a[0] - b[0]);
  const columns = [0, ...series].map((_, column) => points.map((point) => point[column]));
  const room = Math.max(4, Math.floor(place.clientWidth / Math.max(1, Math.min(rows.length, place.clientWidth / 56)) / 7));
  const short = (text) => (text.length > room ? `${text.slice(0, room - 1)}…` : text);
  function clock(seconds) {
    const text = new Date(seconds * 1000).toISOString();
    return seconds % 86400 ? text.slice(11, seconds % 60 ? 19 : 16) : text.slice(0, 10);
  }
  let chart = null;

  function draw() {
    if (chart) chart.destroy();
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") }, font: "11px system-ui" };
    const bars = !times && !numbers;
    const x = { ...axis, space: bars ? 56 : 80 };
    if (times) x.values = (_, ticks) => ticks.map(clock);
    if (bars) x.values = (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) && labels[tick] !== undefined ? short(labels[tick]) : ""));
    chart = new uPlot({
      width: place.clientWidth || 600,
      height: 240,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { live: false },
      cursor: { drag: { x: false, y: false } },
      scales: {
        x: { time: times, range: bars ? [-0.6, rows.length - 0.4] : undefined },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 0) > 0 ? high * 1.08 : 1] },
      },
      axes: [x, { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) }],
      series: [
        { label: heads[0] },
        ...series.map((column, index) => ({
          label: heads[column],
          stroke: style(`--p${index}`),
          fill: bars ? style(`--p${index}`) : undefined,
          paths: bars ? uPlot.paths.bars({ size: [0.6, 60] }) : undefined,
          width: 1.5,
          points: { show: !bars && rows.length < 60 },
        })),
      ],
    }, columns, place);
  }
  draw();
  document.addEventListener("sandbox:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: 240 })).observe(place);
})();
