// One conversation: its bubbles, oldest first, and the box for an answer.
import { pathOf, post, upload } from "../api.js";
import { el, h1, icon, muted } from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { fileOf, keepSent, look, messagesOf, titleOf, writerOf } from "./chats.js";
import { asOf, TICK } from "./status.js";

/** The kinds of file by the beginning of their MIME type; others are documents. */
const UPLOADS = ["image", "video", "audio"];

/**
 * @param {import("./chats.js").Chat} chat
 * @param {string} back where the list is
 * @param {() => any} further gives what asks for older messages, where there may be some
 */
export default function talk(chat, back, further) {
	const path = pathOf(chat.device, "messages");
	/** The files that WhatsApp no longer has, by their messages. */
	const gone = new Set();
	/** The file that goes with the answer, and how much of it is up. */
	let file = null;
	let progress = null;

	async function submit({ target: form }) {
		const text = chat.draft.trim();
		if (!text && !file) return;
		// One press is one message, even if the answer is lost and the browser asks again.
		const random = crypto.getRandomValues(new Uint32Array(4)).join("-");
		const headers = { "idempotency-key": random };
		const to = chat.address.replace("@s.whatsapp.net", "");
		const kind = file ? kindOf(file) : "text";
		const made = file
			? await uploadFile({ to, kind, text }, headers)
			: await post(path, { to, text }, headers);
		chat.draft = "";
		file = null;
		form.reset();
		form.elements.text.value = "";
		const created = new Date().toISOString();
		keepSent({ ...made, device: chat.device, to: chat.address, kind, text, created });
	}

	async function uploadFile({ to, kind, text }, headers) {
		const data = new FormData();
		data.append("to", to);
		data.append("kind", kind);
		if (text && kind !== "audio") data.append("caption", text);
		data.append("file", file);
		const moved = (part) => {
			progress = part;
			changed();
		};
		try {
			return await upload(path, data, headers, moved);
		} finally {
			progress = null;
		}
	}

	function typed({ target }) {
		if (target.name === "text") chat.draft = target.value;
		if (target.name === "file") file = target.files[0] ?? null;
		changed();
	}

	/** Enter sends where there is a keyboard; on a phone it begins a new line. */
	function pressed(event) {
		if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
		if (!matchMedia("(pointer:fine)").matches) return;
		event.preventDefault();
		event.target.form.requestSubmit();
	}

	function lost(id) {
		gone.add(id);
		changed();
	}

	/** What a message has beside its words. */
	function attachment(message) {
		const { id, kind, media, details = {} } = message;
		if (gone.has(id)) return el("p.what", t("error.media_expired"));
		if (!media) return withoutFile(message);
		const src = fileOf(chat, message);
		const error = () => lost(id);
		const name = details.filename ?? media.filename ?? say("kind", kind);
		switch (kind) {
			case "image":
			case "sticker":
				return el(
					"a",
					{ href: src, download: "" },
					el("img", { src, alt: name, loading: "lazy", error }),
				);
			case "video":
				return el("video", { src, controls: true, preload: "none", "aria-label": name, error });
			case "audio":
			case "voice":
				return el("audio", { src, controls: true, preload: "none", "aria-label": name, error });
			default:
				return el(
					"a.what.row",
					{ href: src, download: "" },
					icon("down"),
					el("span.cut", name),
					muted(size(media.size)),
				);
		}
	}

	function bubble(message, before) {
		const { id, at, mine, text, quote, status, code, detail } = message;
		const mark = chat.marks.get(id);
		const isGroup = chat.address.endsWith("@g.us");
		const writer = isGroup && !mine && before?.from?.jid !== message.from?.jid && writerOf(message);
		const emojis = [...new Set(mark?.reactions.values())].filter(Boolean);
		const words = mark?.text ?? text;
		return [
			day(at) !== day(before?.at) && el("li.day", { "data-key": `day ${id}` }, el("span", day(at))),
			el(
				`li.turn${mine ? ".mine" : ""}`,
				{ "data-key": id },
				el(
					".bubble",
					writer && el("strong.writer", writer),
					mark?.deleted
						? el("p.muted", t("messages.deleted"))
						: [
								quote?.text && el("p.what.quote", quote.text),
								attachment(message),
								words && el("p", words),
							],
					el(
						"p.ticks.num",
						mark?.text && !mark.deleted && t("messages.edited"),
						el("span", { title: clock(at) }, clock(at, { timeStyle: "short" })),
						status && [icon(TICK[status], status), el("span.sr", t(`progress.${status}`))],
					),
					status === "failed" && el("p.failed", say("error", code, {}, detail)),
				),
				emojis.length > 0 &&
					el(
						"span.emojis",
						{ "aria-label": t("messages.reactions"), role: "img" },
						emojis.join(" "),
					),
			),
		];
	}

	function answerForm() {
		const connected = state.devices.get(chat.device)?.status === "CONNECTED";
		return el(
			"form.answer",
			{ novalidate: true, input: typed, submit, "data-key": chat.key },
			!connected && el("p.hint", t("messages.waits")),
			file && el("p.hint.row", icon("clip"), el("span.cut", file.name), muted(size(file.size))),
			progress !== null &&
				el("progress", { max: 1, value: progress, "aria-label": t("send.upload") }),
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
	}

	return () => {
		look(chat);
		const all = messagesOf(chat);
		const title = titleOf(chat);
		const { label } = state.devices.get(chat.device) ?? {};
		return el(
			"section.talk",
			{ "data-key": chat.key, "aria-label": title },
			el(
				".head.with",
				el(
					"a.btn.quiet.icon.only-phone",
					{ href: back, "aria-label": t("nav.messages") },
					icon("back"),
				),
				avatar(title),
				el(
					"div",
					h1(title),
					el(
						"p.muted.cut",
						[phone(chat.address), label || chat.device, asOf()].filter(Boolean).join(" · "),
					),
				),
			),
			el(
				".scroll",
				{ tabindex: 0, role: "log", "aria-label": title },
				el(
					"ol.bubbles",
					further() &&
						el(
							"li.day",
							{ "data-key": "more" },
							el("button.small", { type: "button", click: further() }, t("messages.earlier")),
						),
					all.map((message, n) => bubble(message, all[n - 1])),
				),
			),
			answerForm(),
		);
	};
}

/** The first letter of a name, in place of a picture. */
export const avatar = (title) =>
	el("span.avatar", { "aria-hidden": "true" }, /\p{L}/u.exec(title)?.[0].toUpperCase() ?? "#");

/**
 * What a message without a file shows before its words.
 * @param {import("./chats.js").Message} message
 */
function withoutFile({ kind, details = {}, mine }) {
	switch (kind) {
		case "text":
			return null;
		case "poll":
			return (
				details.options &&
				el(
					"ul.what",
					details.options.map((option) => el("li", `○ ${option}`)),
				)
			);
		case "location":
		case "live_location":
			return el("p.what", say("kind", kind), details.name && ` · ${details.name}`);
		case "contact":
			return el(
				"p.what",
				say("kind", kind),
				details.contacts && ` · ${details.contacts.map(({ name }) => name).join(", ")}`,
			);
		case "undecryptable":
			return el("p.muted", t("messages.unreadable"));
		default:
			return el("p.what", say("kind", kind), mine && " ");
	}
}

const kindOf = ({ type }) => UPLOADS.find((kind) => type.startsWith(`${kind}/`)) ?? "document";

const KIB = 1024;

/** A size for people. */
function size(bytes) {
	if (!bytes) return null;
	const large = bytes >= KIB * KIB;
	const value = Math.max(1, Math.round((bytes / (large ? KIB * KIB : KIB)) * 10) / 10);
	return `${value.toLocaleString()} ${large ? "MB" : "kB"}`;
}

/** The day of a time, in words. */
function day(at) {
	if (!at) return null;
	return clock(at, { weekday: "short", day: "numeric", month: "short" });
}
