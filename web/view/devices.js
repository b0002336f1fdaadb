// The Device list: cards on a phone, a table on a desktop.
import { ago, button, code, el, empty, h1, icon, tool } from "../dom.js";
import { phone, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { badge, health, why } from "./status.js";

/** With more devices than this there is a search. */
const MANY = 8;

/** Opens the settings of a device; `null` is a new one. */
export async function openSettings(name) {
	const { settings } = await import("./settings.js");
	await settings(name);
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
	if (all.length) return el("p.muted", t("devices.nothing"));
	return empty("devices", t("devices.none"), t("devices.none_why"));
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
		cell("state", badge(device), el("span.why", proof(device))),
		cell(device.phone ? "num" : "none", device.phone ? phone(device.phone) : "–"),
		cell(webhooks.length ? "" : "none", health(webhooks)),
		cell("last", last("in", last_in), last("out", last_out)),
		cell(
			"do",
			tool("gear", t("settings_of", { device: called }), () => openSettings(name)),
		),
	);
}

/** A green badge alone could lie: it carries the age of its proof. */
function proof(device) {
	const reason = why(device);
	if (reason) return reason;
	return device.proof_at && [t("devices.proof"), " ", ago(device.proof_at)];
}

const last = (way, iso) =>
	iso && el("span.row", icon(way), el("span.sr", t(`device.${way}`)), " ", ago(iso));
