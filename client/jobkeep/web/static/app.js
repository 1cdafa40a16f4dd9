// What pages do beyond their forms: say whether they are live, keep what is selected, follow a log, put away toasts.
"use strict";

const byId = (id) => document.getElementById(id);
const GOOD_FOR = 6000; // milliseconds that good news stays
const MOST_LINES = 5000; // of a log that a page keeps

// --- live or not
const pulse = byId("pulse");
const pause = byId("pause");
let live = byId("live");
let place = "";
let paused = false;

function say(state, word) {
  if (!pulse) return;
  pulse.dataset.state = state;
  pulse.querySelector(".word").textContent = word;
}

function banner(text) {
  const shown = byId("banner");
  shown.textContent = text;
  shown.hidden = !text;
}

document.addEventListener("htmx:sse:after:connection", () => { if (!paused) { say("live", "live"); banner(""); } });
document.addEventListener("htmx:sse:after:message", (event) => { place = event.detail.message.id || place; });
document.addEventListener("htmx:sse:error", (event) => {
  if (paused) return;
  say("away", "away");
  if (event.detail.status === 401) {
    banner("The pass of this browser has expired. Reload the page to see how to get a new one.");
  } else {
    banner("The dashboard does not answer. What you see is as it was; trying again.");
  }
});

if (pause && live) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    const address = new URL(live.getAttribute("hx-sse:connect"), location.href);
    if (place) address.searchParams.set("at", place);
    live.remove(); // ends its stream
    if (paused) {
      say("off", "paused");
      return;
    }
    live = document.createElement("div");
    live.id = "live";
    live.setAttribute("hx-swap", "none");
    live.setAttribute("hx-sse:connect", address.pathname + address.search);
    document.body.append(live);
    htmx.process(live);
  });
}

// --- toasts
const toasts = byId("toasts");
function attend(toast) {
  if (toast.classList.contains("good")) setTimeout(() => toast.remove(), GOOD_FOR);
}
toasts.addEventListener("click", (event) => {
  if (event.target.closest(".dismiss")) event.target.closest(".toast").remove();
});
toasts.querySelectorAll(".toast").forEach(attend);
new MutationObserver((changes) => {
  for (const change of changes) change.addedNodes.forEach((node) => { if (node.classList) attend(node); });
}).observe(toasts, { childList: true });
document.addEventListener("htmx:error", () => {
  const toast = document.createElement("div");
  toast.className = "toast bad";
  toast.innerHTML = '<span class="glyph" aria-hidden="true">!</span><div><p>The dashboard does not answer; nothing is known to have been done.</p></div><button type="button" class="quiet dismiss" aria-label="Dismiss">✕</button>';
  toasts.append(toast);
});

// --- selection
const bulk = byId("bulk");
function count() {
  const picked = document.querySelectorAll('input[name="id"]:checked').length;
  bulk.classList.toggle("calm", !picked && !byId("matching").checked);
  const shown = byId("picked");
  shown.hidden = !picked;
  shown.textContent = `${picked} selected`;
}
if (bulk) {
  document.addEventListener("change", (event) => { if (event.target.name === "id" || event.target.id === "matching") count(); });
  document.addEventListener("htmx:after:swap", count);
  count();
}

// --- focus: a button that goes away with a change of state hands it to its row
let row = null;
document.addEventListener("focusin", (event) => { row = event.target.closest("tr[id]")?.id; });
document.addEventListener("htmx:after:swap", () => {
  if (document.activeElement === document.body && row) byId(row)?.querySelector("a")?.focus({ preventScroll: true });
});

// --- the log
const log = byId("log");
if (log) {
  document.querySelectorAll(".live-only").forEach((element) => { element.hidden = false; });
  const filter = byId("log-filter");
  const follow = byId("log-follow");
  const fits = (line) => { line.hidden = !line.textContent.toLowerCase().includes(filter.value.toLowerCase()); };
  const toEnd = () => { if (follow.checked) log.scrollTop = log.scrollHeight; };
  filter.addEventListener("input", () => { log.querySelectorAll(".line").forEach(fits); toEnd(); });
  byId("log-wrap").addEventListener("change", (event) => log.classList.toggle("wrap", event.target.checked));
  follow.addEventListener("change", toEnd);
  log.addEventListener("scroll", () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    if (follow.checked !== atEnd) follow.checked = atEnd;
  });
  new MutationObserver((changes) => {
    if (filter.value) for (const change of changes) change.addedNodes.forEach((node) => { if (node.classList) fits(node); });
    for (let spare = log.childElementCount - MOST_LINES; spare > 0; spare--) log.firstElementChild.remove();
    toEnd();
  }).observe(log, { childList: true });
  toEnd();
}
