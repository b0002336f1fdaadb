// What the rules of a device did.
import { ago, el, lines, muted } from "../dom.js";
import { t } from "../i18n.js";
import { state } from "../state.js";

/** The card of that device; nothing while it has no rules. */
export default function rules(name) {
	const known = state.rules.get(name) ?? [];
	return known.length > 0 && card(known);
}

const card = (rules) => el("section.card.stack", el("h2", t("rules.title")), lines(rules.map(did)));

const did = ({ name, hits, last_hit, skipped }) => [
	el("strong.grow", name),
	el("span.num", t("rules.hits", { n: hits })),
	skipped > 0 && muted(t("rules.skipped", { n: skipped })),
	last_hit && muted(ago(last_hit)),
];
