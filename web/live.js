// The live stream: one EventSource that keeps `state` true, and knows when moonwa is out of reach.
import { get } from "./api.js";
import { changed, news, put, putRules, replaceAll, state } from "./state.js";

/** A restart takes a second or two: only a longer silence is worth a banner. */
const SILENCE = 5000;
const RETRY = 3000;

/** @type {EventSource | null} */
let source = null;
let lostTimer = 0;
let retryTimer = 0;

const missedSome = () => news.dispatchEvent(new Event("missed"));

/**
 * What each kind of event does.
 * @type {Record<string, (data: any) => void>}
 */
const HANDLERS = {
	snapshot(all) {
		replaceAll(all);
		// What came while nobody listened has to be asked for.
		missedSome();
	},
	messages_missed: missedSome,
	device: put,
	config(config) {
		state.config = config;
		changed();
	},
	message(detail) {
		news.dispatchEvent(new CustomEvent("message", { detail }));
	},
	read({ device: detail }) {
		news.dispatchEvent(new CustomEvent("read", { detail }));
	},
	rules: putRules,
	webhooks({ device, webhooks }) {
		const known = state.devices.get(device);
		if (known) put({ ...known, webhooks });
	},
};

/** Opens the stream, and opens it again whenever it ends. */
export function connect() {
	disconnect();
	source = new EventSource("v1/events");
	source.onopen = reached;
	source.onerror = unreachable;
	for (const [kind, handle] of Object.entries(HANDLERS)) {
		source.addEventListener(kind, ({ data }) => {
			if (data) handle(JSON.parse(data));
		});
	}
}

/** Closes the stream, as after a log out. */
export function disconnect() {
	source?.close();
	clearTimeout(retryTimer);
	reached();
}

function reached() {
	clearTimeout(lostTimer);
	lostTimer = 0;
	state.asOf = null;
	state.lost = false;
	changed();
}

function lost() {
	state.lost = true;
	changed();
}

function unreachable() {
	// From now on the states are what they were; that shows at once.
	state.asOf ??= Date.now();
	changed();
	lostTimer ||= setTimeout(lost, SILENCE);
	if (source?.readyState !== EventSource.CLOSED) return;
	// The browser gave up on an HTTP error, and does not say which: the session may have ended.
	clearTimeout(retryTimer);
	retryTimer = setTimeout(retry, RETRY);
}

async function retry() {
	try {
		const { role } = await get("v1/session");
		if (role === "none") dispatchEvent(new Event("signed-out"));
		else connect();
	} catch {
		unreachable();
	}
}
