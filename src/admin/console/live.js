// Keeps the parts of a page that are marked `data-live` as they are now, without a reload: the page is
// asked for again every few seconds, and what has changed takes the place of what is shown. Where the
// reader is at work in such a part, or has selected text there, it is left alone.
"use strict";

const EVERY_MS = 3000;

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

function wait() {
  setTimeout(() => refresh().catch(() => {}).finally(wait), EVERY_MS);
}

if (document.querySelector("[data-live]")) wait();
