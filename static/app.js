// What the page does in the browser. Everything else is HTML: without this file the pages, links and forms still work.
"use strict";

(function () {
  const byId = (id) => document.getElementById(id);
  const base = document.documentElement.dataset.base || "";
  document.documentElement.classList.add("scripts");

  // An event opens below its row. Without scripts its offset is a link to its page.
  function shut(row) {
    row.classList.remove("is-open");
    row.querySelector(".detail").remove();
    row.querySelector("a.open").setAttribute("aria-expanded", "false");
    // What came for it meanwhile was left out.
    document.dispatchEvent(new CustomEvent("sandbox:refetch"));
  }
  async function fill(cell, address) {
    const html = await (await fetch(address, { headers: { "HX-Request": "true" } })).text();
    // The rows below move down: not while a pointer is pressed on one of them.
    await window.sandbox.pressEnded();
    htmx.swap(cell, html, { swapStyle: "innerHTML" });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("tbody.event a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const row = link.closest("tbody.event");
    if (row.classList.contains("is-open")) return shut(row);
    const detail = row.insertRow();
    detail.className = "detail";
    detail.insertCell().colSpan = row.rows[0].cells.length;
    row.classList.add("is-open");
    link.setAttribute("aria-expanded", "true");
    fill(detail.cells[0], `${link.getAttribute("href")}?inline=1`).catch(() => row.contains(detail) && shut(row));
  });
  document.addEventListener("click", (event) => {
    const row = event.target.closest(".messages .event > tr:first-child");
    if (!row || event.target.closest("a, button, input") || String(getSelection())) return;
    row.querySelector("a.open").click();
  });

  // A refusal is worth showing although it has an error status.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400 && event.detail.xhr.status < 600) event.detail.shouldSwap = true;
  });

  // Copy.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button || button.dataset.fold) return;
    let text = button.dataset.copyText || "";
    if (button.dataset.absolute) text = new URL(base + text, location.href).href;
    if (button.dataset.copy) text = document.querySelector(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const label = button.textContent;
    if (button.dataset.done) return;
    button.dataset.done = "1";
    button.textContent = "Copied";
    setTimeout(() => { delete button.dataset.done; button.textContent = label; }, 1200);
  });

  // Fold the objects and arrays of a value, or unfold them.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]");
    if (!button) return;
    const parts = document.querySelectorAll(`${button.dataset.fold} details`);
    const open = ![...parts].some((part) => part.open);
    parts.forEach((part) => { part.open = open; });
    button.textContent = open ? "Fold all" : "Unfold all";
  });

  // Relative time, on hover and on focus.
  function ago(ms) {
    const past = Date.now() - ms;
    const steps = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
    const [size, unit] = steps.find(([size]) => Math.abs(past) >= size) || [1, "ms"];
    return past >= 0 ? `${Math.floor(past / size)} ${unit} ago` : `in ${Math.floor(-past / size)} ${unit}`;
  }
  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest && event.target.closest("time[data-ms]");
    if (time) time.title = ago(Number(time.dataset.ms));
  });

  // Theme: at once, without a page load.
  const theme = byId("theme");
  theme.addEventListener("click", (event) => {
    event.preventDefault();
    const order = ["auto", "light", "dark"];
    const now = theme.value;
    const next = order[(order.indexOf(now) + 1) % 3];
    document.cookie = `theme=${now}; path=/; max-age=31536000; samesite=strict`;
    document.documentElement.dataset.theme = now;
    document.querySelector('meta[name="color-scheme"]').content = now === "auto" ? "light dark" : now;
    theme.querySelector(".theme-word").textContent = now;
    theme.value = next;
    theme.title = `Theme: ${now}. Press for ${next}.`;
    document.dispatchEvent(new CustomEvent("sandbox:theme"));
  });

  // The language of shown programs is the one chosen last, on every page that has it.
  const choose = (root) => {
    const wanted = localStorage.getItem("language");
    const box = wanted && root.querySelector(`.tabset input[value="${CSS.escape(wanted)}"]`);
    if (box) box.checked = true;
  };
  document.querySelectorAll(".tabset").forEach((set) => choose(set.parentNode));
  document.body.addEventListener("htmx:afterSwap", () => choose(document));
  document.addEventListener("change", (event) => {
    if (event.target.closest(".tabset")) localStorage.setItem("language", event.target.value);
  });

  // Local time is the browser's zone; only it knows the name.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#zone");
    if (button && button.value === "local") button.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "local";
  });

  // Where the pages' names have no room, the one that is open is in sight.
  const open = document.querySelector(".bar-row nav [aria-current]");
  if (open) open.parentNode.scrollLeft = open.offsetLeft - open.parentNode.offsetLeft - 40;

  // The tab's title begins with the number of groups whose alert fires.
  document.addEventListener("sandbox:live", () => {
    const badge = document.querySelector("#where [data-alerts]");
    const title = (badge ? `(${badge.dataset.alerts}) ` : "") + document.title.replace(/^\(\d+\) /, "");
    if (document.title !== title) document.title = title;
  });

  // The headings of long lists stick below the header, whatever its height.
  const header = document.querySelector("header.top");
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--top-height", `${header.offsetHeight}px`);
  }).observe(header);

  // Keys.
  const dialog = byId("keys");
  byId("keys-button").addEventListener("click", () => dialog.showModal());
  let prefix = "";
  const typing = (node) => node.matches("input, textarea, select, [contenteditable]");
  function step(by) {
    const rows = [...document.querySelectorAll("main a.row")].filter((link) => link.offsetParent);
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const to = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.max(0, Math.min(rows.length - 1, at + by))];
    to.focus();
    to.scrollIntoView({ block: "nearest" });
  }
  const actions = {
    "/": () => byId("search").focus(),
    "g t": () => location.assign(base + "/"),
    "g g": () => location.assign(base + "/groups"),
    "g m": () => location.assign(base + "/map"),
    "g c": () => location.assign(base + "/cluster"),
    "g s": () => location.assign(base + "/sql"),
    "g a": () => location.assign(base + "/activity"),
    "g p": () => location.assign(base + "/playground"),
    "g n": () => location.assign(base + "/snapshots"),
    "g h": () => location.assign(base + "/help"),
    p: () => {
      const live = byId("live");
      const topic = live && live.dataset.topic;
      location.assign(base + (topic ? `/topics/${topic}/produce` : "/produce"));
    },
    l: () => byId("pill").click(),
    j: () => step(1),
    k: () => step(-1),
    "?": () => dialog.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const node = event.target;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && node.form && node.form.id === "produce-form") {
      event.preventDefault();
      node.form.requestSubmit();
      return;
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && (node.id === "search" || node.closest("#found"))) {
      // From the field down into the results, through them, and up into the field again.
      const stops = [byId("search"), ...byId("found").querySelectorAll("a")];
      const to = stops[stops.indexOf(node) + by];
      if (stops.length > 1) event.preventDefault();
      if (to) to.focus();
      return;
    }
    if (event.key === "Escape") {
      if (node.closest("#found")) byId("search").focus();
      else if (node.id === "search") node.blur();
      byId("found").replaceChildren();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(node) || dialog.open) return;
    const key = prefix ? `${prefix} ${event.key}` : event.key;
    prefix = "";
    if (event.key === "g" && key === "g") prefix = "g";
    else if (actions[key]) {
      event.preventDefault();
      actions[key]();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) byId("found").replaceChildren();
  });

  // A heading that sorts loads the page again: the focus stays on it.
  document.addEventListener("click", (event) => {
    // A click without a pointer is a key.
    if (event.detail === 0 && event.target.closest("thead th a")) sessionStorage.setItem("sorted", location.pathname);
  });
  if (sessionStorage.getItem("sorted") === location.pathname) document.querySelector("main th[aria-sort] a")?.focus({ preventScroll: true });
  sessionStorage.removeItem("sorted");

  // Small things of single pages.
  const topicSelect = byId("produce-topic");
  if (topicSelect) {
    topicSelect.addEventListener("change", () => {
      const number = document.querySelector('#produce-form [name="partition"]');
      number.removeAttribute("max");
    });
  }
  const to = byId("reset-to");
  if (to) {
    const at = byId("reset-at");
    const fit = () => {
      const hint = to.selectedOptions[0].dataset.hint;
      at.hidden = !hint;
      at.querySelector("input").placeholder = hint;
    };
    to.addEventListener("change", fit);
    fit();
  }
})();
