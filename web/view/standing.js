// What a device sent and what came of it, and what it may still send as far as anybody said.
import { get, pathOf } from "../api.js";
import { el, facts } from "../dom.js";
import { clock, t } from "../i18n.js";
import { changed, state } from "../state.js";

/** The card of that device: gives the function that draws it, nothing until it is known. */
export default function standing(name) {
	let known = null;
	/** The last message out when it was asked for. */
	let asked;

	async function load() {
		known = await get(pathOf(name, "standing"));
		changed();
	}
	return () => {
		const { last_out = null } = state.devices.get(name);
		if (asked !== last_out) load().catch(() => {});
		asked = last_out;
		return known && card(known);
	};
}

const card = ({ day, week, new_chats, pace, advice }) =>
	el(
		"section.card.stack",
		el("h2", t("standing.title")),
		advice && el("p.note.wait", t("standing.advice", { n: day.first_contacts })),
		facts(
			[t("standing.day"), happened(day)],
			[t("standing.week"), happened(week)],
			[new_chats && t("standing.said"), new_chats && quota(new_chats)],
			[pace && t("standing.pace"), pace && left(pace)],
		),
	);

function happened({ sent, first_contacts, answered, refused, locks }) {
	const count = (key, n, more) => n > 0 && el("p", t(`standing.${key}`, { n, ...more }));
	return [
		el("p", t("standing.sent", { n: sent })),
		count("first", first_contacts, { answered }),
		count("refused", refused),
		count("locks", locks),
	];
}

function quota({ used, total, until }) {
	const chats = t("standing.chats", { n: Math.max(total - used, 0) });
	const when = until && clock(until, { dateStyle: "medium", timeStyle: "short" });
	return [el("p", chats), when && el("p.muted", t("standing.until", { when }))];
}

function left({ messages, first_contacts }) {
	const count = (key, n) => n !== null && el("p", t(`standing.${key}`, { n }));
	const all = [count("sent", messages), count("chats", first_contacts)].filter(Boolean);
	return all.length ? all : t("standing.spread");
}
