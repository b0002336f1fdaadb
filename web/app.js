// Start: session, live stream, the frame, and in it the view that the address names. A view gives a
// function that says what there shall be, and it is asked again whenever something changed.
import { get, post } from "./api.js";
import { el, h1, hear, icon, logo, patch, tool } from "./dom.js";
import { language, speak, t } from "./i18n.js";
import { connect, hangUp } from "./live.js";
import { changed, news, replace, state } from "./state.js";
import login from "./view/login.js";
import devices, { loading } from "./view/devices.js";

const app = document.getElementById("app");
const root = document.documentElement;
const NAV = ["devices", "send", "webhooks", "messages", "config", "api"];
let view = null;

/** Language, light or dark, the way out. */
function tools() {
	const lang = language() === "en" ? "id" : "en";
	const click = () => changed(speak(lang));
	const dark = () => (localStorage.theme
		?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
	const theme = () => changed(localStorage.theme = dark() ? "light" : "dark");
	const leave = async () => signedOut(await post("logout"));
	return el("section.tools", { "aria-label": t("tools") },
		el("button.quiet", { lang, click, "aria-label": t("lang.switch") }, lang.toUpperCase()),
		tool("theme", t("theme"), theme), view && tool("leave", t("leave"), leave));
}

function shell() {
	const link = (name) => el("a", { href: `#/${name}`, "aria-current": name === view.at && "page" },
		icon(name), t(`nav.${name}`));
	const skip = () => document.getElementById("main").focus();
	const rejected = state.config?.outcome === "rejected";
	return [
		el("a.skip", { href: "#main", click: skip }, t("skip")),
		state.lost && el("p.banner.wait", { role: "alert" }, icon("alert"), t("lost")),
		el(".shell",
			el(".side",
				el("header", el("a.brand", { href: "#/devices" }, logo(28), "moonwa")),
				el("nav", { "aria-label": t("nav") }, NAV.map(link)), tools()),
			el("div",
				rejected && el("a.banner.bad", { href: "#/config" }, icon("alert"), t("c.alarm")),
				el("main", { id: "main", tabindex: -1, "data-key": view.key },
					el(".view", view.draw())))),
	];
}

function draw() {
	root.lang = language();
	root.dataset.theme = localStorage.theme ?? "";
	patch(app, view ? shell() : login(enter, tools));
	document.title = `${app.querySelector("h1").textContent} · moonwa`;
	document.querySelector("dialog[open]")?.draw?.();
}

/** Asks for everything there is to show. */
async function enter(session) {
	state.session = session;
	connect();
	if (location.search) history.replaceState(null, "", location.pathname + location.hash);
	// Asked for as well, so that a proxy that holds the stream back cannot hold the page back.
	const answer = await get("v1/devices");
	if (!state.ready) replace(answer);
	await route();
}

function signedOut() {
	hangUp();
	view?.end.abort();
	view = null;
	state.session.role = "none";
	state.devices.clear();
	state.ready = false;
	draw();
}

let turn = 0;

async function route(event) {
	if (state.session.role !== "admin") return;
	const [name, ...rest] = location.hash.slice(2).split("/").map(decodeURIComponent);
	const at = NAV.includes(name) ? name : "devices";
	const file = at === "devices" && rest[0] ? "device" : at;
	const mine = ++turn;
	// What is not needed at once is fetched when it is.
	const make = file === "devices" ? devices : (await import(`./view/${file}.js`)).default;
	if (mine !== turn) return;
	view?.end.abort();
	const end = new AbortController();
	view = { at, key: location.hash, end, draw: make(end.signal, ...rest) };
	draw();
	scrollTo(0, 0);
	// After a click on a link a screen reader goes on at the new view's title.
	if (event) app.querySelector("h1").focus({ preventScroll: true });
}

const said = new Map();
news.addEventListener("changed", () => {
	for (const [name, { label, status }] of state.devices) {
		if ((said.get(name) ?? status) !== status) hear(`${label || name}: ${status}`);
		said.set(name, status);
	}
	if (state.session) draw();
});
addEventListener("hashchange", route);
addEventListener("signed-out", signedOut);

try {
	// index.html has asked already.
	const session = await get("v1/session");
	if (session.role === "admin") await enter(session);
	else draw(state.session = session);
} catch {
	patch(app, t("e.offline"));
}
