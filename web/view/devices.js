// The Device list: cards on a phone, a table on a desktop.
import { ago, button, code, el, empty, h1, icon, muted, tool } from "../dom.js";
import { phone, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { badge, health, why } from "./status.js";

const MANY = 8;

export const settings = async (name) => (await import("./settings.js")).settings(name);

export default function devices() {
	let wanted = "";
	const search = ({ target }) => changed(wanted = target.value.trim().toLowerCase());
	const matches = ({ name, label, phone, status }) =>
		`${name} ${label} ${phone ?? ""} ${status}`.toLowerCase().includes(wanted);

	return () => {
		const all = [...state.devices.values()];
		const shown = all.filter(matches);
		const up = all.filter(({ status }) => status === "CONNECTED").length;
		const none = all.length ? el("p.muted", t("devices.nothing"))
			: empty("devices", t("devices.none"), t("devices.none_why"));
		const add = button(".primary", "plus", "Add Device", () => settings(null));
		return [
			el(".head", el("", h1(t("nav.devices")),
				el("p.muted", all.length > 0 && t("devices.sum", { n: all.length, up }))), add),
			(all.length > MANY || wanted) && el("label.find", el("span.sr", t("devices.find")),
				el("input", { type: "search", placeholder: t("devices.find"), input: search })),
			shown.length ? table(shown) : state.ready ? none : loading(),
		];
	};
}

/** What stands there until the first answer. */
export const loading = () => el("p.empty", el("span.spin"), el("span.sr", t("loading")));

const HEADS = ["Session Name", "status", "number", "nav.webhooks", "devices.last", "settings"];

// The roles are said, because cards are no table to a browser.
function table(devices) {
	const cell = (look, ...inside) => el(`td.${look}`, { role: "cell" }, inside);
	const head = (key) => el("th", { role: "columnheader" }, t(key));
	return el("table.list", { role: "table", "aria-label": t("nav.devices") },
		el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, HEADS.map(head))),
		el("tbody", { role: "rowgroup" }, devices.map((device) => {
			const { name, label, webhooks, last_in, last_out } = device;
			const called = label || name;
			return el("tr", { role: "row", "data-key": name },
				el("th.name", { role: "rowheader" },
					el("a.stretch", { href: `#/devices/${name}` }, called), code(name)),
				cell("state", badge(device), el("span.why", proof(device))),
				cell(device.phone ? "num" : "none", device.phone ? phone(device.phone) : "–"),
				cell(webhooks.length ? "" : "none", health(webhooks)),
				cell("last", last("in", last_in), last("out", last_out)),
				cell("do", tool("gear", t("settings_of", { device: called }), () => settings(name))));
		})));
}

/** A green badge alone could lie: it carries the age of its proof. */
const proof = (device) =>
	why(device) ?? (device.proof_at && [t("devices.proof"), " ", ago(device.proof_at)]);

const last = (way, iso) =>
	iso && el("span.row", icon(way), el("span.sr", t(`d.${way}`)), " ", ago(iso));
