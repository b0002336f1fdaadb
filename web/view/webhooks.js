// Deliveries: what each webhook of a device does, what its receiver answered, what was refused.
import { get, pathOf, post } from "../api.js";
import { ago, button, code, details, el, empty, facts, h1, input, lines, pre } from "../dom.js";
import { t } from "../i18n.js";
import { ask, tell } from "../overlay.js";
import { changed, state } from "../state.js";
import {
	asOf,
	attemptLine,
	chosen,
	devicePicker,
	hookState,
	pill,
	trouble,
	wholeAttempt,
} from "./status.js";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** @param {import("../state.js").Device} device */
const failing = ({ webhooks }) => webhooks.some(({ failing_since }) => failing_since);

export default function webhooks(_signal, wanted) {
	const name = chosen(wanted, failing)?.name;
	const cards = new Map();

	function card(hook) {
		if (!cards.has(hook.n)) cards.set(hook.n, makeCard(name, hook.n));
		return cards.get(hook.n)(hook);
	}
	return () => {
		const hooks = state.devices.get(name)?.webhooks ?? [];
		return [
			el(".head", h1(t("nav.webhooks")), name && devicePicker("webhooks", name)),
			hooks.length
				? el(".stack", hooks.map(card))
				: empty("webhooks", t("webhook.none_t"), t("webhook.none_why")),
		];
	};
}

/** The card of the n-th webhook of a device: gives the function that draws it. */
function makeCard(device, n) {
	const path = (rest) => pathOf(device, `webhooks/${n}/${rest}`);
	/** Unknown until they were asked for. */
	let attempts = null;
	let deadLetters = [];
	/** The dead letter after which there are more. */
	let more = null;
	/** What the counters said when the dead letters were asked for last. */
	let counted = "0 0";
	/** What came of the Test button. */
	let tested = null;

	async function loadAttempts() {
		const { webhooks } = await get(pathOf(device, "webhooks"));
		attempts = webhooks.find((hook) => hook.n === n)?.attempts ?? [];
		changed();
	}

	/** @param {string} [after] asks for those after it, else for all from the first */
	async function loadDeadLetters(after) {
		const query = after ? `?after=${after}` : "";
		const answer = await get(path(`dead-letters${query}`));
		deadLetters = [...(after ? deadLetters : []), ...answer.dead_letters];
		more = answer.next;
		changed();
	}

	async function test() {
		tested = await post(path("test"));
		changed();
	}
	const command = (what) => () => post(path(what));

	async function replay() {
		const from = await askForStart();
		if (!from) return;
		await post(path("replay"), { from });
		tell(t("webhook.replaying"));
	}

	async function retry(id) {
		await post(path(`dead-letters/${id}/retry`));
		await loadDeadLetters();
	}

	function deadLetter({ id, status, code: word, reason, parked_at, tries, answer, body }) {
		return [
			el(
				".grow",
				pill("bad", "alert", String(status ?? "–")),
				" ",
				ago(parked_at),
				" ",
				code(id),
				el("p.muted", trouble(word, reason), " ", t("webhook.tries", { n: tries })),
				answer && pre(answer),
				details(t("webhook.body"), pre(pretty(body))),
			),
			button("", "again", t("webhook.retry"), () => retry(id)),
		];
	}

	function deadLetterList({ dead_letters: n }) {
		return details(
			t("webhook.dead", { n }),
			el("p.hint", t("webhook.dead_why")),
			lines(deadLetters.map(deadLetter)),
			more && button("", "", t("webhook.more"), () => loadDeadLetters(more)),
		);
	}

	function attemptList() {
		const toggle = ({ target }) => {
			if (target.open) loadAttempts();
		};
		const none = attempts ? t("webhook.idle") : t("loading");
		return el(
			"details",
			{ toggle },
			el("summary", t("webhook.attempts")),
			attempts?.length ? lines(attempts.map(attemptLine)) : el("p.muted", none),
		);
	}

	return (hook) => {
		const count = `${hook.parked} ${hook.dead_letters}`;
		if (count !== counted) loadDeadLetters().catch(() => {});
		counted = count;
		return el(
			"section.card.stack.hook",
			el(".head", el("h2.cut", hook.url), hookState(hook)),
			state.asOf && el("p.muted", asOf()),
			hook.failing_since && el("p.note.bad", whatIsWrong(hook)),
			hook.at_risk && el("p.note.bad", t("webhook.risk_why")),
			hookFacts(hook),
			attemptList(),
			deadLetters.length > 0 && deadLetterList(hook),
			el("div", { role: "status" }, tested && wholeAttempt(tested)),
			el(
				".row.foot",
				button("", "send", "Test", test),
				hook.state === "active"
					? button("", "pause", t("webhook.pause"), command("pause"))
					: button("", "play", t("webhook.resume"), command("resume")),
				button("", "again", t("webhook.replay"), replay),
			),
		);
	};
}

function whatIsWrong({ last_status, last_code, last_error }) {
	if (last_status) return t("webhook.answered", { status: last_status });
	return trouble(last_code, last_error);
}

const hookFacts = ({ backlog, delivered, dead_letters, dropped, failing_since, next_try }) =>
	facts(
		[t("webhook.backlog"), backlog],
		[t("webhook.delivered"), delivered],
		[t("webhook.refused"), dead_letters],
		[dropped > 0 && t("webhook.dropped"), dropped],
		[failing_since && t("webhook.since"), ago(failing_since)],
		[next_try && t("webhook.next"), ago(next_try)],
	);

/** Asks since when everything shall be sent again; nothing is a no. */
async function askForStart() {
	// The field wants the time of the place, without a zone.
	const hourAgo = Date.now() - HOUR - new Date().getTimezoneOffset() * MINUTE;
	const value = new Date(hourAgo).toISOString().slice(0, 16);
	const field = el("div", input(t("webhook.from"), "from", "datetime-local", { value }));
	const title = t("webhook.replay");
	const sure = await ask(title, t("webhook.replay_why"), title, ".primary", field);
	return sure && new Date(field.querySelector("input").value).toISOString();
}

const pretty = (body) => (body.startsWith("{") ? JSON.stringify(JSON.parse(body), null, 1) : body);
