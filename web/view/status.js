// How a state looks and what is said about it, wherever a device or a webhook appears.
import { ago, code, el, icon, muted, pre } from "../dom.js";
import { clock, has, relative, say, t } from "../i18n.js";

/** What a webhook can be told of. */
export const EVENTS = [
	"message.received", "message.sent", "message.reaction", "message.edited", "message.revoked",
	"message.status", "poll.vote", "group.updated", "call.offer", "device.state", "identity.resolved",
];

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
	const when = until && clock(until, { dateStyle: "medium", timeStyle: "short" });
	const more = when && has(`r.${reason}.until`) ? `${reason}.until` : reason;
	const text = say("r", more, { detail, until: when });
	const next = state === "reconnecting" && retry_at;
	return next ? `${text} ${t("r.next", { when: relative(retry_at) })}` : text;
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
