// The box for an answer, and the answers that are on their way: each goes once, however often it is tried.
import { now, pathOf, post, upload } from "../api.js";
import { button, complain, el, explain, icon, muted, tool } from "../dom.js";
import { clock, say, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { size } from "./bubble.js";
import { fileNameOf, keepDraft, keepSent, presentOf, writerOf } from "./chats.js";

/** The kinds of file by the beginning of their MIME type; others are documents. */
const UPLOADS = ["image", "video", "audio"];

const kindOf = (file) =>
	file ? (UPLOADS.find((kind) => file.type.startsWith(`${kind}/`)) ?? "document") : "text";

/** What a message answers, as an event says it. */
const quoteOf = (chat, message) => ({
	id: message.id,
	kind: message.kind,
	text: presentOf(chat, message).words,
	filename: fileNameOf(message),
});

/** Sends an answer that is pending, or tries again: under its key it goes at most once. */
async function send(chat, one) {
	const { key, text, file, quote, at } = one;
	const path = pathOf(chat.device, "messages");
	const headers = { "idempotency-key": key };
	const to = chat.address.replace("@s.whatsapp.net", "");
	const [kind, reply_to] = [kindOf(file), quote?.id];
	Object.assign(one, { why: null, part: null });
	changed();
	try {
		const made = file
			? await upload(path, formOf({ to, kind, reply_to }, one), headers, (part) => {
					one.part = part;
					changed();
				})
			: await post(path, { to, text, reply_to }, headers);
		chat.pending = chat.pending.filter((other) => other !== one);
		const by = state.session.name;
		keepSent({
			...made,
			device: chat.device,
			to: chat.address,
			kind,
			text,
			created: at,
			by,
			quote,
		});
	} catch (error) {
		one.why = explain(error);
	}
	changed();
}

/** Sends a reaction to a message; none takes the one from here back. */
export async function react(chat, { id: about }, emoji) {
	const to = chat.address.replace("@s.whatsapp.net", "");
	const reaction = { message: about, emoji };
	const made = await post(pathOf(chat.device, "messages"), { to, reaction });
	const { device, address } = chat;
	keepSent({ ...made, device, to: address, kind: "reaction", text: emoji, about });
}

/** An upload's parts; the file comes last, because the server streams it. */
function formOf(fields, { text, file }) {
	const form = new FormData();
	for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
	if (text && fields.kind !== "audio") form.append("caption", text);
	form.append("file", file);
	return form;
}

/** Has an answer go: it stands among the messages at once. */
export function begin(chat, text, file, quote) {
	const one = {
		key: crypto.getRandomValues(new Uint32Array(4)).join("-"),
		at: new Date(now()).toISOString(),
		text,
		file,
		quote,
	};
	chat.pending.push(one);
	send(chat, one);
}

/** An answer that is not taken yet. */
export function pendingBubble(chat, one) {
	const { key, at, text, file, part, why } = one;
	function discard() {
		chat.pending = chat.pending.filter((other) => other !== one);
		if (!chat.draft) {
			keepDraft(chat, text);
			document.querySelector("textarea").value = text;
		}
		changed();
	}
	return el(
		"li.turn.mine",
		{ "data-key": key },
		el(
			".said-by",
			el(
				".bubble",
				file &&
					el("p.what.row.paper", icon("clip"), el("span.cut", file.name), muted(size(file.size))),
				text && el("p.words", text),
				part !== null &&
					!why &&
					el("progress", { max: 1, value: part, "aria-label": t("send.upload") }),
				why
					? [
							el("p.failed", { role: "alert" }, why),
							el(
								".row",
								button(".small", "again", t("inbox.retry"), () => send(chat, one)),
								button(".small.quiet", "", t("later.edit"), discard),
							),
						]
					: el(
							"p.ticks.num",
							clock(at, { timeStyle: "short" }),
							icon("clock"),
							el("span.sr", t("inbox.sending")),
						),
			),
		),
	);
}

/**
 * @param {import("./chats.js").Chat} chat
 */
export default function answer(chat) {
	/** The file that goes with the answer. */
	let file = null;

	function submit({ target: form }) {
		const text = chat.draft.trim();
		if (!text && !file) return;
		if (file?.size > state.session.max_media) return complain(form, t("error.too_large"));
		const quote = chat.answered && quoteOf(chat, chat.answered);
		begin(chat, text, file, quote);
		// A sound has no words of its own: they go by themselves.
		if (text && kindOf(file) === "audio") begin(chat, text, null, null);
		keepDraft(chat, "");
		chat.answered = null;
		drop(form);
		form.elements.text.value = "";
	}

	function drop(form) {
		file = null;
		form.elements.file.value = "";
		changed();
	}

	function typed({ target }) {
		if (target.name === "text") return keepDraft(chat, target.value);
		file = target.files[0] ?? file;
		changed();
	}

	/** Enter sends where there is a keyboard; on a phone it begins a new line. */
	function pressed(event) {
		if (event.key === "Escape" && chat.answered) return dismiss();
		if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
		if (matchMedia("(pointer:coarse)").matches) return;
		event.preventDefault();
		event.target.form.requestSubmit();
	}

	function dismiss() {
		chat.answered = null;
		changed();
	}

	function answered(message) {
		const who = message.mine ? t("messages.you") : writerOf(message) || t("inbox.reply");
		const { words } = presentOf(chat, message);
		return el(
			".row.aside",
			el(
				".what.quote.grow",
				el("strong", who),
				el("span", words || fileNameOf(message) || say("kind", message.kind)),
			),
			tool("x", t("cancel"), dismiss),
		);
	}

	return () => {
		const connected = state.devices.get(chat.device)?.status === "CONNECTED";
		return el(
			"form.answer",
			{ novalidate: true, input: typed, submit, "data-key": chat.key },
			!connected && el("p.hint", t("messages.waits")),
			chat.answered && answered(chat.answered),
			file &&
				el(
					".row.aside",
					el("p.what.row.grow", icon("clip"), el("span.cut", file.name), muted(size(file.size))),
					tool("x", t("cancel"), ({ target }) => drop(target.closest("form"))),
				),
			el(
				".row",
				el(
					"label.btn.quiet.icon.file",
					{ title: t("messages.attach") },
					icon("clip"),
					el("span.sr", t("messages.attach")),
					el("input.sr", { type: "file", name: "file" }),
				),
				el(
					"label.grow",
					el("span.sr", t("messages.answer")),
					el(
						"textarea",
						{ name: "text", rows: 1, placeholder: t("messages.answer"), keydown: pressed },
						chat.draft,
					),
				),
				el(
					"button.primary.icon",
					{ "aria-label": t("send.send"), title: t("send.send") },
					icon("send"),
				),
			),
		);
	};
}
