// The live tail of one device or of all: what came in, what went out, how far it got. Kinds only,
// until texts are asked for.
import { get, pathOf } from "../api.js";
import { ago, el, empty, h1, icon, input } from "../dom.js";
import { phone, say, t } from "../i18n.js";
import { changed, news, state } from "../state.js";
import { devicePicker, EVENTS, TICK } from "./status.js";

/** How many lines are shown. */
const KEEP = 200;
/** How many events before now it begins with. */
const FEW = -10;
/** How many pages of events are asked for at once, to catch up. */
const PAGES = 20;
/** A status is shown at the message it belongs to. */
const TYPES = EVENTS.filter((type) => type !== "message.status");
const SIGN = { "message.sent": "out", out: "out", "message.received": "in" };

/** @param {AbortSignal} signal @param {string} [wanted] a device; absent means all */
export default function messages(signal, wanted) {
	const rows = new Map();
	let type = "";
	let texts = false;

	const names = () => (wanted ? [wanted] : [...state.devices.keys()]);

	function keep(row) {
		rows.set(row.id, row);
		while (rows.size > KEEP * 2) rows.delete(rows.keys().next().value);
		changed();
	}

	/** A message that moonwa sent, with its status. */
	function keepSent({ id, device, created, to, kind, code, detail, status }) {
		if (!names().includes(device)) return;
		const what = [say("kind", kind), code && say("error", code, {}, detail)];
		keep({ id, device, type: "out", at: created, who: phone(to), what, status });
	}

	/** An event, as webhooks get it. */
	function keepEvent({ id, type, timestamp, device, data }) {
		if (!TYPES.includes(type)) return;
		const { from = {}, text = data.emoji } = data;
		const who = from.name ?? phone(from.phone ?? data.chat ?? data.to ?? device);
		const kind = data.kind && say("kind", data.kind);
		const what = [say("event", type), kind, data.group && t("messages.group"), data.state];
		keep({ id, device, type, at: timestamp, who, what, text });
	}

	async function loadSent(name) {
		const { messages } = await get(pathOf(name, "messages"));
		messages.forEach(keepSent);
	}
	function loadAllSent() {
		// What cannot be had now comes with the stream, or after the next connection.
		for (const name of names()) loadSent(name).catch(() => {});
	}

	if (wanted) follow(wanted, signal, keepEvent);
	else followAll(signal, keepEvent);
	news.addEventListener("message", (/** @type {any} */ { detail }) => keepSent(detail), { signal });
	news.addEventListener("missed", loadAllSent, { signal });
	loadAllSent();

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
		const newestFirst = (one, other) => (one.at < other.at ? 1 : -1);
		const matching = [...rows.values()].filter((row) => !type || row.type === type);
		const shown = matching.sort(newestFirst).slice(0, KEEP);
		return [
			el(".head", h1(t("nav.messages")), devicePicker("messages", wanted, t("messages.devices"))),
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

/** Follows the events of one device. */
function follow(name, signal, keepEvent) {
	const stream = new EventSource(pathOf(name, `events?after=${FEW}`));
	for (const type of TYPES) {
		stream.addEventListener(type, ({ data }) => keepEvent(JSON.parse(data)));
	}
	signal.addEventListener("abort", () => stream.close());
}

/** Follows the events of all devices: nobody has connections for a stream of each. */
function followAll(signal, keepEvent) {
	/** How far each device was read, as soon as that is known. */
	const cursors = new Map();
	/** What each device looked like when it was read last. */
	const marks = new Map();

	async function read(name, after, pages = PAGES) {
		const path = pathOf(name, `events?after=${after}`);
		const { events, cursor, next } = await get(path, signal);
		events.forEach(keepEvent);
		return next && pages > 1 ? read(name, cursor, pages - 1) : cursor;
	}

	function readWhatMoved() {
		for (const [name, { last_in, state: now, webhooks }] of state.devices) {
			const mark = [last_in, now, ...webhooks.map(({ cursor }) => cursor)].join();
			if (marks.get(name) === mark) continue;
			marks.set(name, mark);
			const cursor = cursors.get(name) ?? Promise.resolve(FEW);
			cursors.set(
				name,
				cursor.then((after) => read(name, after)).catch(() => cursor),
			);
		}
	}
	readWhatMoved();
	news.addEventListener("changed", readWhatMoved, { signal });
}
