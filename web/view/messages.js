// Messages: the conversations of one device or of all, one of them open; and every event, for who looks closer.
import { get, now } from "../api.js";
import { button, el, empty, h1, icon, muted, pre } from "../dom.js";
import { clock, t } from "../i18n.js";
import { copyButton } from "../overlay.js";
import { changed, news, state } from "../state.js";
import {
	chatOf,
	keepEvent,
	keepSent,
	lastOf,
	lineOf,
	messagesOf,
	nameGroups,
	seen,
	titleOf,
	unreadOf,
	writerOf,
} from "./chats.js";
import history, { maySend, mode, search } from "./history.js";
import later from "./later.js";
import { read } from "./log.js";
import { devicePicker, TICK } from "./status.js";
import tail from "./tail.js";
import talk, { avatar } from "./talk.js";

// Of all views only this one needs it.
const style = el("link", { rel: "stylesheet", href: "talk.css" });
document.head.append(style);
await new Promise((resolve) => {
	style.onload = style.onerror = resolve;
});

/** How many of the newest events it begins with, and how many times as many each further press reads. */
const NEWEST = 100;
const FURTHER = 10;
/** So far back is enough for a page. */
const MOST = 10_000;
/** With more conversations than this there is a search. */
const MANY = 8;

/** So much later, news of a message that was sent is about one of long ago. */
const LONG = 60_000;
/** How long after the last key is searched. */
const TYPING = 300;
/** What moonwa.toml says for conversations to be kept. */
const SWITCH_ON = '[history]\nkeep = "30d"';

/** What is looked for in the list. It stays while conversations are opened. */
let wanted = "";

/**
 * Of which device the list is; nothing means all. It stays while conversations are opened.
 * @type {string | null}
 */
let listed = null;
/** What the list can be narrowed to; nothing else in an address looks like these. */
const FILTERS = ["unread", "groups", "archived"];

/** What it is narrowed to, which stands in the address. It stays while conversations are opened. */
let filter = "";
/** Whether every event is shown in the place of the conversations. */
let everything = false;

/**
 * @param {AbortSignal} signal
 * @param {string} [device] absent means all
 * @param {string} [named] whom the open conversation is with, or what the list is narrowed to
 * @param {string} [message] the message in it that is looked for
 */
export default function messages(signal, device = "", named, message) {
	const address = FILTERS.includes(named) ? "" : named;
	if (!address) filter = named ?? "";
	if (!address || listed !== "") listed = device;
	const names = () => (listed ? [listed] : [...state.devices.keys()]);
	// Of one device every event is told as it comes.
	const [first, ...others] = names();
	const only = others.length ? "" : (first ?? "");
	const back = () => `#/messages/${listed}${filter && `/${filter}`}`;
	let newest = 0;
	let reading = new AbortController();
	signal.addEventListener("abort", () => reading.abort());

	const open = address ? chatOf(device, address) : null;
	const kept = history(names, open, signal);

	function happened(event) {
		keepEvent(event);
		kept.refresh(event.device);
	}
	function sent(message) {
		const { device, canonical, id, created } = message;
		const isKnown = state.chats.get(`${device} ${canonical}`)?.messages.has(id);
		const isOld = mode() === "on" && now() - Date.parse(created) > LONG;
		// Alone it would stand before others that are not here.
		if (isKnown || !isOld) keepSent(message);
		if (!isKnown) kept.refresh(device);
	}
	/** Reads the conversations from so many events before now on. */
	function readFrom(count) {
		newest = count;
		reading.abort();
		reading = new AbortController();
		read(only, newest, reading.signal, happened, sent, mode() !== "on");
	}
	/** The history has what was before now. */
	const readNow = () => readFrom(mode() === "on" ? 1 : NEWEST);
	const further = () => newest < MOST && (() => readFrom(newest * FURTHER));

	const drawLater = open || !maySend() ? null : later(signal, listed);
	const drawTalk = open && talk(open, back, kept, further, message);
	/** Draws the tail of all events, once that was asked for. */
	let drawTail = null;

	function show(all) {
		everything = all;
		if (everything) drawTail ??= tail(signal, listed);
		changed();
	}
	readNow();
	kept.readAll();
	news.addEventListener("missed", kept.readAll, { signal });
	news.addEventListener("read", (/** @type {any} */ { detail }) => kept.refresh(detail), {
		signal,
	});
	show(everything && !open);
	if (filter === "unread") kept.readUnread();

	function narrow(to) {
		filter = to;
		if (!open) window.history.replaceState(null, "", back());
		if (to === "unread") kept.readUnread();
		changed();
	}

	/** Whether moonwa.toml has conversations kept may have changed since somebody signed in. */
	async function lookAgain() {
		const before = mode();
		const told = await get("v1/session", signal);
		// Of a login that has ended the next request tells.
		if (told.role === state.session.role) Object.assign(state.session, told);
		if (mode() !== before) {
			readNow();
			kept.readAll();
		}
		changed();
	}
	lookAgain().catch(() => {});

	/** The messages with the words that are looked for; nothing while they are searched. */
	let found = null;
	let timer = 0;
	function lookFor(words) {
		wanted = words;
		found = null;
		clearTimeout(timer);
		changed();
		if (mode() !== "on" || words.trim().length < 2) return;
		timer = setTimeout(async () => {
			const hits = await search(names(), words.trim(), signal).catch(() => []);
			if (wanted === words) found = hits;
			changed();
		}, TYPING);
	}
	if (wanted) lookFor(wanted);

	function head() {
		const tab = (text, all) =>
			el(
				"button.small",
				{ type: "button", click: () => show(all), "aria-pressed": String(all === everything) },
				text,
			);
		const title = t("nav.messages");
		const isKey = state.session.role === "key";
		return el(
			".head",
			{ "data-key": `head ${listed}` },
			el(".row", open ? el("h2.as-title", title) : h1(title), isKey && muted(state.session.name)),
			!open &&
				el(".row.tabs", tab(t("messages.chats"), false), tab(t("messages.everything"), true)),
			!isKey && devicePicker("messages", listed, t("messages.devices")),
		);
	}

	/** The conversations, the newest first. */
	function conversations() {
		const looked = seen();
		const all = [...state.chats.values()]
			.filter((chat) => !listed || chat.device === listed)
			.map((chat) => ({ chat, all: messagesOf(chat), title: titleOf(chat) }))
			.map((one) => ({ ...one, last: lastOf(one.chat, one.all) }))
			.filter(({ last }) => last)
			.sort((one, other) => Date.parse(other.last.at) - Date.parse(one.last.at));
		const words = wanted.trim().toLowerCase();
		const rows = all.map((one) => ({ ...one, unread: unreadOf(one.chat, one.all, looked) }));
		const hasArchived = rows.some(({ chat }) => chat.told?.archived);
		const matching = rows.filter(
			(one) =>
				(isWanted(one) || one.chat === open) &&
				`${one.title} ${one.chat.address}`.toLowerCase().includes(words),
		);
		const isKept = mode() === "on";
		const more = isKept && !words && kept.more();
		if (!all.length) {
			return el(
				".people",
				empty("messages", t("messages.none"), t("messages.none_why")),
				howToKeep(),
			);
		}
		return el(
			".people",
			(isKept || all.length > MANY || wanted) && searchField(lookFor),
			filters(hasArchived, narrow),
			!isKept && howToKeep(),
			matching.length > 0 &&
				el(
					"ol.card",
					matching.map(({ chat, title, last, unread }) =>
						row(chat, title, last, unread, chat === open),
					),
				),
			more && button("", "", t("webhook.more"), more),
			words.length > 1 && found?.length > 0 && results(found),
			!matching.length && !found?.length && el("p.muted", t("messages.nothing")),
		);
	}

	return () => {
		nameGroups(listed);
		if (everything && drawTail) {
			return [head(), el(".stack", { "data-key": `tail ${listed}` }, drawTail())];
		}
		return [
			head(),
			drawLater?.(),
			el(
				".chats",
				conversations(),
				drawTalk
					? drawTalk()
					: el(
							".card.hint-pane",
							{ "data-key": "none" },
							icon("messages"),
							el("p", t("messages.choose")),
						),
			),
		];
	};
}

/** What to do for conversations to be kept, as long as only what just happened is shown. */
function howToKeep() {
	if (mode() === "on") return null;
	const isKey = state.session.role === "key";
	return el(
		"details.card.keep",
		{ "data-key": "keep" },
		el("summary", t("inbox.newest_only")),
		el("p", t(isKey ? "inbox.ask_admin" : "inbox.switch_on")),
		!isKey && [pre(SWITCH_ON), copyButton(SWITCH_ON)],
	);
}

/** Whether the list is narrowed to what a conversation is. */
const isWanted = ({ chat, unread }) =>
	filter === "unread"
		? unread > 0
		: filter === "groups"
			? chat.address.endsWith("@g.us")
			: filter !== "archived" || chat.told?.archived;

/** What the list can be narrowed to. */
const filters = (hasArchived, narrow) =>
	el(
		".row.filters",
		{ role: "group", "aria-label": t("inbox.filter") },
		["", ...FILTERS]
			.filter((one) => one !== "archived" || hasArchived || filter === one)
			.map((one) =>
				el(
					"button.small",
					{ type: "button", click: () => narrow(one), "aria-pressed": String(one === filter) },
					t(`inbox.${one || "all"}`),
				),
			),
	);

const searchField = (lookFor) =>
	el(
		"label.find",
		el("span.sr", t("inbox.find")),
		el("input", {
			type: "search",
			value: wanted,
			placeholder: t("inbox.find"),
			input: ({ target }) => lookFor(target.value),
		}),
	);

/** The messages that were found. */
const results = (found) =>
	el(
		"section.stack",
		el("h2", t("inbox.found")),
		el(
			"ol.card",
			found.map(({ chat, message }) => {
				const { id, at, mine } = message;
				const href = `${hrefOf(chat)}/${encodeURIComponent(id)}`;
				const title = titleOf(chat);
				const who = mine ? (message.by ?? t("messages.you")) : writerOf(message);
				return el(
					"li",
					{ "data-key": `${chat.key} ${id}` },
					el(
						"a.contact",
						{ href },
						el(
							".about",
							el("p.between", el("strong.cut", title), el("span.when.num", when(at))),
							el("p.hit.muted", who !== title && `${who}: `, lineOf(chat, message)),
						),
					),
				);
			}),
		),
	);

const hrefOf = ({ device, address }) => `#/messages/${device}/${encodeURIComponent(address)}`;

/** A conversation in the list: with whom, its last line, when, how many are unread. */
function row(chat, title, last, unread, isOpen) {
	const { device } = chat;
	const whose = !listed && state.devices.size > 1 && (state.devices.get(device)?.label || device);
	const status = last.mine && last.status;
	return el(
		"li",
		{ "data-key": chat.key },
		el(
			`a.contact${unread > 0 ? ".new" : ""}`,
			{ href: hrefOf(chat), "aria-current": isOpen && "true" },
			avatar(title),
			el(
				".about",
				el("p.between", el("strong.cut", title), el("span.when.num", when(last.at))),
				el(
					"p.between",
					el(
						"span.cut.muted",
						status && [icon(TICK[status], status), el("span.sr", t(`progress.${status}`)), " "],
						chat.draft && !isOpen
							? [el("em.draft", t("inbox.draft")), " ", chat.draft]
							: [last.mine && `${last.by ?? t("messages.you")}: `, lineOf(chat, last)],
					),
					unread > 0 && el("span.unread.num", unread, el("span.sr", ` ${t("messages.unread")}`)),
				),
				whose && el("p.cut.whose", whose),
			),
		),
	);
}

/** A time of today, or a day. */
function when(at) {
	const isToday = new Date(at).toDateString() === new Date().toDateString();
	return clock(at, isToday ? { timeStyle: "short" } : { day: "numeric", month: "short" });
}
