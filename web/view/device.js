// One device: its state, what to do about it, and its details once it is linked.
import { pathOf, post } from "../api.js";
import { ago, button, code, el, empty, facts, h1, icon, lines, muted, tool } from "../dom.js";
import { phone, t } from "../i18n.js";
import { ask, tell } from "../overlay.js";
import { put, state } from "../state.js";
import { loading, openSettings, remove } from "./devices.js";
import link from "./link.js";
import { copyWorkflow } from "./n8n.js";
import rules from "./rules.js";
import standing from "./standing.js";
import { asOf, badge, hookState, why } from "./status.js";

const UNLINKED = ["pending", "linking", "logged_out"];
const NOTE = { CONNECTED: "wait", DISCONNECTED: "bad" };
/** What ended a linking that nobody cancelled, or stands in its way. */
const LINK_FAILED = [
	"link_failed",
	"qr_expired",
	"refused",
	"outdated",
	"banned",
	"pair_code_refused",
	"pair_code_expired",
	"passkey_failed",
];

/** Whether there is a link to make before there are details to show. */
const needsLink = ({ state, phone }) => UNLINKED.includes(state) || (state === "stopped" && !phone);

export default function device(signal, name) {
	const drawLink = link(signal, name);
	const drawStanding = standing(name);
	let neededLink = false;

	return () => {
		const device = state.devices.get(name);
		const back = el("a.back", { href: "#/devices" }, icon("back"), t("nav.devices"));
		if (!device) return [back, h1(name), state.ready ? missing(name) : loading()];
		const unlinked = needsLink(device);
		if (neededLink && !unlinked) tell(t("device.linked", { device: device.label || name }));
		neededLink = unlinked;
		return [
			back,
			head(device),
			device.reason && el(`p.note.${noteLook(device)}`, why(device)),
			unlinked ? drawLink(device) : [linked(device), rules(name), drawStanding()],
		];
	};
}

const noteLook = ({ status, reason }) =>
	LINK_FAILED.includes(reason) || reason.startsWith("unreachable") ? "bad" : (NOTE[status] ?? "");

const missing = (name) =>
	empty("devices", t("device.missing", { device: name }), t("device.missing_why"));

function head(device) {
	const { name, label } = device;
	return el(
		".head",
		el("div", h1(label || name), el("p.row", badge(device), code(name), muted(asOf()))),
		el(
			".acts",
			tool("gear", t("settings"), () => openSettings(name)),
			tool("bin", t("bin"), () => remove(name)),
		),
	);
}

function linked(device) {
	return el(
		".two.uneven",
		el("section.card.stack", deviceFacts(device), commands(device)),
		el("section.card.stack", webhooks(device)),
	);
}

function deviceFacts(device) {
	const since = device.status === "CONNECTED" ? "device.since_up" : "device.since_down";
	return facts(
		[t("number"), el("strong", device.phone ? phone(device.phone) : "–")],
		[t("device.account"), device.push_name ?? "–"],
		[t(since), ago(device.since)],
		[t("device.proof"), ago(device.proof_at) ?? "–"],
		[t("device.in"), ago(device.last_in) ?? "–"],
		[t("device.out"), ago(device.last_out) ?? "–"],
		[device.lid && "LID", device.lid],
	);
}

function commands(device) {
	const { name } = device;
	const command = (what) => async () => put(await post(pathOf(name, what)));
	const connected = device.status === "CONNECTED";
	const stopped = device.state === "stopped";

	async function logOut() {
		const title = t("device.logout_q", { device: device.label || name });
		const sure = await ask(title, t("device.logout_why"), "Log out", ".solid");
		if (sure) await command("logout")();
	}
	return el(
		".row.foot",
		connected && el("a.btn.primary", { href: `#/send/${name}` }, icon("send"), t("nav.send")),
		connected && el("a.btn", { href: `#/devices/${name}/groups` }, icon("group"), t("groups")),
		stopped &&
			device.reason !== "disabled" &&
			button(".primary", "", "START SESSION", command("start")),
		!stopped && button("", "again", t("reconnect"), command("reconnect")),
		!stopped && button("", "stop", t("stop"), command("stop")),
		button(".danger", "leave", "Log out", logOut),
	);
}

function webhooks({ name, webhooks }) {
	const line = (hook) => [
		hookState(hook),
		hook.backlog > 0 && muted(t("webhook.waiting", { n: hook.backlog })),
		hook.dropped > 0 && muted(t("webhook.dropped_n", { n: hook.dropped })),
		el("code.cut.whole", hook.url),
	];
	return [
		el(
			".head",
			el("h2", t("nav.webhooks")),
			el("a", { href: `#/webhooks/${name}` }, t("device.hooks")),
		),
		webhooks.length ? lines(webhooks.map(line)) : el("p.muted", t("webhook.none_why")),
		el(
			".row.foot",
			button("", "copy", t("device.n8n"), () => copyWorkflow(name)),
		),
	];
}
