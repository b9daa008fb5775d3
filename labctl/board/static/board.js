// Keeps a page up to date: fetches it again when the server says that something has changed, and runs its clocks.
"use strict";

const main = document.getElementById("main");

// What somebody has typed is not thrown away, nor a question that somebody has opened.
function typed() {
  const fields = [...main.querySelectorAll("input:not([type=hidden]), select")];
  return fields.filter((field) => field.value !== (field.defaultValue || ""));
}

function busy() {
  return typed().includes(document.activeElement);
}

function replace(fresh) {
  const text = (summary) => summary.textContent;
  const open = new Set([...main.querySelectorAll("details[open] > summary")].map(text));
  const values = typed().map((field) => [field.id, field.value]);
  const focused = document.activeElement && document.activeElement.id;
  main.innerHTML = fresh.innerHTML;
  for (const summary of main.querySelectorAll("details > summary")) summary.parentElement.open = open.has(text(summary));
  for (const [id, value] of values) if (document.getElementById(id)) document.getElementById(id).value = value;
  if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
}

let waiting = false;

function later() {
  waiting = busy();
  if (waiting) setTimeout(later, 1000);
  else refresh();
}

// Notices are for those, too, who are typing.
async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected) {
    location.reload();
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("main");
  const [now, before] = [page.getElementById("notices"), document.getElementById("notices")];
  if (now && before && now.innerHTML !== before.innerHTML) before.innerHTML = now.innerHTML;
  if (busy()) {
    if (!waiting) later();
  } else if (fresh) {
    replace(fresh);
    started = performance.now();
  }
}

let started = performance.now();

function tick() {
  for (const clock of main.querySelectorAll("[data-left]")) {
    const left = Math.max(0, Math.round(Number(clock.dataset.left) - (performance.now() - started) / 1000));
    const pad = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(left / 3600);
    clock.textContent = (hours ? hours + ":" : "") + pad(Math.floor(left / 60) % 60) + ":" + pad(left % 60);
  }
}

setInterval(tick, 1000);

if (main.dataset.live === "events") {
  let seen = null;
  const source = new EventSource("/events");
  source.onmessage = (event) => {
    if (seen !== null && seen !== event.data) refresh();
    seen = event.data;
  };
} else if (main.dataset.live === "reload") {
  setInterval(refresh, 5000);
}
