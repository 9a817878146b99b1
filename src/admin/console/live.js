// Keeps the parts of a page that are marked `data-live` up to date without a reload: when the bridge reports a change
// (server-sent events), the page is fetched again, and the parts that changed are replaced. Without events, and for
// texts that age ("5 s ago"), it is fetched every few seconds. A part in which the user is typing, or has selected
// text, is left alone.
"use strict";

const WITHOUT_EVENTS_MS = 3000;
const WITH_EVENTS_MS = 10000;
const AT_MOST_EVERY_MS = 1000;
const LISTEN_AGAIN_MS = 30000;

function isInUse(part) {
  const selection = document.getSelection();
  const selects = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  return selects || part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

async function refresh() {
  if (document.hidden) return;
  const reply = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (reply.redirected) { location.reload(); return; }
  if (!reply.ok) return;
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = fresh.getElementById(part.id);
    if (now && now.innerHTML !== part.innerHTML && !isInUse(part)) part.innerHTML = now.innerHTML;
  }
}

let timer, events = null, isHeard = false, isBusy = false, hasChanged = false;

function refreshIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(run, ms);
}

function run() {
  isBusy = true;
  hasChanged = false;
  refresh().catch(() => {}).finally(() => {
    isBusy = false;
    refreshIn(hasChanged ? AT_MOST_EVERY_MS : isHeard ? WITH_EVENTS_MS : WITHOUT_EVENTS_MS);
  });
}

function changed() {
  if (hasChanged) return;
  hasChanged = true;
  if (!isBusy) refreshIn(0);
}

function silent() {
  isHeard = false;
  if (!isBusy) refreshIn(WITHOUT_EVENTS_MS);
  // The browser does not reopen this one: the server has too many, or the session has ended.
  if (events && events.readyState === EventSource.CLOSED) {
    events = null;
    setTimeout(listen, LISTEN_AGAIN_MS);
  }
}

// Only while the page is visible: a browser has few connections to one address for all of its tabs.
function listen() {
  if (events || document.hidden) return;
  events = new EventSource("/events");
  events.onopen = () => { isHeard = true; };
  events.onmessage = changed;
  events.onerror = silent;
}

function seenOrNot() {
  if (!document.hidden) {
    listen();
    if (!isBusy) refreshIn(0);
  } else if (events) {
    events.close();
    events = null;
    isHeard = false;
  }
}

if (document.querySelector("[data-live]")) {
  document.addEventListener("visibilitychange", seenOrNot);
  refreshIn(WITHOUT_EVENTS_MS);
  listen();
}
