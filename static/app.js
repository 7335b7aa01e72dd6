// What the page does in the browser. Everything else is HTML: without this file the pages, links and forms still work.
"use strict";

(function () {
  const byId = (id) => document.getElementById(id);
  const base = document.documentElement.dataset.base || "";
  document.documentElement.classList.add("scripts");

  // The pill: Live, Paused (N new), Reconnecting, Stopped.
  const pill = byId("pill");
  let socket = null;
  let paused = false;
  let mark = 0;
  let tries = 0;
  let held = false;
  const STOPPED_AFTER = 6;

  function say(state, text) {
    if (pill.dataset.state !== state) pill.dataset.state = state;
    if (pill.lastElementChild.textContent !== text) pill.lastElementChild.textContent = text;
    pill.setAttribute("aria-pressed", String(paused));
    pill.title = paused ? "Press to go on (l)" : state === "live" ? "Press to pause (l)" : "";
    if (byId("held")) byId("held").hidden = !(paused && held);
  }
  const markOf = (html) => Number((/ data-mark="(\d+)"/.exec(html) || [0, 0])[1]);

  const toggle = () => turn(false);
  function turn(hold) {
    if (pill.hidden) return;
    if (pill.dataset.state === "stopped") return location.reload();
    paused = !paused;
    held = paused && hold;
    if (paused) {
      const live = byId("live");
      mark = Number((live && live.dataset.mark) || 0);
      say("paused", "Paused");
    } else {
      say(socket ? "live" : "reconnecting", socket ? "Live" : "Reconnecting");
      if (socket) socket.send("whole");
    }
  }
  // Someone is at work on what is shown: it stands still until they are done, or say that it may go on.
  document.addEventListener("sandbox:hold", (event) => {
    if (pill.hidden || pill.dataset.state === "stopped" || event.detail === held) return;
    if (event.detail !== paused) turn(event.detail);
  });
  document.addEventListener("click", (event) => {
    if (event.target.id === "let-go" && paused) toggle();
  });
  pill.hidden = !byId("socket");
  pill.addEventListener("click", toggle);

  // One lost connection is nothing; a server that is not back after two tries is worth a sentence.
  const away = byId("away");
  function sayAway() {
    const since = (document.querySelector("#where .as-of time") || { textContent: "" }).textContent;
    const gone = "The server of this page does not answer" + (tries > STOPPED_AFTER ? ": is sandbox still running in its terminal?" : ".");
    away.lastElementChild.textContent = `${gone} What you see is as of ${since}, and will reconnect automatically.`;
    away.hidden = false;
  }

  // Who does not look is sent no more than one message: it is answered when the tab is looked at again.
  let unanswered = false;
  function answer() {
    unanswered = document.hidden;
    if (socket && !unanswered) socket.send("ok");
  }
  document.addEventListener("visibilitychange", () => {
    if (unanswered && !document.hidden) answer();
  });

  htmx.config.wsReconnectDelay = (count) => Math.min(200 * 2 ** count, 5000);
  document.body.addEventListener("htmx:wsOpen", (event) => {
    socket = event.detail.socketWrapper;
    unanswered = false;
    tries = 0;
    away.hidden = true;
    say(paused ? "paused" : "live", paused ? "Paused" : "Live");
  });
  document.body.addEventListener("htmx:wsClose", () => {
    socket = null;
    tries += 1;
    if (tries === 3 || tries > STOPPED_AFTER) sayAway();
    if (tries > STOPPED_AFTER) say("stopped", "Stopped");
    else if (!paused) say("reconnecting", "Reconnecting");
  });
  document.body.addEventListener("htmx:wsBeforeMessage", (event) => {
    if (!paused) return;
    event.preventDefault();
    const fresh = markOf(event.detail.message) - mark;
    say("paused", fresh > 0 ? `Paused (${fresh.toLocaleString("en")} new)` : "Paused");
    answer();
  });
  document.body.addEventListener("htmx:wsAfterMessage", (event) => {
    answer();
    // A row that should have been here already: the view is out of step.
    if (socket && byId("main").querySelector("[data-same]")) socket.send("whole");
    keepOrder(event.detail.message);
    announce();
    document.dispatchEvent(new CustomEvent("sandbox:live"));
  });

  // One polite announcement at most every five seconds, and only of what differs.
  let announced = "";
  let announceTimer = 0;
  function announce() {
    if (announceTimer) return;
    announceTimer = setTimeout(() => {
      announceTimer = 0;
      const text = (byId("live") || { dataset: {} }).dataset.announce || "";
      if (text !== announced) byId("announce").textContent = announced = text;
    }, 5000);
  }

  // An opened row is left alone by swaps: its event cannot change, and someone is reading it.
  const isOpen = (node) => node instanceof Element && node.matches(".is-open, .is-picked");
  // Nor is one of which the server sent its id alone, because it has not changed.
  const isSame = (node) => node instanceof Element && "same" in node.dataset;
  const isList = (node) => (node.nodeName === "TABLE" || node.nodeName === "TBODY") && node.lastElementChild && node.lastElementChild.id;
  const heads = (list) => [...list.children].filter((part) => !part.id).length;
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (node, wanted) => {
    if (isOpen(node) || isSame(wanted) || node.isEqualNode(wanted)) return false;
    if (!isList(node) || !isList(wanted) || heads(node) !== heads(wanted)) return true;
    placeRows(node, wanted);
    return false;
  };
  Idiomorph.defaults.callbacks.beforeNodeRemoved = (node) => !isOpen(node);
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node.nodeName === "DETAILS") && !(name === "title" && node.nodeName === "TIME");

  // Rows come and go by their ids. None is made into another, as idiomorph would: looking for likenesses among hundreds
  // of nodes took longer than drawing them.
  function placeRows(list, wanted) {
    const rows = [...wanted.children];
    const ids = new Set(rows.map((row) => row.id));
    for (const row of [...list.children]) if (row.id && !ids.has(row.id) && !isOpen(row)) row.remove();
    const focused = document.activeElement;
    let at = list.firstElementChild;
    for (const row of rows) {
      while (at && at.id && !ids.has(at.id)) at = at.nextElementSibling;
      const here = row.id ? byId(row.id) : at;
      if (!here || here.parentNode !== list) {
        list.insertBefore(row, at);
        continue;
      }
      if (here === at) at = at.nextElementSibling;
      else list.insertBefore(here, at);
      if (!isSame(row)) Idiomorph.morph(here, row);
    }
    // A node that is put elsewhere loses the focus.
    if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
  }

  // An opened row that has left the page's newest stays for its reader, below them: it is older than all of them.
  function keepOrder(html) {
    const gone = [...document.querySelectorAll("tbody.is-open, tbody.is-picked")].filter((row) => !html.includes(`id="${row.id}"`));
    const rows = gone.length ? gone[0].parentNode.tBodies : [];
    if (gone.every((row, index) => rows[rows.length - gone.length + index] === row)) return;
    const focused = document.activeElement;
    gone.forEach((row) => row.parentNode.append(row));
    if (gone.some((row) => row.contains(focused))) focused.focus({ preventScroll: true });
  }

  // An event opens below its row. Without scripts its offset is a link to its page.
  function shut(row) {
    row.classList.remove("is-open");
    row.querySelector(".detail").remove();
    row.querySelector("a.open").setAttribute("aria-expanded", "false");
    // What came for it meanwhile was left out.
    if (socket && !paused) socket.send("whole");
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
    htmx.ajax("GET", `${link.getAttribute("href")}?inline=1`, { source: link, target: detail.cells[0] }).catch(() => row.contains(detail) && shut(row));
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
    if (!button) return;
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

  // Where the pages' names have no room, the one that is open is in sight.
  const open = document.querySelector(".bar-row nav [aria-current]");
  if (open) open.parentNode.scrollLeft = open.offsetLeft - open.parentNode.offsetLeft - 40;

  // Keys.
  const dialog = byId("keys");
  byId("keys-button").hidden = false;
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
    l: toggle,
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
    if (event.key === "Escape") {
      byId("found").replaceChildren();
      if (node.id === "search") node.blur();
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
