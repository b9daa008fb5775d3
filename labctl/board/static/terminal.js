// Connects a terminal on the page with a node, by a WebSocket: see labctl/board/sockets.py.
import { FitAddon } from "/static/lib/@xterm/addon-fit/lib/addon-fit.mjs";
import { Terminal } from "/static/lib/@xterm/xterm/lib/xterm.mjs";

const PIECE = 16 * 1024; // bytes of what is pasted that go at a time
const place = document.getElementById("terminal");
const state = document.getElementById("state");
const reader = document.getElementById("reader");
const take = document.getElementById("take");
const dark = matchMedia("(prefers-color-scheme: dark)");
const follows = place.dataset.follows === "yes"; // another browser says how large the terminal is

function theme() {
  return dark.matches
    ? { background: "#15181c", foreground: "#e6e8eb", cursor: "#e6e8eb", selectionBackground: "#3a5a7a" }
    : { background: "#ffffff", foreground: "#1a1c1f", cursor: "#1a1c1f", selectionBackground: "#b3d4f5" };
}

const terminal = new Terminal({
  fontFamily: "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace",
  minimumContrastRatio: 4.5,
  screenReaderMode: localStorage.getItem("reader") === "yes",
  scrollback: 5000,
  theme: theme(),
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(place);
dark.addEventListener("change", () => { terminal.options.theme = theme(); });

reader.checked = terminal.options.screenReaderMode;
reader.addEventListener("change", () => {
  terminal.options.screenReaderMode = reader.checked;
  localStorage.setItem("reader", reader.checked ? "yes" : "no");
});

terminal.attachCustomKeyEventHandler((event) => {
  if (event.key !== "F6" || !event.ctrlKey) return true;
  if (event.type === "keydown") document.getElementById("leave").focus();
  event.preventDefault();
  return false;
});

if (!follows) fit.fit();
const size = `columns=${terminal.cols}&rows=${terminal.rows}`;
const socket = new WebSocket(`wss://${location.host}${place.dataset.socket}?${size}`);
socket.binaryType = "arraybuffer";

function tell(words) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(words));
}

function type(bytes) {
  for (let start = 0; start < bytes.length; start += PIECE) {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes.subarray(start, start + PIECE));
  }
}

socket.addEventListener("open", () => { if (!follows) tell({ size: [terminal.cols, terminal.rows] }); });

let old = 0; // bytes to come that were printed before: what the terminal answers to them, nobody waits for
let begun = false;
let ended = false;

socket.addEventListener("message", (event) => {
  if (typeof event.data !== "string") {
    if (!begun) state.textContent = "Connected.";
    begun = true;
    const bytes = new Uint8Array(event.data);
    terminal.write(bytes, () => {
      tell({ read: bytes.length });
      old -= Math.min(old, bytes.length);
    });
    return;
  }
  const words = JSON.parse(event.data);
  if (words.replay) old += words.replay;
  if (words.size) terminal.resize(...words.size);
  if (words.say) state.textContent = words.say;
  if (words.end) {
    ended = true;
    state.textContent = words.end;
  }
});

socket.addEventListener("close", () => {
  if (!ended) state.textContent = begun ? "The connection is lost. Load the page again." : "There is no connection.";
  terminal.options.disableStdin = true;
  terminal.options.cursorBlink = false;
  if (take) take.hidden = true;
});

const encoder = new TextEncoder();
terminal.onData((text) => { if (!old) type(encoder.encode(text)); });
terminal.onBinary((text) => type(Uint8Array.from(text, (character) => character.charCodeAt(0))));
terminal.onResize(({ cols, rows }) => { if (!follows) tell({ size: [cols, rows] }); });
if (!follows) new ResizeObserver(() => fit.fit()).observe(place);

if (take && follows) {
  take.hidden = false;
  take.addEventListener("click", () => {
    const taken = take.getAttribute("aria-pressed") !== "true";
    take.setAttribute("aria-pressed", String(taken));
    take.textContent = taken ? "Give back" : "Take over";
    tell({ take: taken });
    if (taken) terminal.focus();
  });
}
terminal.focus();
