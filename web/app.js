// Start: session, words, live stream, then the view that the address names.
import { get, post } from "./api.js";
import { clone, dress, field, fill, hear, press } from "./dom.js";
import { language, speak, t } from "./i18n.js";
import { connect, hangUp } from "./live.js";
import { on, replace, state } from "./state.js";
import { login } from "./view/login.js";
import { devices } from "./view/devices.js";

const app = document.getElementById("app");
let leave = () => {};
let shell = null;

/** The views that are not needed at once are fetched when they are. */
const VIEWS = {
  devices: () => devices,
  device: async () => (await import("./view/device.js")).device,
  send: async () => (await import("./view/send.js")).send,
  webhooks: async () => (await import("./view/webhooks.js")).webhooks,
  messages: async () => (await import("./view/messages.js")).messages,
  config: async () => (await import("./view/config.js")).config,
  api: async () => (await import("./view/reference.js")).reference,
};

function tools(root) {
  const box = clone("tools");
  box.querySelector("[data-f=lang]").lang = language() === "en" ? "id" : "en";
  press(box, "lang", async () => {
    await speak(language() === "en" ? "id" : "en");
    await start();
  });
  press(box, "theme", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme;
    const next = (dark === "light dark" ? matchMedia("(prefers-color-scheme: dark)").matches : dark === "dark") ? "light" : "dark";
    localStorage.setItem("theme", next);
    document.documentElement.dataset.theme = next;
  });
  press(box, "leave", async () => {
    await post("logout");
    signedOut();
  });
  fill(box, { leave: state.session.role === "admin" });
  fill(root, { tools: box });
}

/** Shows the login, or the shell and the view. */
function start() {
  dress(document.body);
  leave();
  if (state.session.role !== "admin") {
    const view = login(state.session, enter);
    leave = () => {};
    shell = null;
    tools(view);
    return app.replaceChildren(view);
  }
  shell = clone("shell");
  tools(shell);
  app.replaceChildren(shell);
  alarm();
  return route();
}

/** A file with problems is told wherever one looks. */
function alarm() {
  if (shell) fill(shell, { alarm: state.config?.outcome === "rejected" });
}

/** Asks for everything there is to show; the page stands there meanwhile. */
async function enter(session) {
  state.session = session;
  connect();
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  // Asked for as well, so that a proxy that holds the stream back cannot hold the page back.
  const [answer] = await Promise.all([get("v1/devices"), spoken]);
  if (!state.ready) replace(answer);
  await start();
}

function signedOut() {
  hangUp();
  state.session.role = "none";
  state.devices.clear();
  state.ready = false;
  start();
}

let turn = 0;

async function route(event) {
  if (!shell) return;
  const [name = "", ...rest] = location.hash.slice(2).split("/").map(decodeURIComponent);
  const view = name === "devices" && rest[0] ? "device" : name in VIEWS ? name : "devices";
  const mine = ++turn;
  const render = await VIEWS[view]();
  if (mine !== turn) return;
  leave();
  const main = field(shell, "main") ?? shell.querySelector("main");
  const root = main.appendChild(document.createElement("div"));
  main.replaceChildren(root);
  leave = render(root, ...rest) ?? (() => {});
  for (const link of shell.querySelectorAll("nav a")) {
    if (link.hash.slice(2) === (name || "devices")) link.ariaCurrent = "page";
    else link.ariaCurrent = null;
  }
  const title = root.querySelector("h1");
  document.title = `${title.textContent} · moonwa`;
  scrollTo(0, 0);
  // After a click on a link a screen reader goes on at the new view's title.
  if (event) {
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
  }
}

const said = new Map();
on("device", ({ name, label, status }) => {
  if ((said.get(name) ?? status) !== status) hear(`${label || name}: ${status}`);
  said.set(name, status);
});
on("config", alarm);
addEventListener("hashchange", route);
addEventListener("signed-out", signedOut);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
const spoken = speak();
try {
  // index.html has asked already: the words and the devices come side by side.
  state.session = await get("v1/session");
  if (state.session.role === "admin") await enter(state.session);
  else await spoken.then(start);
} catch {
  await spoken;
  app.textContent = t("e.offline");
}
