// Messages: the conversations of one device or of all, one of them open; and every event, for who looks closer.
import { el, empty, h1, icon } from "../dom.js";
import { clock, t } from "../i18n.js";
import { changed, state } from "../state.js";
import {
	chatOf,
	keepEvent,
	keepSent,
	lineOf,
	messagesOf,
	nameGroups,
	seen,
	titleOf,
	unreadOf,
} from "./chats.js";
import later from "./later.js";
import { read } from "./log.js";
import { devicePicker } from "./status.js";
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

/**
 * Of which device the list is; nothing means all. It stays while conversations are opened.
 * @type {string | null}
 */
let listed = null;
/** Whether every event is shown in the place of the conversations. */
let everything = false;

/**
 * @param {AbortSignal} signal
 * @param {string} [device] absent means all
 * @param {string} [address] whom the open conversation is with
 */
export default function messages(signal, device = "", address) {
	if (!address || listed !== "") listed = device;
	const back = `#/messages/${listed}`;
	let newest = NEWEST;
	let wanted = "";
	let reading = new AbortController();
	signal.addEventListener("abort", () => reading.abort());

	/** Reads the conversations from so many events before now on. */
	function readFrom(count) {
		newest = count;
		reading.abort();
		reading = new AbortController();
		read(listed, newest, reading.signal, keepEvent, keepSent);
	}
	const further = () => newest < MOST && (() => readFrom(newest * FURTHER));

	const open = address ? chatOf(device, address) : null;
	const drawLater = open ? null : later(signal, listed);
	const drawTalk = open && talk(open, back, further);
	/** Draws the tail of all events, once that was asked for. */
	let drawTail = null;

	function show(all) {
		everything = all;
		if (everything) drawTail ??= tail(signal, listed);
		changed();
	}
	readFrom(NEWEST);
	show(everything && !open);

	function search({ target }) {
		wanted = target.value.trim().toLowerCase();
		changed();
	}

	function head() {
		const tab = (text, all) =>
			el(
				"button.small",
				{ type: "button", click: () => show(all), "aria-pressed": String(all === everything) },
				text,
			);
		const title = t("nav.messages");
		return el(
			".head",
			open ? el("h2.as-title", title) : h1(title),
			!open &&
				el(".row.tabs", tab(t("messages.chats"), false), tab(t("messages.everything"), true)),
			devicePicker("messages", listed, t("messages.devices")),
		);
	}

	/** The conversations, the newest first. */
	function conversations() {
		const looked = seen();
		const all = [...state.chats.values()]
			.filter((chat) => chat.messages.size > 0 && (!listed || chat.device === listed))
			.map((chat) => ({ chat, all: messagesOf(chat), title: titleOf(chat) }))
			.map((one) => ({ ...one, last: one.all.at(-1) }))
			.sort((one, other) => Date.parse(other.last.at) - Date.parse(one.last.at));
		const matching = all.filter(({ chat, title }) =>
			`${title} ${chat.address}`.toLowerCase().includes(wanted),
		);
		if (!all.length) return empty("messages", t("messages.none"), t("messages.none_why"));
		return el(
			".people",
			(all.length > MANY || wanted) && searchField(search),
			el(
				"ol.card",
				matching.map(({ chat, all, title, last }) =>
					row(chat, title, last, unreadOf(chat, all, looked), chat === open),
				),
			),
			!matching.length && el("p.muted", t("messages.nothing")),
		);
	}

	return () => {
		nameGroups(listed);
		if (everything && drawTail) return [head(), drawTail()];
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

const searchField = (search) =>
	el(
		"label.find",
		el("span.sr", t("devices.find")),
		el("input", { type: "search", placeholder: t("devices.find"), input: search }),
	);

/** A conversation in the list: with whom, its last line, when, how many are unread. */
function row(chat, title, last, unread, isOpen) {
	const { device, address } = chat;
	const whose = !listed && state.devices.size > 1 && (state.devices.get(device)?.label || device);
	const href = `#/messages/${device}/${encodeURIComponent(address)}`;
	return el(
		"li",
		{ "data-key": chat.key },
		el(
			"a.contact",
			{ href, "aria-current": isOpen && "true" },
			avatar(title),
			el(
				".about",
				el("p.between", el("strong.cut", title), el("span.when.num", when(last.at))),
				el(
					"p.between",
					el("span.cut.muted", last.mine && `${t("messages.you")}: `, lineOf(chat, last)),
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
