// The Device list: cards on a phone, a table on a desktop.
import { pathOf, post } from "../api.js";
import { ago, button, code, el, h1, icon, tool } from "../dom.js";
import { phone, t } from "../i18n.js";
import { changed, put, state } from "../state.js";
import firstRun from "./first_run.js";
import { asOf, badge, health, why } from "./status.js";

/** With more devices than this there is a search. */
const MANY = 8;

/** Opens the settings of a device; `null` is a new one. */
export async function openSettings(name) {
	const { settings } = await import("./settings.js");
	await settings(name);
}

/** Asks whether to delete a device, and does it. */
export async function remove(name) {
	const settings = await import("./settings.js");
	await settings.remove(name);
}

/** What stands there until the first answer. */
export const loading = () => el("p.empty", el("span.spin"), el("span.sr", t("loading")));

export default function devices() {
	let wanted = "";

	function search({ target }) {
		wanted = target.value.trim().toLowerCase();
		changed();
	}
	const matches = ({ name, label, phone, status }) =>
		`${name} ${label} ${phone ?? ""} ${status}`.toLowerCase().includes(wanted);

	return () => {
		const all = [...state.devices.values()];
		const connected = all.filter(({ status }) => status === "CONNECTED").length;
		const sum = all.length > 0 && t("devices.sum", { n: all.length, up: connected });
		return [
			el(
				".head",
				el("div", h1(t("nav.devices")), el("p.muted", sum)),
				button(".primary", "plus", "Add Device", () => openSettings(null)),
			),
			(all.length > MANY || wanted) && searchField(search),
			firstRun(openSettings),
			list(all, all.filter(matches)),
		];
	};
}

const searchField = (search) =>
	el(
		"label.find",
		el("span.sr", t("devices.find")),
		el("input", { type: "search", placeholder: t("devices.find"), input: search }),
	);

function list(all, shown) {
	if (shown.length) return table(shown);
	if (!state.ready) return loading();
	// Of a first device the steps above tell.
	return all.length ? el("p.muted", t("devices.nothing")) : null;
}

const HEADS = ["Session Name", "status", "number", "nav.webhooks", "devices.last", "settings"];

// The roles are said, because cards are no table to a browser.
function table(devices) {
	const head = (key) => el("th", { role: "columnheader" }, t(key));
	return el(
		"table.list",
		{ role: "table", "aria-label": t("nav.devices") },
		el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, HEADS.map(head))),
		el("tbody", { role: "rowgroup" }, devices.map(row)),
	);
}

function row(device) {
	const { name, label, webhooks, last_in, last_out } = device;
	const called = label || name;
	const cell = (look, ...inside) => el(`td.${look}`, { role: "cell" }, inside);
	return el(
		"tr",
		{ role: "row", "data-key": name },
		el(
			"th.name",
			{ role: "rowheader" },
			el("a.stretch", { href: `#/devices/${name}` }, called),
			code(name),
		),
		cell("state", badge(device), el("span.why", proof(device)), nextStep(device)),
		cell(device.phone ? "num" : "none", device.phone ? phone(device.phone) : "–"),
		cell(webhooks.length ? "" : "none", health(webhooks)),
		cell("last", last("in", last_in), last("out", last_out)),
		cell(
			"do",
			tool("gear", t("settings_of", { device: called }), () => openSettings(name)),
			tool("bin", t("delete_of", { device: called }), () => remove(name)),
		),
	);
}

/** The button for what a person can do about a device that is not connected. */
function nextStep({ name, state, reason }) {
	const command = (what) => async () => put(await post(pathOf(name, what)));
	if (state === "reconnecting") {
		return button(".small", "again", t("reconnect"), command("reconnect"));
	}
	const stopped = ["pending", "logged_out", "stopped"].includes(state);
	if (!stopped || reason === "disabled") return null;
	return button(".small.primary", "", "START SESSION", async () => {
		await command("start")();
		location.hash = `#/devices/${name}`;
	});
}

/** A green badge alone could lie: it carries the age of its proof. Of `pending` the button says enough. */
function proof(device) {
	if (state.asOf) return asOf();
	if (device.state === "pending") return null;
	const reason = why(device);
	if (reason) return reason;
	return device.proof_at && [t("devices.proof"), " ", ago(device.proof_at)];
}

const last = (way, iso) =>
	iso && el("span.row", icon(way), el("span.sr", t(`device.${way}`)), " ", ago(iso));
