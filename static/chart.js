// The lag chart of one group: its history once, then what the live table shows. The table stays the truth.
"use strict";

(function () {
  const place = document.getElementById("lag-chart");
  if (!place) return;
  const KEPT_MS = 15 * 60 * 1000;
  const POINTS_MAX = 4000;
  let chart = null;
  let names = [];
  let columns = [];
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const id = (topic, partition) => `${topic}-${partition}`;

  function take(points) {
    const times = [...new Set(points.map((point) => point.at_ms))].sort((a, b) => a - b);
    const at = new Map(times.map((time, index) => [time, index]));
    const column = new Map(names.map((name) => [id(name.topic, name.partition), times.map(() => null)]));
    for (const point of points) {
      const values = column.get(id(point.topic, point.partition));
      if (values) values[at.get(point.at_ms)] = point.lag;
    }
    columns = [times.map((time) => time / 1000), ...column.values()];
    const first = times.findIndex((_, index) => columns.slice(1).some((values) => values[index] !== null));
    if (first > 1) columns.forEach((values) => values.splice(0, first - 1));
  }

  function clock(seconds) {
    const text = new Date(seconds * 1000).toISOString();
    return seconds % 60 ? text.slice(11, 19) : text.slice(11, 16);
  }

  function draw() {
    if (chart) chart.destroy();
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") }, font: "11px system-ui" };
    chart = new uPlot({
      width: place.clientWidth || 600,
      height: 200,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { live: false, show: names.length <= 24 },
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, 5) * 1.08] } },
      axes: [{ ...axis, space: 80, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400], values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => Number.isInteger(tick) ? tick.toLocaleString("en") : "") }],
      series: [
        { label: "Time" },
        ...names.map((name) => ({
          label: `${name.topic} ${name.partition}`,
          stroke: style(`--p${name.partition % 12}`),
          width: 1.5,
          spanGaps: true,
          points: { show: false },
        })),
      ],
    }, columns, place);
  }

  function follow() {
    const rows = new Map([...document.querySelectorAll("#lag-table tbody tr")].map((row) => [row.id.slice(2), row]));
    if (rows.size !== names.length) return start();
    const now = Date.now();
    columns[0].push(now / 1000);
    names.forEach((name, index) => {
      const row = rows.get(id(name.topic, name.partition));
      columns[index + 1].push(!row || row.dataset.lag === "" ? null : Number(row.dataset.lag));
    });
    let old = 0;
    while (columns[0].length - old > POINTS_MAX || columns[0][old] * 1000 < now - KEPT_MS) old += 1;
    if (old) columns.forEach((column) => column.splice(0, old));
    if (chart) chart.setData(columns);
  }

  let starting = false;
  async function start() {
    if (starting) return;
    starting = true;
    try {
      const answer = await (await fetch(place.dataset.history)).json();
      names = answer.partitions;
      take(answer.points);
      draw();
    } finally {
      starting = false;
    }
  }

  document.addEventListener("sandbox:live", () => { if (chart) follow(); });
  document.addEventListener("sandbox:theme", () => { if (chart) draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (chart) draw(); });
  new ResizeObserver(() => { if (chart) chart.setSize({ width: place.clientWidth, height: 200 }); }).observe(place);
  start();
})();
