// What moonwa keeps of the conversations, where moonwa.toml has it do so: their list, their older messages, a search in
// all that was said, and what was read.
import { get, pathOf, post } from "../api.js";
import { changed, state } from "../state.js";
import { chatOf, KEEP, keepChat, keepPage, messagesOf } from "./chats.js";

const PAGE = 50;
/** So many messages are passed over at once on the way to one that lies further back. */
const STRIDE = 200;
const STRIDES = 20;
/** Several things that happen at once are asked for once. */
const PAUSE = 250;
/** What is told at once may be in the history a moment later. */
const LATER = 1500;
/** When it is looked whether the phone has answered. */
const PHONE = [1000, 3000, 7000, 15_000, 30_000];
/** As many are marked as read at once. */
const MOST_READ = 20;

const may = (scope) => state.session.scopes.includes(scope);

/** Whether whoever looks may send. */
export const maySend = () => may("send");

/** How it is with the history: `on`, `off`, or `closed` to whoever looks. */
export const mode = () => (!state.session.history ? "off" : may("history") ? "on" : "closed");

const pathOfChat = ({ device, address }, rest) =>
	pathOf(device, `chats/${encodeURIComponent(address)}/${rest}`);

/**
 * Follows what the history has of some devices, and of one conversation.
 * @param {() => string[]} devices
 * @param {import("./chats.js").Chat | null} open
 * @param {AbortSignal} signal
 */
export default function history(devices, open, signal) {
	/** Where the list of each device goes on. */
	const further = new Map();
	const due = new Map();
	/** What was marked as read from here: whatever the answer, once is enough. */
	const marked = new Set();
	let busy = false;

	async function readChats(device, before = "") {
		const { chats, next } = await readList(
			device,
			before && `&before=${encodeURIComponent(before)}`,
		);
		for (const one of chats) keepChat(device, one);
		if (before || !further.has(device)) further.set(device, next);
	}

	const readList = (device, more) => get(pathOf(device, `chats?limit=${PAGE}${more}`), signal);

	/** Reads the chats with something unread, however far down the list they are. */
	async function readUnread() {
		if (mode() !== "on") return;
		for (const device of devices()) {
			// What cannot be had now comes with the rest of the list.
			const { chats } = await readList(device, "&unread=true").catch(() => ({ chats: [] }));
			for (const one of chats) keepChat(device, one);
		}
	}

	async function readMessages(limit = PAGE, before = "") {
		const cursor = before && `&before=${encodeURIComponent(before)}`;
		const path = pathOfChat(open, `messages?limit=${limit}${cursor}`);
		const asked = performance.now();
		const { messages, next } = await get(path, signal);
		keepPage(open, messages, asked, before !== "");
		if (before || open.older === undefined) open.older = next ?? null;
		changed();
	}

	async function readDevice(device) {
		// What cannot be had now comes with the next change.
		const ours = open?.device === device;
		await Promise.all([readChats(device), ours && readMessages()]).catch(() => {});
	}

	/** Reads again what may have changed on a device. */
	function refresh(device, after = PAUSE) {
		if (mode() !== "on" || signal.aborted || due.has(device)) return;
		due.set(
			device,
			setTimeout(() => {
				due.delete(device);
				if (signal.aborted) return;
				readDevice(device);
				if (after === PAUSE) refresh(device, LATER);
			}, after),
		);
	}

	/** Reads everything again: after a silence nobody knows what is missing between the messages. */
	function readAll() {
		if (open) open.older = undefined;
		if (mode() === "on") for (const device of devices()) readDevice(device);
	}

	async function older(limit = PAGE) {
		if (busy || !open?.older || open.messages.size >= KEEP) return;
		busy = true;
		try {
			// What is here already, because the way back began anew, is passed over.
			const known = open.messages.size;
			while (open.older && open.messages.size === known) await readMessages(limit, open.older);
		} finally {
			busy = false;
		}
	}

	/** Asks the phone for what is older than what is kept. It takes its time, and nothing tells when it came. */
	async function askPhone() {
		await post(pathOfChat(open, "older"));
		for (const wait of PHONE) {
			setTimeout(() => {
				if (signal.aborted) return;
				open.older = undefined;
				readMessages().catch(() => {});
			}, wait);
		}
	}

	/** Reads on until a message is here; gives whether it is. */
	async function reach(id) {
		if (mode() === "on" && open.older === undefined) await readMessages();
		for (let n = 0; n < STRIDES && !open.messages.has(id) && open.older; n++) await older(STRIDE);
		return open.messages.has(id);
	}

	/** Tells WhatsApp what was read, once somebody looks who may. */
	async function read() {
		const { told, device } = open;
		const isUp = state.devices.get(device)?.status === "CONNECTED";
		if (!told?.unread || document.hidden || !maySend() || !isUp || open.messages.size === 0) return;
		const theirs = messagesOf(open).filter(({ mine }) => !mine);
		const unread = theirs.slice(-Math.min(told.unread, MOST_READ));
		const fresh = unread.filter(({ id }) => !marked.has(id));
		open.told = { ...told, unread: 0 };
		for (const { id } of fresh.reverse()) {
			marked.add(id);
			await post(pathOf(device, `messages/${encodeURIComponent(id)}/read`)).catch(() => {});
		}
		if (fresh.length) refresh(device);
	}

	return {
		readAll,
		readUnread,
		refresh,
		older,
		reach,
		read,
		/** Whether there are more conversations, and what asks for them. */
		more: () => {
			const rest = devices().filter((device) => further.get(device));
			if (!rest.length) return null;
			return () => Promise.all(rest.map((device) => readChats(device, further.get(device))));
		},
		askPhone,
	};
}

/** The messages of some devices that have these words, the newest first. */
export async function search(devices, words, signal) {
	const query = `search?limit=${PAGE}&q=${encodeURIComponent(words)}`;
	const answers = devices.map(async (device) => {
		const { messages } = await get(pathOf(device, query), signal);
		return messages.map((message) => ({
			message: { ...message, mine: message.from_me },
			chat: chatOf(device, message.chat),
		}));
	});
	const found = (await Promise.all(answers)).flat();
	return found.sort((one, other) => Date.parse(other.message.at) - Date.parse(one.message.at));
}
