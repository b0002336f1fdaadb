// The live tail of one device or of all: what came in, what went out, how far it got. Kinds only,
// until texts are asked for.
import { get, of } from "../api.js";
import { ago, el, empty, h1, icon, input, muted } from "../dom.js";
import { phone, say, t } from "../i18n.js";
import { changed, news, state } from "../state.js";
import { EVENTS, TICK, pick } from "./status.js";

const KEEP = 200;
// It begins with the newest few.
const FEW = -10;
// A status is shown at the message it belongs to.
const TYPES = EVENTS.filter((type) => type !== "message.status");
const SIGN = { "message.sent": "out", out: "out", "message.received": "in" };

export default function messages(signal, wanted) {
	const rows = new Map();
	const seen = new Map();
	const names = () => (wanted ? [wanted] : [...state.devices.keys()]);
	let kind = "";
	let texts = false;

	function keep(row) {
		rows.set(row.id, row);
		while (rows.size > KEEP * 2) rows.delete(rows.keys().next().value);
		changed();
	}

	function sent({ id, device, created: at, to, code, detail, status, ...message }) {
		if (!names().includes(device)) return;
		const why = code && say("e", code, {}, detail);
		const what = [say("k", message.kind), why];
		keep({ id, device, type: "out", at, who: phone(to), what, status });
	}

	function happened({ id, type, timestamp: at, device, data }) {
		if (!TYPES.includes(type)) return;
		const { from = {}, text = data.emoji } = data;
		const who = from.name ?? phone(from.phone ?? data.chat ?? data.to ?? device);
		const kind = data.kind && say("k", data.kind);
		const what = [say("m", type), kind, data.group && t("m.group"), data.state];
		keep({ id, device, type, at, who, what, text });
	}

	/** What a device has to tell since it was asked last: nobody has connections to follow all. */
	async function ask(name, after, pages = 20) {
		const { events, cursor, next } = await get(of(name, `events?after=${after}`), signal);
		events.forEach(happened);
		return next && pages > 1 ? ask(name, cursor, pages - 1) : cursor;
	}
	const listed = (name) => get(of(name, "messages")).then(({ messages }) => messages.forEach(sent));
	const missed = () => names().forEach((name) => listed(name).catch(() => {}));

	const last = new Map();
	function moved() {
		for (const [name, { last_in, state: now, webhooks }] of state.devices) {
			const mark = [last_in, now, ...webhooks.map(({ cursor }) => cursor)].join();
			if (last.get(name) === mark) continue;
			last.set(name, mark);
			const place = seen.get(name) ?? Promise.resolve(FEW);
			seen.set(name, place.then((after) => ask(name, after)).catch(() => place));
		}
	}

	if (wanted) {
		const tail = new EventSource(of(wanted, `events?after=${FEW}`));
		for (const type of TYPES) tail.addEventListener(type, ({ data }) => happened(JSON.parse(data)));
		signal.addEventListener("abort", () => tail.close());
	} else {
		moved();
		news.addEventListener("changed", moved, { signal });
	}
	news.addEventListener("message", ({ detail }) => sent(detail), { signal });
	news.addEventListener("missed", missed, { signal });
	missed();

	function line({ id, device, type, at, who, what, text, status }) {
		const whose = !wanted && (state.devices.get(device)?.label || device);
		return el("li", { "data-key": id }, icon(SIGN[type] ?? "messages"),
			el(".grow", el("strong", who), el("p.muted", [whose, ...what].filter(Boolean).join(" · ")),
				texts && text && el("p.said", text)),
			el(".muted.end", status && el("span.row", icon(TICK[status], status), t(`t.${status}`)),
				ago(at)));
	}

	return () => {
		const shown = [...rows.values()].filter(({ type }) => !kind || type === kind)
			.sort((one, other) => (one.at < other.at ? 1 : -1)).slice(0, KEEP);
		const kinds = [["", t("m.all")], ...["out", ...TYPES].map((type) => [type, say("m", type)])];
		return [
			el(".head", h1(t("nav.messages")), pick("messages", wanted, t("m.devices"))),
			el(".row.filters",
				input(t("m.kind"), "kind", kinds, { change: ({ target }) => changed(kind = target.value) }),
				input(t("m.texts"), "texts", "checkbox",
					{ change: ({ target }) => changed(texts = target.checked) })),
			shown.length ? el("ol.card.lines.tail", shown.map(line))
				: empty("messages", t("m.none"), t("m.none_why")),
		];
	};
}
