// What is to go later: listed, changed and taken back until its time comes.
import { call, get, pathOf } from "../api.js";
import { button, el, input, muted } from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { ask } from "../overlay.js";
import { changed, news, state } from "../state.js";

/** The kinds whose words can be changed. */
const WORDED = ["text", "image", "video", "document"];

/** A time as a field for one has it: the browser's own, to the minute. */
function localTime(at) {
	const time = new Date(at);
	time.setMinutes(time.getMinutes() - time.getTimezoneOffset());
	return time.toISOString().slice(0, 16);
}

/**
 * @param {AbortSignal} signal
 * @param {string} wanted a device; nothing means all
 */
export default function later(signal, wanted) {
	/** @type {Map<string, any>} */
	const waiting = new Map();
	/** Which one is being changed. */
	let open = "";

	function keep(message) {
		if (wanted && message.device !== wanted) return;
		if (message.status === "scheduled") waiting.set(message.id, message);
		else waiting.delete(message.id);
		changed();
	}
	async function load(device) {
		const { messages } = await get(pathOf(device, "messages?status=scheduled"), signal);
		messages.forEach(keep);
	}
	function loadAll() {
		waiting.clear();
		const devices = wanted ? [wanted] : [...state.devices.keys()];
		for (const device of devices) load(device).catch(() => {});
	}
	news.addEventListener("message", (/** @type {any} */ { detail }) => keep(detail), { signal });
	news.addEventListener("missed", loadAll, { signal });
	loadAll();

	function edit(id) {
		open = id;
		changed();
	}

	function row(message) {
		const { id, device, text, kind, to, send_at } = message;
		const path = pathOf(device, `messages/${id}`);
		async function save({ target }) {
			const { text, send_at } = Object.fromEntries(new FormData(target));
			const body = { text, send_at: new Date(String(send_at)).toISOString() };
			const made = await call("PATCH", path, { body });
			open = "";
			keep({ ...message, text: text ?? message.text, send_at: made.send_at });
		}
		async function takeBack() {
			const yes = t("later.take_back");
			if (!(await ask(yes, t("later.sure"), yes, ".danger"))) return;
			await call("DELETE", path);
			keep({ ...message, status: "failed" });
		}
		const form = () =>
			el(
				"form.stack",
				{ submit: save },
				text !== null &&
					WORDED.includes(kind) &&
					input(t("field.text"), "text", "long", { value: text, required: true }),
				input(t("later.when"), "send_at", "datetime-local", {
					value: localTime(send_at),
					required: true,
				}),
				el(
					".row",
					el("button.primary", t("later.save")),
					button("", "", t("cancel"), () => edit("")),
				),
			);
		return el(
			"li",
			{ "data-key": id },
			el("strong.num", clock(send_at, { dateStyle: "medium", timeStyle: "short" })),
			el("span", phone(to)),
			muted(text ?? say("kind", kind)),
			open === id
				? form()
				: el(
						".row",
						button(".small", "", t("later.edit"), () => edit(id)),
						button(".small", "", t("later.take_back"), takeBack),
					),
		);
	}

	return () =>
		waiting.size > 0 &&
		el(
			"section.card.later",
			{ "data-key": "later" },
			el("h2", t("later.title")),
			el(
				"ul.lines",
				[...waiting.values()]
					.sort((one, other) => Date.parse(one.send_at) - Date.parse(other.send_at))
					.map(row),
			),
		);
}
