// What several views share: how a state looks, what is said about it, and the choice of a device.
import { ago, el, icon, input, muted, pre } from "../dom.js";
import { clock, has, relative, say, t } from "../i18n.js";
import { state } from "../state.js";

/** What a webhook can be told of. */
export const EVENTS = [
	"message.received", "message.sent", "message.reaction", "message.edited", "message.revoked",
	"message.status", "poll.vote", "group.updated", "call.offer", "device.state", "identity.resolved",
];

/** The sign of each status a message passes through, in order. */
export const TICK = {
	queued: "clock", sent: "clock", accepted: "tick", delivered: "ticks", read: "ticks",
	played: "ticks", failed: "alert",
};

const SHORT = { dateStyle: "medium", timeStyle: "short" };
const LOOK = { CONNECTED: ["ok", "ok"], PENDING: ["wait", "clock"], DISCONNECTED: ["bad", "off"] };

export const pill = (look, sign, text) => el(`span.pill.${look}`, icon(sign), el("span", text));

/** The documented word, with an icon. */
export function badge({ status, state }) {
	const [look, sign] = state === "degraded" ? ["wait", "alert"] : LOOK[status];
	return pill(look, sign, status);
}

/** Why a device is as it is, in a sentence. */
export function why({ reason, state, detail, retry_at, until }) {
	if (!reason) return has(`state.${state}`) ? t(`state.${state}`) : null;
	const next = state === "reconnecting" && retry_at;
	return [say("r", reason, { detail }), next && t("r.next", { when: relative(next) }),
		until && t("r.until", { when: clock(until, SHORT) })].filter(Boolean).join(" ");
}

/** All of a device's webhooks in one word. */
export function health(webhooks) {
	const waiting = webhooks.reduce((sum, { backlog }) => sum + backlog, 0);
	const failing = webhooks.filter(({ failing_since }) => failing_since).length;
	const paused = webhooks.filter(({ state }) => state !== "active").length;
	if (!webhooks.length) return muted(t("w.none"));
	if (failing) return pill("bad", "alert", t("w.failing", { n: failing, waiting }));
	if (paused) return pill("wait", "pause", t("w.paused_n", { n: paused, waiting }));
	return pill("ok", "ok", t("w.fine", { n: webhooks.length }));
}

export function hookState({ state, failing_since, delivered }) {
	if (state === "paused") return pill("wait", "pause", t("w.paused"));
	if (state === "gone") return pill("bad", "stop", t("w.gone"));
	if (failing_since) return pill("bad", "alert", t("w.bad"));
	return delivered ? pill("ok", "ok", t("w.ok")) : pill("", "clock", t("w.idle"));
}

/** What came of one request to a receiver; `whole` with all of its answer. */
export function attempt({ status, error, code: word, at, took_ms, answer, ...one }, whole) {
	const [look, sign] = one.class === "delivered" ? ["ok", "ok"] : ["bad", "alert"];
	const line = [pill(look, sign, status ? String(status) : trouble(word, error)), " ", ago(at),
		muted(t("w.ms", { n: took_ms }))];
	if (!whole) return [line, answer && el("code.cut", answer)];
	return [el("p.row", line), answer ? pre(answer) : el("p.muted", t("w.no_answer"))];
}

/** Why there was no answer: words for the code, else moonwa's own sentence. */
export const trouble = (code, error) => say("a", code, {}, error ?? t("a.none"));

/** The device that the address names, else the first good one. */
export function chosen(name, good = ({ status }) => status === "CONNECTED") {
	const all = [...state.devices.values()];
	return state.devices.get(name) ?? all.find(good) ?? all[0];
}

/** The choice of a device, which the address names; `every` is offered when given. */
export function pick(view, chosen = "", every) {
	const names = [...state.devices.values()].map(({ name, label }) => [name, label || name]);
	const go = ({ target }) => (location.hash = `#/${view}/${target.value}`);
	const choices = every ? [["", every], ...names] : names;
	return input(t("nav.devices"), null, choices, { value: chosen, change: go });
}
