// The conversations, put together from the history where it is on, from the log's events, and from what moonwa sent.
import { get, pathOf } from "../api.js";
import { phone, say, t } from "../i18n.js";
import { changed, state } from "../state.js";
import { TICK } from "./status.js";

/**
 * One message in a conversation.
 * @typedef {object} Message
 * @property {string} id
 * @property {string} at
 * @property {boolean} mine
 * @property {string} kind
 * @property {string | null} [text]
 * @property {any} [from] who wrote it, as events say it
 * @property {any} [media]
 * @property {any} [quote] what it answers
 * @property {any[]} [reactions] as the history has them
 * @property {boolean} [edited]
 * @property {boolean} [deleted]
 * @property {number} [nth] its place among those of the same second
 * @property {string} [by] who sent it, of one that moonwa sent
 * @property {Record<string, any>} [details]
 * @property {string} [status] how far it got, of one that moonwa sent
 * @property {string | null} [code]
 * @property {string | null} [detail]
 */

/**
 * What later messages made of one: its new text, that it was taken back, who reacted how; and when the last of them was told.
 * @typedef {{ text?: string, deleted?: boolean, reactions: Map<string, string>, told: number }} Mark
 */

/**
 * @typedef {object} Chat
 * @property {string} key
 * @property {string} device
 * @property {string} address
 * @property {string | null} name
 * @property {Map<string, Message>} messages
 * @property {Map<string, Mark>} marks by the message they are about
 * @property {string} draft the answer that is not sent yet
 * @property {Message | null} answered what the answer is to
 * @property {any[]} pending the answers that are on their way, or did not get there
 * @property {any} told what the history says of it
 * @property {string | null} [older] where its older messages begin; none when all are here
 */

/** Nobody answers a status or a channel: those are among the events. */
const ANSWERED = ["person", "group", "broadcast"];
/** How many messages of a conversation are kept. */
export const KEEP = 2000;
/** What is said about another message is shown at that message. */
const ABOUT = ["reaction", "edit", "revoke"];

const keyOf = (device, address) => `${device} ${address}`;

/**
 * A conversation, which is made when it is new.
 * @returns {Chat}
 */
export function chatOf(device, address) {
	const known = state.people.get(keyOf(device, address)) ?? address;
	const key = keyOf(device, known);
	const chat = state.chats.get(key) ?? {
		key,
		device,
		address: known,
		name: null,
		messages: new Map(),
		marks: new Map(),
		draft: draftOf(key),
		answered: null,
		pending: [],
		told: null,
	};
	state.chats.set(key, chat);
	return chat;
}

/** @returns {Mark} */
function markOf(chat, id) {
	if (!chat.marks.has(id)) chat.marks.set(id, { reactions: new Map(), told: 0 });
	return chat.marks.get(id);
}

const stepOf = ({ status }) => Object.keys(TICK).indexOf(status);

function keep(chat, message) {
	const known = chat.messages.get(message.id);
	const merged = { ...known, ...message };
	// What was asked for before something changed may be answered after that was told.
	if (known && stepOf(known) > stepOf(merged)) merged.status = known.status;
	chat.messages.set(message.id, merged);
	while (chat.messages.size > KEEP) chat.messages.delete(chat.messages.keys().next().value);
	changed();
}

/** Takes an event, as webhooks get it. */
export function keepEvent({ type, timestamp: at, device, data }) {
	if (type === "identity.resolved") return meet(device, data);
	if (!ANSWERED.includes(data.chat_kind)) return;
	const { from, from_me: mine } = data;
	if (from?.lid && from.phone) meet(device, from);
	const isPerson = data.chat_kind !== "group" && !mine && from?.phone;
	const chat = chatOf(device, isPerson ? `${from.phone}@s.whatsapp.net` : data.chat);
	if (isPerson) chat.name = from.name ?? chat.name;
	const about = data.details?.message;
	switch (type) {
		case "message.reaction":
			return mark(chat, about, ({ reactions }) =>
				reactions.set(mine ? "" : from.jid, data.text ?? ""),
			);
		case "message.edited":
			return mark(chat, about, (it) => Object.assign(it, { text: data.text ?? "" }));
		case "message.revoked":
			return mark(chat, about, (it) => Object.assign(it, { deleted: true }));
		case "message.undecryptable":
			return keep(chat, { id: data.id, at, mine, from, kind: "undecryptable" });
		case "message.received":
		case "message.sent": {
			const { id, kind, text, media, reply_to: quote, details } = data;
			return keep(chat, { id, at, mine, from, kind, text, media, quote, details });
		}
	}
}

/** How many pages were taken; each has room for so many messages in its order. */
let pages = 0;
const ROOM = 1000;

/**
 * Takes some of a conversation's messages, as the history has them. What happened to them before it was asked is in them.
 * @param {number} asked when that was
 * @param {boolean} older whether they are before what is here; of the same second, their order says which came first
 */
export function keepPage(chat, messages, asked, older) {
	pages++;
	const first = older ? -pages * ROOM : pages * ROOM;
	messages.forEach(({ id, at, from_me: mine, reply_to: quote, ...rest }, n) => {
		if (chat.marks.get(id)?.told < asked) chat.marks.delete(id);
		const what = { reactions: [], edited: false, deleted: false, ...rest };
		keep(chat, { ...what, id, at, mine, quote, nth: first + n });
	});
}

/** Takes what the history says of a conversation. */
export function keepChat(device, told) {
	const { chat: address, phone: number, lid, name } = told;
	if (number && lid) meet(device, { lid, phone: number });
	const chat = chatOf(device, address);
	Object.assign(chat, { told, name: name ?? chat.name });
	changed();
}

/** Takes a message that moonwa sent. */
export function keepSent(sent) {
	const { id, device, kind, text, about, status, code, detail, created, by, quote } = sent;
	// What has not gone, and what never will because nobody wants it any more, is in no conversation.
	if (status === "scheduled" || code === "cancelled") return;
	const at = sent.send_at ?? created;
	const chat = chatOf(device, sent.canonical ?? sent.to);
	if (!ABOUT.includes(kind)) {
		const known = chat.messages.get(id);
		const message = { id, at: known?.at ?? at, mine: true, kind, text, status, code, detail };
		return keep(chat, { ...message, ...(by && { by }), ...(quote && { quote }) });
	}
	if (status === "failed") {
		// It was shown when it was asked for.
		if (kind === "reaction") chat.marks.get(about)?.reactions.delete("");
		return changed();
	}
	mark(chat, about, (it) => {
		if (kind === "reaction") it.reactions.set("", text ?? "");
		if (kind === "edit") it.text = text;
		if (kind === "revoke") it.deleted = true;
	});
}

function mark(chat, about, change) {
	if (!about) return;
	const it = markOf(chat, about);
	change(it);
	it.told = performance.now();
	changed();
}

/** Learns that a LID and a number are one person's; what was in two conversations comes together. */
function meet(device, { lid, phone: number }) {
	const other = `${lid.split("@")[0]}@lid`;
	const address = `${number}@s.whatsapp.net`;
	state.people.set(keyOf(device, other), address);
	const former = state.chats.get(keyOf(device, other));
	if (!former) return;
	state.chats.delete(former.key);
	const chat = chatOf(device, address);
	for (const message of former.messages.values()) keep(chat, message);
	for (const [id, one] of former.marks) chat.marks.set(id, one);
	chat.draft ||= former.draft;
	chat.pending.push(...former.pending);
}

/** What is in a conversation, oldest first. Times have seconds or milliseconds, so as texts they do not compare. */
export const messagesOf = (chat) =>
	[...chat.messages.values()].sort(
		(one, other) =>
			Date.parse(one.at) - Date.parse(other.at) ||
			(one.nth ?? Infinity) - (other.nth ?? Infinity) ||
			0,
	);

/** The newest message: one that is here, or the one that the history tells of. */
export const lastOf = ({ told }, all) => {
	const [last, newest] = [all.at(-1), told?.newest];
	if (!newest || (last && Date.parse(last.at) >= Date.parse(newest.at))) return last;
	return { ...newest, mine: newest.from_me };
};

/** Whom it is with. */
export function titleOf({ address, name, device }) {
	if (address.endsWith("@g.us")) {
		return (
			name ??
			state.groups.get(keyOf(device, address)) ??
			t("messages.group_of", { id: address.split("@")[0] })
		);
	}
	return name ?? phone(address);
}

/** The devices whose groups were asked for. */
const asked = new Set();

/** Asks what the groups are called, of each device that has conversations in one. */
export function nameGroups(wanted) {
	for (const { device, address } of state.chats.values()) {
		const isConnected = state.devices.get(device)?.status === "CONNECTED";
		const isUnnamed = address.endsWith("@g.us") && !state.groups.has(keyOf(device, address));
		if ((wanted && device !== wanted) || !isConnected || !isUnnamed || asked.has(device)) continue;
		asked.add(device);
		loadGroups(device).catch(() => {
			// A group can be told by its id too.
		});
	}
}

async function loadGroups(device) {
	const { groups } = await get(pathOf(device, "groups"));
	for (const { id, name } of groups) state.groups.set(keyOf(device, id), name);
	changed();
}

/** Who wrote a message. */
export const writerOf = ({ from }) =>
	from?.name ?? phone(from?.phone ?? from?.jid ?? from?.lid ?? "");

/** Whether it was taken back, what it says now, the reactions to it, and the one from here. */
export function presentOf(chat, message) {
	const mark = chat.marks.get(message.id);
	const since = mark?.reactions ?? new Map();
	const isOver = ({ from_me, from }) =>
		from_me
			? since.has("")
			: since.has(`${from?.phone}@s.whatsapp.net`) || since.has(`${from?.lid}@lid`);
	const told = (message.reactions ?? []).filter((one) => !isOver(one));
	const all = [...told.map(({ emoji }) => emoji), ...since.values()];
	return {
		own: since.get("") ?? told.find(({ from_me }) => from_me)?.emoji,
		deleted: message.deleted || mark?.deleted,
		edited: message.edited || mark?.text !== undefined,
		words: mark?.text ?? message.text,
		emojis: [...new Set(all)].filter(Boolean),
	};
}

/**
 * What a file is called, if it has a name.
 * @param {any} message
 */
export const fileNameOf = ({ details, media }) => details?.filename ?? media?.filename;

/** A message in one line. */
export function lineOf(chat, message) {
	const { deleted, words } = presentOf(chat, message);
	if (deleted) return t("messages.deleted");
	const said =
		message.kind === "text" ? words : [say("kind", message.kind), words || fileNameOf(message)];
	return [said].flat().filter(Boolean).join(" · ");
}

/** Where a file of a message is. */
export const fileOf = ({ device }, { id }) => pathOf(device, `media/${id}`);

const DRAFT = "draft ";

const draftOf = (key) => sessionStorage.getItem(DRAFT + key) ?? "";

/** Keeps an answer that is not sent yet, in this tab, also when the phone has put the page away meanwhile. */
export function keepDraft(chat, text) {
	chat.draft = text;
	if (text) sessionStorage.setItem(DRAFT + chat.key, text);
	else sessionStorage.removeItem(DRAFT + chat.key);
}

const SEEN = "seen";

/** Up to when each conversation was looked at, in this browser. */
export function seen() {
	try {
		return JSON.parse(localStorage.getItem(SEEN)) ?? {};
	} catch {
		return {};
	}
}

/**
 * How many messages came since somebody looked at the conversation or answered.
 * @param {Chat} chat
 * @param {Message[]} all
 * @param {Record<string, number>} looked
 */
export function unreadOf(chat, all, looked) {
	if (chat.told) return chat.told.unread;
	const since = looked[chat.key] ?? 0;
	const answered = all.findLastIndex(({ mine }) => mine);
	return all.slice(answered + 1).filter(({ at }) => Date.parse(at) > since).length;
}

/** Notes that somebody looks at the conversation. */
export function look(chat) {
	const last = messagesOf(chat).at(-1);
	const all = seen();
	const upTo = Date.parse(last?.at);
	if (document.hidden || !last || all[chat.key] >= upTo) return;
	localStorage.setItem(SEEN, JSON.stringify({ ...all, [chat.key]: upTo }));
}
