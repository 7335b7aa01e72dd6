// The lag chart of one group: its history once, then what the live table shows. The table stays the truth.
"use strict";

(function () {
  const place = document.getElementById("lag-chart");
  if (!place) return;
  const inTime = place.dataset.unit === "time";
  const rangeMs = Number(place.dataset.rangeMs) || Infinity;
  const POINTS_MAX = 2000;
  const HEIGHT = 216;
  const BUTTONS_MAX = 24;
  const key = document.getElementById("lag-series");
  const hiddenLines = new Set();
  let chart = null;
  let names = [];
  let columns = [];
  let marks = [];
  let story = "";
  let keepEveryMs = 0;
  let keptMs = 0;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const id = (topic, partition) => `${topic}-${partition}`;
  const live = () => document.getElementById("live");
  const lagOf = (point) => (inTime ? (point.lag_ms === null ? null : point.lag_ms / 1000) : point.lag);

  function take(answer) {
    names = answer.partitions;
    marks = answer.marks;
    const times = [...new Set(answer.points.map((point) => point.at_ms))].sort((a, b) => a - b);
    const at = new Map(times.map((time, index) => [time, index]));
    const column = new Map(names.map((name) => [id(name.topic, name.partition), times.map(() => null)]));
    for (const point of answer.points) {
      const values = column.get(id(point.topic, point.partition));
      if (values) values[at.get(point.at_ms)] = lagOf(point);
    }
    columns = [times.map((time) => time / 1000), ...column.values()];
    const length = times.length > 1 ? times[times.length - 1] - times[0] : 0;
    keepEveryMs = Math.min(rangeMs, Math.max(length, 60000)) / 600;
    keptMs = times.length ? times[times.length - 1] : 0;
  }

  const two = (number) => String(number).padStart(2, "0");
  // The zone in which the page shows times. "local" is this browser's.
  const zone = document.documentElement.dataset.zone || "Etc/UTC";
  const inZone = (seconds) => (zone === "local" ? new Date(seconds * 1000) : uPlot.tzDate(new Date(seconds * 1000), zone));
  function clock(seconds, spanS) {
    const at = inZone(seconds);
    const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
    if (spanS > 4 * 86400) return day;
    if (minutes === "00:00" && seconds % 60 === 0) return day;
    return seconds % 60 ? `${minutes}:${two(at.getSeconds())}` : minutes;
  }
  function lasted(seconds) {
    if (seconds >= 86400) return `${+(seconds / 86400).toFixed(1)} d`;
    if (seconds >= 3600) return `${+(seconds / 3600).toFixed(1)} h`;
    if (seconds >= 60) return `${+(seconds / 60).toFixed(1)} min`;
    return `${+seconds.toFixed(1)} s`;
  }

  function drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const mark of marks) {
      const x = Math.round(plot.valToPos(mark.at_ms / 1000, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const rebalance = mark.kind === "rebalance";
      ctx.strokeStyle = style(rebalance ? "--line-strong" : "--bad");
      ctx.lineWidth = (rebalance ? 1 : 2) * devicePixelRatio;
      ctx.setLineDash(rebalance ? [3 * devicePixelRatio, 3 * devicePixelRatio] : []);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function draw() {
    if (chart) chart.destroy();
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") }, font: "11px system-ui" };
    const tick = (value) => (inTime ? lasted(value) : Number.isInteger(value) ? value.toLocaleString("en") : "");
    const span = () => columns[0].length > 1 ? columns[0][columns[0].length - 1] - columns[0][0] : 0;
    chart = new uPlot({
      width: place.clientWidth || 600,
      height: HEIGHT,
      tzDate: inZone,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, 5) * 1.08] } },
      axes: [
        { ...axis, size: 34, space: 80, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800, 2592000], values: (_, ticks) => ticks.map((at) => clock(at, span())) },
        { ...axis, size: 66, incrs: inTime ? [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800] : undefined, values: (_, ticks) => ticks.map(tick) },
      ],
      hooks: { draw: [drawMarks] },
      series: [
        { label: "Time" },
        ...names.map((name) => ({
          label: `${name.topic} ${name.partition}`,
          stroke: style(`--p${name.partition % 12}`),
          width: 1.5,
          spanGaps: true,
          points: { show: false },
          show: !hiddenLines.has(id(name.topic, name.partition)),
        })),
      ],
    }, columns, place);
    offer();
  }

  // A button for each line shows and hides it.
  function offer() {
    key.replaceChildren(...(names.length > BUTTONS_MAX ? [] : names).map((name, index) => {
      const line = id(name.topic, name.partition);
      const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: `${name.topic} ${name.partition}` });
      button.style.setProperty("--line-color", style(`--p${name.partition % 12}`));
      button.setAttribute("aria-pressed", String(!hiddenLines.has(line)));
      button.addEventListener("click", () => {
        if (!hiddenLines.delete(line)) hiddenLines.add(line);
        button.setAttribute("aria-pressed", String(!hiddenLines.has(line)));
        chart.setSeries(index + 1, { show: !hiddenLines.has(line) });
      });
      return button;
    }));
  }

  // A point for every look would fill a day's chart within minutes: the newest stands until its share of time is over.
  function follow() {
    if (live().dataset.story !== story) return start();
    const rows = new Map([...document.querySelectorAll("#lag-table tbody tr")].map((row) => [row.id.slice(2), row]));
    const now = Date.now();
    if (now - keptMs < keepEveryMs && columns[0].length > 1) columns.forEach((column) => column.pop());
    else keptMs = now;
    columns[0].push(now / 1000);
    names.forEach((name, index) => {
      const row = rows.get(id(name.topic, name.partition));
      const text = row ? (inTime ? row.dataset.age : row.dataset.lag) : "";
      columns[index + 1].push(text === "" ? null : inTime ? Number(text) / 1000 : Number(text));
    });
    let old = 0;
    while (columns[0].length - old > POINTS_MAX || columns[0][old] * 1000 < now - rangeMs) old += 1;
    if (old) columns.forEach((column) => column.splice(0, old));
    if (chart) chart.setData(columns);
  }

  let starting = false;
  async function start() {
    if (starting) return;
    starting = true;
    try {
      story = live().dataset.story;
      take(await (await fetch(place.dataset.history)).json());
      draw();
    } finally {
      starting = false;
    }
  }

  document.addEventListener("sandbox:live", () => { if (chart) follow(); });
  document.addEventListener("sandbox:theme", () => { if (chart) draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (chart) draw(); });
  new ResizeObserver(() => { if (chart) chart.setSize({ width: place.clientWidth, height: HEIGHT }); }).observe(place);
  start();
})();
