// What several views share: how a state looks, what is said about it, and the choice of a device.
import { now } from "../api.js";
import { ago, el, icon, input, muted, pre } from "../dom.js";
import { clock, has, relative, say, t } from "../i18n.js";
import { state as page } from "../state.js";

/**
 * @typedef {import("../state.js").Device} Device
 * @typedef {import("../state.js").Webhook} Webhook
 */

/** What a webhook can be told of. */
export const EVENTS = [
	"message.received",
	"message.sent",
	"message.reaction",
	"message.edited",
	"message.revoked",
	"message.undecryptable",
	"message.status",
	"poll.vote",
	"group.updated",
	"call.offer",
	"call.ended",
	"device.state",
	"identity.resolved",
	"status.received",
	"channel.received",
	"label.updated",
	"presence.updated",
];

/** The icon of each status a message passes through, in order. */
export const TICK = {
	scheduled: "clock",
	queued: "clock",
	sent: "clock",
	accepted: "tick",
	delivered: "ticks",
	read: "ticks",
	played: "ticks",
	failed: "alert",
};

/** The look and the icon of each documented status. */
const STATUS = {
	CONNECTED: { look: "ok", sign: "ok" },
	PENDING: { look: "wait", sign: "clock" },
	DISCONNECTED: { look: "bad", sign: "off" },
};

/** A state in a word. It is grey when it may be old. */
export const pill = (look, sign, text) =>
	el(`span.pill.${page.asOf ? "" : look}`, icon(sign), el("span", text));

/** Until when what is shown was true, while moonwa does not answer. */
export const asOf = () =>
	page.asOf && t("as_of", { time: clock(page.asOf, { timeStyle: "medium" }) });

/**
 * The documented word, with an icon.
 * @param {Device} device
 */
export function badge({ status, state }) {
	if (state === "degraded") return pill("wait", "alert", status);
	const { look, sign } = STATUS[status];
	return pill(look, sign, status);
}

/**
 * Why a device is as it is, in a sentence; nothing when there is nothing to explain.
 * @param {Device} device
 */
export function why({ reason, state, detail, retry_at, until }) {
	if (!reason) return has(`state.${state}`) ? t(`state.${state}`) : null;
	const sentences = [say("reason", reason, { detail })];
	if (state === "reconnecting" && retry_at && Date.parse(retry_at) > now()) {
		sentences.push(t("reason.next", { when: relative(retry_at) }));
	}
	if (until) {
		const when = clock(until, { dateStyle: "medium", timeStyle: "short" });
		sentences.push(t("reason.until", { when }));
	}
	return sentences.join(" ");
}

/**
 * All of a device's webhooks in one word.
 * @param {Webhook[]} webhooks
 */
export function health(webhooks) {
	const sum = (key) => webhooks.reduce((total, hook) => total + hook[key], 0);
	const [waiting, dead] = [sum("backlog"), sum("dead_letters")];
	const failing = webhooks.filter(({ failing_since }) => failing_since).length;
	const paused = webhooks.filter(({ state }) => state !== "active").length;
	if (!webhooks.length) return muted(t("webhook.none"));
	if (webhooks.some(({ at_risk }) => at_risk)) {
		return pill("bad", "alert", t("webhook.risk_n", { waiting }));
	}
	if (failing) return pill("bad", "alert", t("webhook.failing", { n: failing, waiting }));
	if (dead) return pill("bad", "alert", t("webhook.dead_n", { n: dead }));
	if (paused) return pill("wait", "pause", t("webhook.paused_n", { n: paused, waiting }));
	// Green is for what was proven: of a webhook that was never used nothing is known.
	const used = webhooks.filter(({ delivered }) => delivered > 0).length;
	if (!used) return pill("", "clock", t("webhook.idle"));
	return pill("ok", "ok", t("webhook.fine", { n: used }));
}

/**
 * One webhook in one word.
 * @param {Webhook} webhook
 */
export function hookState({ state, failing_since, delivered, dead_letters, at_risk }) {
	if (at_risk) return pill("bad", "alert", t("webhook.risk"));
	if (state === "paused") return pill("wait", "pause", t("webhook.paused"));
	if (state === "gone") return pill("bad", "stop", t("webhook.gone"));
	if (failing_since) return pill("bad", "alert", t("webhook.bad"));
	if (dead_letters) return pill("bad", "alert", t("webhook.dead_n", { n: dead_letters }));
	if (delivered) return pill("ok", "ok", t("webhook.ok"));
	return pill("", "clock", t("webhook.idle"));
}

/** What came of one request to a receiver, in a line. */
export function attemptLine(attempt) {
	return [attemptSummary(attempt), attempt.answer && el("code.cut", attempt.answer)];
}

/** What came of one request to a receiver, with all of its answer. */
export function wholeAttempt(attempt) {
	const { answer } = attempt;
	return [
		el("p.row", attemptSummary(attempt)),
		answer ? pre(answer) : el("p.muted", t("webhook.no_answer")),
	];
}

function attemptSummary({ class: outcome, status, code, error, at, took_ms }) {
	const good = outcome === "delivered";
	const words = status ? String(status) : trouble(code, error);
	return [
		pill(good ? "ok" : "bad", good ? "ok" : "alert", words),
		" ",
		ago(at),
		muted(t("webhook.ms", { n: took_ms })),
	];
}

/** Why there was no answer: words for the code, else moonwa's own sentence. */
export const trouble = (code, error) => say("attempt", code, {}, error ?? t("attempt.none"));

/** @param {Device} device */
const connected = ({ status }) => status === "CONNECTED";

/** The device that the address names, else the first good one. */
export function chosen(name, good = connected) {
	const all = [...page.devices.values()];
	return page.devices.get(name) ?? all.find(good) ?? all[0];
}

/**
 * The choice of a device, which the address names.
 * @param {string} view
 * @param {string} [chosen]
 * @param {string} [every] what the choice of all devices is called, where there is one
 */
export function devicePicker(view, chosen = "", every) {
	const names = [...page.devices.values()].map(({ name, label }) => [name, label || name]);
	const choices = every ? [["", every], ...names] : names;
	const change = ({ target }) => {
		location.hash = `#/${view}/${target.value}`;
	};
	return input(t("nav.devices"), null, choices, { value: chosen, change });
}
