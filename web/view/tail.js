// Every event as it comes, of one device or of all: kinds only, until texts are asked for.
import { ago, el, empty, icon, input } from "../dom.js";
import { phone, say, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { read, TYPES } from "./log.js";
import { TICK } from "./status.js";

/** How many lines are shown. */
const KEEP = 200;
/** How many events before now it begins with. */
const FEW = 10;
const SIGN = { "message.sent": "out", out: "out", "message.received": "in" };

/**
 * @param {AbortSignal} signal
 * @param {string} wanted a device; nothing means all
 */
export default function tail(signal, wanted) {
	const rows = new Map();
	let type = "";
	let texts = false;

	function keep(row) {
		rows.set(row.id, row);
		while (rows.size > KEEP * 2) rows.delete(rows.keys().next().value);
		changed();
	}

	/** A message that moonwa sent, with its status. */
	function keepSent({ id, device, created, to, kind, text, code, detail, status }) {
		const what = [say("kind", kind), code && say("error", code, {}, detail)];
		keep({ id, device, type: "out", at: created, who: phone(to), what, text, status });
	}

	/** An event, as webhooks get it. */
	function keepEvent({ id, type, timestamp, device, data }) {
		const { from = {}, text = data.emoji } = data;
		const who = from.name ?? phone(from.phone ?? data.chat ?? data.to ?? device);
		const kind = data.kind && say("kind", data.kind);
		const what = [say("event", type), kind, data.group && t("messages.group"), data.state];
		keep({ id, device, type, at: timestamp, who, what, text });
	}

	read(wanted, FEW, signal, keepEvent, keepSent);

	function chooseType({ target }) {
		type = target.value;
		changed();
	}
	function chooseTexts({ target }) {
		texts = target.checked;
		changed();
	}

	function line({ id, device, type, at, who, what, text, status }) {
		const whose = !wanted && (state.devices.get(device)?.label || device);
		return el(
			"li",
			{ "data-key": id },
			icon(SIGN[type] ?? "messages"),
			el(
				".grow",
				el("strong", who),
				el("p.muted", [whose, ...what].filter(Boolean).join(" · ")),
				texts && text && el("p.said", text),
			),
			el(
				".muted.end",
				status && el("span.row", icon(TICK[status], status), t(`progress.${status}`)),
				ago(at),
			),
		);
	}

	return () => {
		const newestFirst = (one, other) => Date.parse(other.at) - Date.parse(one.at);
		const matching = [...rows.values()].filter((row) => !type || row.type === type);
		const shown = matching.sort(newestFirst).slice(0, KEEP);
		return [
			el(
				".row.filters",
				input(t("messages.kind"), "kind", typeChoices(), { change: chooseType }),
				input(t("messages.texts"), "texts", "checkbox", { change: chooseTexts }),
			),
			shown.length
				? el("ol.card.lines.tail", shown.map(line))
				: empty("messages", t("messages.none"), t("messages.none_why")),
		];
	};
}

const typeChoices = () => [
	["", t("messages.all")],
	...["out", ...TYPES].map((type) => [type, say("event", type)]),
];
