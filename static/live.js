// Live updates: the WebSocket's messages, the pill that pauses them, and lists that hold still while they are used.
"use strict";

(function () {
  const byId = (id) => document.getElementById(id);
  const main = byId("main");

  // The pill: Live, Paused (N new), Reconnecting, Stopped.
  const pill = byId("pill");
  let socket = null;
  let paused = false;
  let mark = 0;
  let tries = 0;
  const STOPPED_AFTER = 6;

  function say(state, text) {
    if (pill.dataset.state !== state) pill.dataset.state = state;
    if (pill.lastElementChild.textContent !== text) pill.lastElementChild.textContent = text;
    pill.setAttribute("aria-pressed", String(paused));
    pill.title = paused ? "Press to resume (l)" : state === "live" ? "Press to pause (l)" : "";
  }
  const markOf = (html) => Number((/ data-mark="(\d+)"/.exec(html) || [0, 0])[1]);

  pill.hidden = !byId("socket");
  pill.addEventListener("click", () => {
    if (pill.hidden) return;
    if (pill.dataset.state === "stopped") return location.reload();
    paused = !paused;
    if (paused) {
      const live = byId("live");
      mark = Number((live && live.dataset.mark) || 0);
      say("paused", "Paused");
    } else {
      say(socket ? "live" : "reconnecting", socket ? "Live" : "Reconnecting");
      refetch();
    }
  });

  // One lost connection is nothing; a server that is not back after two tries is worth a sentence.
  const away = byId("away");
  function sayAway() {
    const since = (document.querySelector("#where .as-of time") || { textContent: "" }).textContent;
    const gone = "The server of this page does not answer" + (tries > STOPPED_AFTER ? ": is sandbox still running in its terminal?" : ".");
    away.lastElementChild.textContent = `${gone} What you see is as of ${since}, and will reconnect automatically.`;
    away.hidden = false;
  }

  // A hidden tab gets one message at most: it acknowledges it when it is visible again.
  let unanswered = false;
  function answer() {
    unanswered = document.hidden;
    if (socket && !unanswered) socket.send("ok");
  }
  document.addEventListener("visibilitychange", () => {
    if (unanswered && !document.hidden) answer();
  });

  // Asks for the whole view, because part of it was not applied.
  let refetched = false;
  function refetch() {
    if (!socket || paused) return;
    refetched = true;
    socket.send("whole");
  }
  document.addEventListener("sandbox:refetch", refetch);

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
    const html = event.detail.message;
    if (paused) {
      event.preventDefault();
      const fresh = markOf(html) - mark;
      say("paused", fresh > 0 ? `Paused (${fresh.toLocaleString("en")} new)` : "Paused");
      answer();
    } else if (frozen() || held()) {
      event.preventDefault();
      hold(html);
      answer();
    }
  });
  document.body.addEventListener("htmx:wsAfterMessage", (event) => {
    answer();
    // The server sent only the id of a row that is not here: the view is out of step.
    if (socket && main.querySelector("[data-same]")) socket.send("whole");
    keepOrder(event.detail.message);
    caughtUp();
    announce();
    document.dispatchEvent(new CustomEvent("sandbox:live", { detail: { refetched } }));
    refetched = false;
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

  // Holding still. While somebody uses a list, no row is added, removed or moved: rows that stay show their new figures
  // in place, and a button counts the rest. While a pointer is pressed or text is selected, nothing changes at all, so
  // that a click always ends on the node on which it began.
  const ROWS = '[id^="live"] tbody';
  const PRESS_END_MS = 60;
  const button = byId("held");
  let over = null;
  let pressed = false;
  let ticksLetGo = false;
  let behind = false;
  let dropped = false;
  let heldMark = null;
  const fresh = new Set();

  const rowsAt = (node) => (node instanceof Element && main.contains(node) ? node.closest(ROWS) : null);
  const isTicked = () => main.querySelector(".is-picked") !== null;
  function isSelected() {
    const selection = getSelection();
    if (selection.isCollapsed || selection.rangeCount === 0) return false;
    const range = selection.getRangeAt(0);
    return [...main.querySelectorAll('[id^="live"]')].some((part) => range.intersectsNode(part));
  }
  const frozen = () => pressed || isSelected();
  const held = () => Boolean(over?.isConnected || rowsAt(document.activeElement) || (isTicked() && !ticksLetGo));

  // Releases the list if nobody uses it any more.
  function release() {
    if (!isTicked()) ticksLetGo = false;
    if (!frozen() && (dropped || (behind && !held()))) refetch();
  }
  const waiting = [];
  function endPress() {
    pressed = false;
    waiting.splice(0).forEach((resume) => resume());
    release();
  }
  window.sandbox = { pressEnded: () => (pressed ? new Promise((resume) => { waiting.push(resume); }) : Promise.resolve()) };
  document.addEventListener("pointerover", (event) => {
    const was = over;
    over = event.pointerType === "touch" ? null : rowsAt(event.target);
    // The end of a press outside the window is not reported.
    if (pressed && event.pointerType === "mouse" && event.buttons === 0) endPress();
    else if (was && !over) release();
  });
  document.documentElement.addEventListener("pointerleave", () => { over = null; release(); });
  document.addEventListener("pointerdown", (event) => { if (event.button === 0 && main.contains(event.target)) pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) {
    // A click follows the end of its press; after a touch, as a later task.
    document.addEventListener(end, () => setTimeout(endPress, PRESS_END_MS));
  }
  document.addEventListener("focusout", () => setTimeout(release, 0));
  document.addEventListener("selectionchange", () => { if (behind && !frozen()) release(); });
  document.addEventListener("change", (event) => { if (rowsAt(event.target)) setTimeout(release, 0); });
  button.addEventListener("click", () => {
    const region = rowsAt(document.activeElement)?.closest(".scroll");
    over = null;
    ticksLetGo = isTicked();
    getSelection().removeAllRanges();
    if (region) region.focus({ preventScroll: true });
    else main.focus({ preventScroll: true });
    refetch();
  });

  // Takes from a message what changes nothing's place: figures, and rows that are here already.
  function hold(html) {
    const still = frozen();
    const wanted = new DOMParser().parseFromString(html, "text/html");
    for (const part of wanted.querySelectorAll("[hx-swap-oob]")) {
      part.removeAttribute("hx-swap-oob");
      const here = byId(part.id);
      if (!here) continue;
      if (part.id === "where") {
        if (!still && here.childElementCount === part.childElementCount) Idiomorph.morph(here, part);
        continue;
      }
      count(here, part);
      if (!still) refresh(here, part);
    }
    dropped = still;
    behind = behind || still;
    tellHeld();
    if (!still) document.dispatchEvent(new CustomEvent("sandbox:live", { detail: { held: true } }));
  }
  const ROW = "tbody[id], tr[id]";
  function count(here, part) {
    if (part.dataset.tail) {
      if (heldMark === null) heldMark = Number(here.dataset.mark);
      fresh.mark = Number(part.dataset.mark) - heldMark;
    }
    const ids = new Set();
    for (const row of part.querySelectorAll(ROW)) {
      ids.add(row.id);
      if (!byId(row.id)) fresh.add(row.id);
    }
    const gone = [...here.querySelectorAll(ROW)].some((row) => !ids.has(row.id) && !isOpen(row));
    const bodies = (root) => [...root.querySelectorAll("tbody:not([id])")].filter((body) => !body.querySelector("tr[id]"));
    const [now, then] = [bodies(here), bodies(part)];
    if (gone || now.length !== then.length || now.some((body, index) => !body.isEqualNode(then[index]))) behind = true;
    if (fresh.size) behind = true;
    fresh.noun = part.dataset.new || fresh.noun;
  }
  function refresh(here, part) {
    for (const { name, value } of part.attributes) if (name !== "data-mark") here.setAttribute(name, value);
    const [now, then] = [here, part].map((root) => [...root.querySelectorAll(".figures dd")]);
    if (now.length === then.length) now.forEach((figure, index) => Idiomorph.morph(figure, then[index]));
    for (const row of part.querySelectorAll(ROW)) {
      const shown = byId(row.id);
      if (shown && !isSame(row) && !isOpen(shown)) Idiomorph.morph(shown, row);
    }
  }
  function tellHeld() {
    const many = fresh.mark || fresh.size;
    const [one, more] = (fresh.noun || "new row|new rows").split("|");
    const text = many ? `${many.toLocaleString("en")} ${many === 1 ? one : more} ↑` : "Updates held ↑";
    if (button.textContent !== text) button.textContent = text;
    button.hidden = !behind || (!many && frozen());
  }
  function caughtUp() {
    fresh.clear();
    fresh.mark = 0;
    heldMark = null;
    behind = dropped = false;
    button.hidden = true;
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
    const moved = new Set();
    for (const row of [...list.children]) {
      if (!row.id || ids.has(row.id) || isOpen(row)) continue;
      moved.add(row.nextElementSibling);
      row.remove();
    }
    const focused = document.activeElement;
    let at = list.firstElementChild;
    let shifted = false;
    for (const row of rows) {
      while (at && at.id && !ids.has(at.id)) at = at.nextElementSibling;
      const here = row.id ? byId(row.id) : at;
      if (!here || here.parentNode !== list) {
        list.insertBefore(row, at);
        shifted = true;
        continue;
      }
      if (here === at) at = at.nextElementSibling;
      else shifted = true;
      // A row below one that came or went is attached anew: it is drawn at its new place, and does not count as one that
      // slid there.
      if (moved.has(here)) shifted = true;
      if (shifted) list.insertBefore(here, at);
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
})();
