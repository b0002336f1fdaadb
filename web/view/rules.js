// What the rules of a device did.
import { get, pathOf } from "../api.js";
import { ago, el, facts, muted } from "../dom.js";
import { t } from "../i18n.js";
import { changed, state } from "../state.js";

/** The card of that device: gives the function that draws it, nothing while it has no rules. */
export default function rules(name) {
	let known = [];
	/** The last messages in and out when they were asked for. */
	let asked;

	async function load() {
		known = (await get(pathOf(name, "rules"))).rules;
		changed();
	}
	return () => {
		const { last_in, last_out } = state.devices.get(name);
		const now = `${last_in} ${last_out}`;
		if (asked !== now) load().catch(() => {});
		asked = now;
		return known.length > 0 && card(known);
	};
}

const card = (rules) =>
	el("section.card.stack", el("h2", t("rules.title")), facts(...rules.map(did)));

const did = ({ name, hits, last_hit, skipped }) => [
	name,
	[
		el("p", t("rules.hits", { n: hits }), " ", last_hit && muted(ago(last_hit))),
		skipped > 0 && el("p.muted", t("rules.skipped", { n: skipped })),
	],
];
