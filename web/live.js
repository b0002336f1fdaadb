// The live stream: one EventSource that keeps `state` true, and the banner when moonwa cannot be reached.
import { changed, put, replace, state } from "./state.js";
import { get } from "./api.js";

let source = null;
let lost = 0;
let again = 0;

/** Opens the stream, and opens it again whenever it ends. */
export function connect() {
  hangUp();
  source = new EventSource("v1/events");
  source.onopen = found;
  source.onerror = missing;
  // What came while nobody listened has to be asked for.
  listen("snapshot", (all) => {
    replace(all);
    changed("missed");
  });
  listen("messages_missed", () => changed("missed"));
  listen("device", put);
  listen("config", (config) => {
    state.config = config;
    changed("config");
  });
  listen("message", (message) => changed("message", message));
  listen("webhooks", ({ device, webhooks }) => {
    const known = state.devices.get(device);
    if (known) put({ ...known, webhooks });
  });
}

/** Closes the stream, as after a log out. */
export function hangUp() {
  source?.close();
  clearTimeout(again);
  found();
}

function listen(kind, take) {
  source.addEventListener(kind, (event) => {
    // The browser's own error events share the listener's names in no case but this one.
    if (event.data) take(JSON.parse(event.data));
  });
}

function found() {
  clearTimeout(lost);
  lost = 0;
  show(false);
}

function missing() {
  // A restart takes a second or two: only a longer silence is worth a banner.
  lost ||= setTimeout(show, 5000, true);
  if (source.readyState !== EventSource.CLOSED) return;
  clearTimeout(again);
  again = setTimeout(async () => {
    // The browser gives up on an HTTP error, and does not say which: ask, so that an ended session leads to the login.
    try {
      const session = await get("v1/session");
      if (session.role === "none") dispatchEvent(new Event("signed-out"));
      else connect();
    } catch {
      missing();
    }
  }, 3000);
}

function show(yes) {
  document.getElementById("lost").hidden = !yes;
}
