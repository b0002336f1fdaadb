// One message of a conversation: who wrote it, what it answers, its file, its words, how far it got.
import { button, el, icon, muted, tool } from "../dom.js";
import { clock, language, say, t } from "../i18n.js";
import { fileNameOf, fileOf, presentOf, writerOf } from "./chats.js";
import { TICK } from "./status.js";

/** What people answer with most. */
const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
/** The same sign is written with and without this one, which asks for its picture. */
const PICTURE = "\ufe0f";

/** How many colours there are for people. */
const HUES = 6;
const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?'()[\]{}]/gi;

/** A colour for a name, always the same one. */
export const hueOf = (name) =>
	[...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % HUES;

/** A text in which addresses can be followed. */
function linked(text) {
	const parts = [];
	let from = 0;
	for (const { 0: href, index } of text.matchAll(LINK)) {
		const attributes = { href, target: "_blank", rel: "noopener noreferrer" };
		parts.push(text.slice(from, index), el("a", attributes, href));
		from = index + href.length;
	}
	return [...parts, text.slice(from)];
}

/**
 * @param {import("./chats.js").Chat} chat
 * @param {{ gone: Set<string>, lost: (id: string) => void, goTo: (id: string) => any, found: string,
 *   answer: ((message: any) => void) | null, again: ((message: any) => void) | null, reacting: string,
 *   offer: ((id: string) => void) | null, react: (message: any, emoji: string) => any }} page
 */
export function bubble(chat, message, before, page) {
	const { id, at, mine, quote, status, code, detail, by } = message;
	const { deleted, edited, words, emojis, own } = presentOf(chat, message);
	const isGroup = chat.address.endsWith("@g.us");
	const isNew = day(at) !== day(before?.at);
	const goesOn = !isNew && before?.mine === mine && writerOf(before) === writerOf(message);
	const writer = isGroup && !mine && !goesOn && writerOf(message);
	const isFailed = status === "failed";
	// Nobody reacts to what never got there.
	const mayReact = page.offer && !deleted && !isFailed;
	const isOpen = mayReact && page.reacting === id;
	/** Escape closes what is open; a long press opens it where there is no mouse. */
	const keydown = (event) => {
		if (event.key === "Escape" && isOpen) page.offer(id);
	};
	const contextmenu = (event) => {
		if (!matchMedia("(pointer:coarse)").matches || event.target.closest("a,video,audio")) return;
		event.preventDefault();
		page.offer(id);
	};
	return [
		isNew && el("li.day", { "data-key": `day ${id}` }, el("span", day(at))),
		el(
			`li.turn${mine ? ".mine" : ""}${goesOn ? ".on" : ""}${page.found === id ? ".found" : ""}`,
			{ "data-key": id, ...(mayReact && { keydown }) },
			el(
				".said-by",
				el(
					".bubble",
					mayReact && { contextmenu },
					writer && el(`strong.writer.hue${hueOf(writer)}`, writer),
					deleted
						? el("p.muted.row", icon("off"), t("messages.deleted"))
						: [
								quote && quoted(chat, quote, page),
								attachment(chat, message, page),
								words && el("p.words", linked(words)),
							],
					el(
						"p.ticks.num",
						by && el("span.by", { title: t("inbox.by", { by }) }, by),
						edited && !deleted && t("messages.edited"),
						el("span", { title: clock(at) }, clock(at, { timeStyle: "short" })),
						status && mine && [icon(TICK[status], status), el("span.sr", t(`progress.${status}`))],
					),
					isFailed && el("p.failed", code ? say("error", code, {}, detail) : t("progress.failed")),
					isFailed &&
						message.kind === "text" &&
						page.again &&
						button(".small", "again", t("inbox.retry"), () => page.again(message)),
				),
				page.answer && !deleted && tool("reply", t("inbox.reply"), () => page.answer(message)),
				mayReact && opener(isOpen, () => page.offer(id)),
			),
			isOpen && choice(own, (emoji) => page.react(message, emoji)),
			emojis.length > 0 &&
				el("span.emojis", { "aria-label": t("messages.reactions"), role: "img" }, emojis.join(" ")),
		),
	];
}

/** What opens the reactions, and closes them. */
function opener(isOpen, click) {
	const label = t("inbox.react");
	return el(
		"button.quiet.icon.opener",
		{ type: "button", click, "aria-label": label, title: label, "aria-expanded": String(isOpen) },
		icon("smile"),
	);
}

/** The reactions to choose from; the one from here is taken back. */
function choice(own, choose) {
	const plain = (emoji) => emoji?.replace(PICTURE, "");
	const all = !own || EMOJIS.some((one) => plain(one) === plain(own)) ? EMOJIS : [...EMOJIS, own];
	return el(
		".choice",
		{ role: "group", "aria-label": t("inbox.react") },
		all.map((emoji) => {
			const isOwn = plain(emoji) === plain(own);
			const click = () => choose(isOwn ? "" : emoji);
			return el("button", { type: "button", click, "aria-pressed": String(isOwn) }, emoji);
		}),
	);
}

/** What a message answers; a press leads there. */
function quoted(chat, quote, { goTo }) {
	const known = chat.messages.get(quote.id);
	const { words, kind } = known ? { ...known, ...presentOf(chat, known) } : { words: "", kind: "" };
	const said = quote.text || words || quote.filename || say("kind", quote.kind ?? kind);
	if (!said) return null;
	const who = known && (known.mine ? t("messages.you") : writerOf(known));
	return el(
		"button.what.quote",
		{ type: "button", click: () => goTo(quote.id), title: t("inbox.go") },
		who && el("strong", who),
		el("span", said),
	);
}

/** What a message has beside its words. */
function attachment(chat, message, { gone, lost }) {
	const { id, kind, media } = message;
	if (gone.has(id)) return el("p.what", t("error.media_expired"));
	if (!media || message.source === "moonwa") return withoutFile(message);
	const src = fileOf(chat, message);
	const error = () => lost(id);
	const name = fileNameOf(message) ?? say("kind", kind);
	switch (kind) {
		case "image":
		case "sticker":
			return el(
				`a.picture.${kind}`,
				{ href: src, target: "_blank", rel: "noopener" },
				el("img", { src, alt: name, loading: "lazy", error }),
			);
		case "video":
			return el("video", { src, controls: true, preload: "none", "aria-label": name, error });
		case "audio":
		case "voice":
			return el("audio", { src, controls: true, preload: "none", "aria-label": name, error });
		default:
			return el(
				"a.what.row.paper",
				{ href: src, download: "" },
				icon("down"),
				el("span.cut", name),
				muted(size(media.size)),
			);
	}
}

/**
 * What a message without a file shows before its words.
 * @param {import("./chats.js").Message} message
 */
function withoutFile(message) {
	const { kind, details = {} } = message;
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
			return el("p.what", fileNameOf(message) ?? say("kind", kind));
	}
}

const KIB = 1024;

/** A size for people. */
export function size(bytes) {
	if (!bytes) return null;
	const large = bytes >= KIB * KIB;
	const value = Math.max(1, Math.round((bytes / (large ? KIB * KIB : KIB)) * 10) / 10);
	return `${value.toLocaleString()} ${large ? "MB" : "kB"}`;
}

const DAY = 86_400_000;

/** The day of a time, in words. */
function day(at) {
	if (!at) return null;
	const [that, today] = [new Date(at), new Date()];
	const ago = Math.round((that.setHours(0, 0, 0, 0) - today.setHours(0, 0, 0, 0)) / DAY);
	if (ago === 0 || ago === -1) {
		const name = new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(ago, "day");
		return name[0].toUpperCase() + name.slice(1);
	}
	const year =
		that.getFullYear() === today.getFullYear() ? {} : { year: /** @type {const} */ ("numeric") };
	return clock(at, { weekday: "short", day: "numeric", month: "short", ...year });
}
