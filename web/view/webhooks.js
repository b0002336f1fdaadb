// Deliveries: what each webhook of a device does, what its receiver answered, what was refused.
import { get, of, post } from "../api.js";
import {
	ago, ask, button, code, details, el, empty, facts, h1, input, lines, muted, pre, tell,
} from "../dom.js";
import { t } from "../i18n.js";
import { changed, state } from "../state.js";
import { attempt, chosen, hookState, pick, pill, trouble } from "./status.js";

const failing = ({ webhooks }) => webhooks.some(({ failing_since }) => failing_since);

export default function webhooks(signal, wanted) {
	const name = chosen(wanted, failing)?.name;
	const cards = new Map();

	return () => {
		const hooks = state.devices.get(name)?.webhooks ?? [];
		for (const { n } of hooks) if (!cards.has(n)) cards.set(n, card(name, n));
		return [
			el(".head", el("", h1(t("nav.webhooks"))), name && pick("webhooks", name)),
			hooks.length ? el(".stack", hooks.map((hook) => cards.get(hook.n)(hook)))
				: empty("webhooks", t("w.none_t"), t("w.none_why")),
		];
	};
}

function card(device, n) {
	const at = (rest) => of(device, `webhooks/${n}/${rest}`);
	let attempts = [];
	let dead = [];
	let next = null;
	let parked = 0;
	let told = null;

	async function recent() {
		const { webhooks } = await get(of(device, "webhooks"));
		attempts = webhooks.find((hook) => hook.n === n)?.attempts ?? [];
		changed();
	}
	/** Asks for the dead letters, or for those after the ones that are there. */
	async function letters(after) {
		const answer = await get(at(`dead-letters${after ? `?after=${after}` : ""}`));
		dead = [...(after ? dead : []), ...answer.dead_letters];
		changed(next = answer.next);
	}
	const command = (what, body) => async () => {
		const result = await post(at(what), body);
		if (result?.class) changed(told = result);
	};
	async function replay() {
		const hour = Date.now() - 36e5 - new Date().getTimezoneOffset() * 6e4;
		const value = new Date(hour).toISOString().slice(0, 16);
		const from = el("", input(t("w.from"), "from", "datetime-local", { value }));
		if (!(await ask(t("w.replay"), t("w.replay_why"), t("w.replay"), ".primary", from))) return;
		const since = new Date(from.querySelector("input").value).toISOString();
		await command("replay", { from: since })();
		tell(t("w.replaying"));
	}
	async function retry(id) {
		await command(`dead-letters/${id}/retry`)();
		await letters();
	}

	const letter = ({ id, status, code: word, reason, parked_at, tries, answer, body }) => [
		el(".grow", pill("bad", "alert", String(status ?? "–")), " ", ago(parked_at), " ", code(id),
			el("p.muted", trouble(word, reason), " ", t("w.tries", { n: tries })), answer && pre(answer),
			details(t("w.body"), pre(pretty(body)))),
		button("", "again", t("w.retry"), () => retry(id)),
	];

	return (hook) => {
		// The counter says that there were some; whether there still are has to be asked.
		if (hook.parked !== parked) letters();
		parked = hook.parked;
		const opened = ({ target }) => target.open && recent();
		const wrong = hook.last_status ? t("w.answered", { status: hook.last_status })
			: trouble(hook.last_code, hook.last_error);
		const active = hook.state === "active";
		return el("section.card.stack.hook",
			el(".head", el("h2.cut", hook.url), hookState(hook)),
			hook.failing_since && el("p.note.bad", wrong),
			facts(
				[t("w.backlog"), hook.backlog], [t("w.delivered"), hook.delivered],
				[hook.failing_since && t("w.since"), ago(hook.failing_since)],
				[hook.next_try && t("w.next"), ago(hook.next_try)]),
			el("details", { toggle: opened }, el("summary", t("w.attempts")),
				attempts.length ? lines(attempts.map((one) => attempt(one))) : el("p.muted", t("w.idle"))),
			dead.length > 0 && details(t("w.dead", { n: `${dead.length}${next ? "+" : ""}` }),
				el("p.hint", t("w.dead_why")),
				lines(dead.map(letter)), next && button("", "", t("w.more"), () => letters(next))),
			el("div", { role: "status" }, told && attempt(told, true)),
			el(".row.foot", button("", "send", "Test", command("test")),
				active ? button("", "pause", t("w.pause"), command("pause"))
					: button("", "play", t("w.resume"), command("resume")),
				button("", "again", t("w.replay"), replay)));
	};
}

const pretty = (body) => (body.startsWith("{") ? JSON.stringify(JSON.parse(body), null, 1) : body);
