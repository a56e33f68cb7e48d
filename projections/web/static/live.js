// Puts the present answer in the place of the one that is shown whenever the server says that it changed.
"use strict";

const answer = () => document.getElementById("answer");
let source = null;

function listen() {
  const url = answer()?.dataset.live;
  if (!url || document.visibilityState !== "visible" || source) return;
  source = new EventSource(url);
  source.addEventListener("changed", refresh);
}

function rest() {
  // A hidden page keeps no connection: browsers have few for each host. Shown again, it asks from where it was.
  source?.close();
  source = null;
}

async function refresh() {
  const response = await fetch(location.href, { cache: "no-store" });
  if (response.status === 410) return location.reload(); // the person was forgotten: nothing of it stays here
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const next = page.getElementById("answer");
  if (!next) return;
  const focused = answer().contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  answer().replaceWith(document.adoptNode(next));
  answer().classList.add("changed");
  if (focused) answer().querySelector(`a[href="${CSS.escape(focused)}"]:not([tabindex])`)?.focus();
  document.title = page.title;
  document.getElementById("live-status").textContent = "The schedule has changed and is shown as it is now.";
}

document.addEventListener("visibilitychange", () => (document.visibilityState === "visible" ? listen() : rest()));
window.addEventListener("pagehide", rest);
window.addEventListener("pageshow", listen);
listen();
