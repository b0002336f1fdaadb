// Start: session, live stream, the frame, and in it the view that the address names. A view gives a
// function that says what there shall be, and it is asked again whenever something changed.
import { get, post } from "./api.js";
import { button, el, h1, icon, logo, patch, tool } from "./dom.js";
import { language, speak, t } from "./i18n.js";
import { connect, disconnect } from "./live.js";
import { hear, leaveToast, redrawDrawer } from "./overlay.js";
import { changed, forgetAll, news, put, replaceAll, state } from "./state.js";
import devices from "./view/devices.js";
import login, { loginAgain } from "./view/login.js";

const app = document.getElementById("app");
const root = document.documentElement;
const NAV = ["devices", "send", "webhooks", "messages", "config", "api"];

const isSignedIn = () => state.session.role !== "none";
/** Whoever came with a device's key has its conversations alone. */
const isAdmin = () => state.session.role === "admin";
const entries = () => (isAdmin() ? NAV : ["messages"]);

/**
 * The view on the screen: its entry in the menu, its address, what ends it, what it looks like.
 * @type {{ entry: string, address: string, end: AbortController, draw: () => any } | null}
 */
let view = null;

function switchLanguage() {
	speak(language() === "en" ? "id" : "en");
	changed();
}

function isDark() {
	const chosen = localStorage.getItem("theme");
	if (chosen) return chosen === "dark";
	return matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
	localStorage.setItem("theme", isDark() ? "light" : "dark");
	changed();
}

async function signOut() {
	await post("logout");
	signedOut();
}

/** Language, light or dark, the way out. */
function tools() {
	const other = language() === "en" ? "id" : "en";
	return el(
		"section.tools",
		{ "aria-label": t("tools") },
		el(
			"button.quiet",
			{ lang: other, click: switchLanguage, "aria-label": t("lang.switch") },
			other.toUpperCase(),
		),
		view &&
			isAdmin() &&
			el(
				"a.btn.quiet.icon.narrow",
				{ href: "#/api", "aria-label": t("nav.api"), title: t("nav.api") },
				icon("api"),
			),
		tool("theme", t("theme"), switchTheme),
		view && tool("leave", t("leave"), signOut),
	);
}

function menuEntry(name) {
	const current = name === view.entry && "page";
	return el("a", { href: `#/${name}`, "aria-current": current }, icon(name), t(`nav.${name}`));
}

function frame() {
	const skip = () => document.getElementById("main").focus();
	const rejected = state.config?.outcome === "rejected";
	return [
		el("a.skip", { href: "#main", click: skip }, t("skip")),
		state.lost && el("p.banner.wait", { role: "alert" }, icon("alert"), t("lost")),
		el(
			".shell",
			el(
				".side",
				el("header", el("a.brand", { href: `#/${entries()[0]}` }, logo(28), "moonwa")),
				isAdmin() && el("nav", { "aria-label": t("nav") }, NAV.map(menuEntry)),
				tools(),
			),
			el(
				"div",
				rejected && el("a.banner.bad", { href: "#/config" }, icon("alert"), t("config.alarm")),
				el(
					"main",
					// The list of conversations stays where it was while one after another is opened.
					{ id: "main", tabindex: -1, "data-key": view.entry === "messages" ? "" : view.address },
					el(".view", view.draw()),
				),
			),
		),
	];
}

function draw() {
	// Signed in, and the first view is on its way.
	if (!view && isSignedIn()) return;
	root.lang = language();
	root.dataset.theme = localStorage.getItem("theme") ?? "";
	patch(app, view ? frame() : login(enter, tools));
	document.title = `${app.querySelector("h1").textContent} · moonwa`;
	redrawDrawer();
}

/** Asks for everything there is to show. */
async function enter(session) {
	state.session = session;
	connect();
	// A login link's answer stands in the address.
	if (location.search) history.replaceState(null, "", location.pathname + location.hash);
	// Asked for as well, so that a proxy that holds the stream back cannot hold the page back.
	const answer = await get("v1/devices");
	if (!state.ready) replaceAll(answer);
	await route();
}

function signedOut() {
	disconnect();
	view?.end.abort();
	view = null;
	state.session.role = "none";
	forgetAll();
	draw();
}

/**
 * What lies on the page: hidden, not taken away, while somebody signs in again.
 * @returns {any[]}
 */
const parts = () => [app, ...document.querySelectorAll("dialog.drawer")];

function loginEnded() {
	if (!state.session || state.session.role === "none") return;
	disconnect();
	state.session.role = "none";
	// A code is a login secret.
	for (const device of state.devices.values()) put({ ...device, linking: null });
	for (const part of parts()) part.hidden = true;
	loginAgain(goOn);
}

function goOn(session) {
	state.session = session;
	for (const part of parts()) part.hidden = false;
	connect();
	// Its stream has ended too; what was typed there is kept with its conversation.
	if (view.entry === "messages" || !isAdmin()) return route();
}

/** Counts the views that were asked for: of two, the later one is shown. */
let turn = 0;

/** After so long without an answer a view is worth a sign that it is on its way. */
const SLOW = 200;

/** @param {Event} [event] absent at the start */
async function route(event) {
	if (!isSignedIn()) return;
	const [name, ...rest] = location.hash.slice(2).split("/").map(decodeURIComponent);
	const [home] = entries();
	const entry = entries().includes(name) ? name : home;
	const [named, part] = rest;
	const file = entry !== "devices" || !named ? entry : part === "groups" ? "groups" : "device";
	const mine = ++turn;
	const make = await load(file);
	if (mine !== turn) return;
	view?.end.abort();
	const end = new AbortController();
	view = { entry, address: location.hash, end, draw: make(end.signal, ...rest) };
	leaveToast();
	draw();
	scrollTo(0, 0);
	// After a click on a link a screen reader goes on at the new view's title.
	if (event) app.querySelector("h1").focus({ preventScroll: true });
	if (isAdmin()) preload();
}

/** What makes a view: fetched when it is needed first, unless that was done ahead. */
async function load(file) {
	if (file === "devices") return devices;
	const slow = setTimeout(() => root.classList.add("slow"), SLOW);
	try {
		return (await import(`./view/${file}.js`)).default;
	} catch {
		return () => notLoaded;
	} finally {
		clearTimeout(slow);
		root.classList.remove("slow");
	}
}

const notLoaded = () => [
	h1(t("view_failed")),
	el("p", t("error.offline")),
	el(
		"p",
		button("", "again", t("reload"), () => location.reload()),
	),
];

/** Fetches the other views once the first is there, so that they show without the server too. The conversations are
 * large, and of no use without it. */
function preload() {
	for (const file of ["device", "groups", "settings", ...NAV])
		if (file !== "messages") import(`./view/${file}.js`).catch(() => {});
}

/** The status of each device that a screen reader heard last. */
const heard = new Map();

function hearStatuses() {
	for (const [name, { label, status }] of state.devices) {
		const before = heard.get(name) ?? status;
		if (before !== status) hear(`${label || name}: ${status}`);
		heard.set(name, status);
	}
}

news.addEventListener("changed", () => {
	hearStatuses();
	if (state.session) draw();
});
addEventListener("hashchange", route);
addEventListener("signed-out", loginEnded);
// A page that is put aside holds no stream. It may come back as it was.
addEventListener("pagehide", () => {
	disconnect();
	if (view?.entry === "messages") view.end.abort();
});
addEventListener("pageshow", ({ persisted }) => {
	if (persisted && state.session && isSignedIn()) goOn(state.session);
});

try {
	// index.html has asked already.
	const session = await get("v1/session");
	if (session.role !== "none") {
		await enter(session);
	} else {
		state.session = session;
		draw();
	}
} catch {
	patch(app, t("error.offline"));
}
