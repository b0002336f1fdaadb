// One device: its state, what to do about it, and its details once it is linked.
import { of, post } from "../api.js";
import {
	ago, ask, button, code, el, empty, facts, h1, icon, lines, muted, tell, tool,
} from "../dom.js";
import { phone, t } from "../i18n.js";
import { put, state } from "../state.js";
import { loading, settings } from "./devices.js";
import link from "./link.js";
import { badge, hookState, why } from "./status.js";

const UNLINKED = ["pending", "linking", "logged_out"];
const NOTE = { CONNECTED: "wait", DISCONNECTED: "bad" };

export default function device(signal, name) {
	const linking = link(signal, name);
	const remove = async () => (await import("./settings.js")).remove(name);
	let before = null;

	return () => {
		const device = state.devices.get(name);
		const back = el("a.back", { href: "#/devices" }, icon("back"), t("nav.devices"));
		if (!device) {
			const gone = empty("devices", t("d.missing", { device: name }), t("d.missing_why"));
			return [back, h1(name), state.ready ? gone : loading()];
		}
		const called = device.label || name;
		const open = UNLINKED.includes(device.state) || (device.state === "stopped" && !device.phone);
		if (before && !open) tell(t("d.linked", { device: called }));
		before = open;
		return [
			back,
			el(".head", el("", h1(called), el("p.row", badge(device), code(name))), el(".acts",
				tool("gear", t("settings"), () => settings(name)), tool("bin", t("bin"), remove))),
			device.reason && el(`p.note.${NOTE[device.status]}`, why(device)),
			open ? linking(device) : linked(device),
		];
	};
}

function linked({ name, label, ...device }) {
	const command = (what) => async () => put(await post(of(name, what)));
	const up = device.status === "CONNECTED";
	const stopped = device.state === "stopped";
	async function logOut() {
		const title = t("d.logout_q", { device: label || name });
		if (await ask(title, t("d.logout_why"), "Log out", ".solid")) await command("logout")();
	}
	const hook = (hook) => [hookState(hook), el("code.cut", hook.url),
		hook.backlog > 0 && muted(t("w.waiting", { n: hook.backlog }))];
	return el(".stack",
		el("section.card.stack",
			facts(
				[t("number"), el("strong", device.phone ? phone(device.phone) : "–")],
				[t("d.account"), device.push_name ?? "–"],
				[t(up ? "d.since_up" : "d.since_down"), ago(device.since)],
				[t("d.proof"), ago(device.proof_at) ?? "–"],
				[t("d.in"), ago(device.last_in) ?? "–"],
				[t("d.out"), ago(device.last_out) ?? "–"],
				[device.lid && "LID", device.lid]),
			el(".row.foot",
				up && el("a.btn.primary", { href: `#/send/${name}` }, icon("send"), t("nav.send")),
				stopped && device.reason !== "disabled"
					&& button(".primary", "", "START SESSION", command("start")),
				!stopped && button("", "again", t("reconnect"), command("reconnect")),
				!stopped && button("", "stop", t("stop"), command("stop")),
				button(".danger", "leave", "Log out", logOut))),
		el("section.card.stack",
			el(".head", el("h2", t("nav.webhooks")), el("a", { href: `#/webhooks/${name}` }, t("d.hooks"))),
			device.webhooks.length ? lines(device.webhooks.map(hook)) : el("p.muted", t("w.none_why"))));
}
