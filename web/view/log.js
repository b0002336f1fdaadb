// What happened on one device or on all of them, as the Messages view reads it: first the newest of the log, then
// what comes. And what moonwa was asked to send, with how far it got.
import { get, pathOf } from "../api.js";
import { news, state } from "../state.js";
import { EVENTS } from "./status.js";

/** How many pages of events are asked for at once, to catch up. */
const PAGES = 20;
/** WhatsApp's times are whole seconds: of two messages in one, the second does not show that something moved. */
const SAME_SECOND = 1500;
/** How far a message got is shown at the message itself. */
export const TYPES = EVENTS.filter((type) => type !== "message.status");

/**
 * Reads what there is, and goes on reading until the view ends.
 * @param {string} wanted a device; nothing means all
 * @param {number} newest how many events before now it begins with
 * @param {AbortSignal} signal
 * @param {(event: any) => void} keepEvent takes an event, as webhooks get it
 * @param {(message: any) => void} keepSent takes a message that moonwa sent
 * @param {boolean} [past] whether also what was sent before now
 */
export function read(wanted, newest, signal, keepEvent, keepSent, past = true) {
	const isWanted = (device) => !wanted || device === wanted;

	async function loadSent(name) {
		const { messages } = await get(pathOf(name, "messages"), signal);
		messages.forEach(keepSent);
	}
	function loadAllSent() {
		// What cannot be had now comes with the stream, or after the next connection.
		for (const name of state.devices.keys()) if (isWanted(name)) loadSent(name).catch(() => {});
	}
	function told(/** @type {any} */ { detail }) {
		if (isWanted(detail.device)) keepSent(detail);
	}

	if (wanted) follow(wanted, newest, signal, keepEvent);
	else followAll(newest, signal, keepEvent);
	news.addEventListener("message", told, { signal });
	if (!past) return;
	news.addEventListener("missed", loadAllSent, { signal });
	loadAllSent();
}

/** Follows the events of one device. */
function follow(name, newest, signal, keepEvent) {
	const stream = new EventSource(pathOf(name, `events?after=-${newest}`));
	for (const type of TYPES) {
		stream.addEventListener(type, ({ data }) => keepEvent(JSON.parse(data)));
	}
	signal.addEventListener("abort", () => stream.close());
}

/** Follows the events of all devices: nobody has connections for a stream of each. */
function followAll(newest, signal, keepEvent) {
	/** How far each device was read, as soon as that is known. */
	const cursors = new Map();
	/** What each device looked like when it was read last. */
	const marks = new Map();

	async function readOn(name, after, pages = PAGES) {
		const path = pathOf(name, `events?after=${after}`);
		const { events, cursor, next } = await get(path, signal);
		for (const event of events) if (TYPES.includes(event.type)) keepEvent(event);
		return next && pages > 1 ? readOn(name, cursor, pages - 1) : cursor;
	}

	function readNew(name) {
		if (signal.aborted) return;
		const cursor = cursors.get(name) ?? Promise.resolve(-newest);
		cursors.set(
			name,
			cursor.then((after) => readOn(name, after)).catch(() => cursor),
		);
	}

	function readWhatMoved() {
		for (const [name, { last_in, state: now, webhooks }] of state.devices) {
			const mark = [last_in, now, ...webhooks.map(({ cursor }) => cursor)].join();
			if (marks.get(name) === mark) continue;
			marks.set(name, mark);
			readNew(name);
			setTimeout(readNew, SAME_SECOND, name);
		}
	}
	readWhatMoved();
	news.addEventListener("changed", readWhatMoved, { signal });
}
