// Shows a node's screen on the page, by VNC over a WebSocket.
import RFB from "/static/lib/@novnc/novnc/core/rfb.js";

const place = document.getElementById("picture");
const state = document.getElementById("state");
const keys = document.getElementById("keys");

const screen = new RFB(place, `wss://${location.host}${place.dataset.socket}`, { shared: true });
screen.scaleViewport = true;
screen.background = "transparent";

let begun = false;
screen.addEventListener("connect", () => {
  begun = true;
  state.textContent = "Connected.";
  screen.focus();
});
screen.addEventListener("disconnect", () => {
  state.textContent = begun ? "The connection has ended. Load the page again." : "There is no picture: is the node running?";
  keys.disabled = true;
});
keys.addEventListener("click", () => {
  screen.sendCtrlAltDel();
  screen.focus();
});

// Before the screen gets it: else nobody who has no mouse would ever leave.
place.addEventListener("keydown", (event) => {
  if (event.key !== "F6" || !event.ctrlKey) return;
  event.preventDefault();
  event.stopPropagation();
  document.getElementById("leave").focus();
}, true);
