// The live stream: one EventSource that keeps `state` true, and knows when moonwa is out of reach.
import { get } from "./api.js";
import { changed, news, put, replace, state } from "./state.js";

const MISSED = new Event("missed");
let source = null;
let lost = 0;
let again = 0;

const TAKE = {
	// What came while nobody listened has to be asked for.
	snapshot: (all) => replace(all) ?? news.dispatchEvent(MISSED),
	messages_missed: () => news.dispatchEvent(MISSED),
	device: put,
	config: (config) => changed((state.config = config)),
	message: (detail) => news.dispatchEvent(new CustomEvent("message", { detail })),
	webhooks: ({ device, webhooks }) => {
		const known = state.devices.get(device);
		if (known) put({ ...known, webhooks });
	},
};

/** Opens the stream, and opens it again whenever it ends. */
export function connect() {
	hangUp();
	source = new EventSource("v1/events");
	source.onopen = found;
	source.onerror = missing;
	for (const [kind, take] of Object.entries(TAKE)) {
		source.addEventListener(kind, ({ data }) => data && take(JSON.parse(data)));
	}
}

/** Closes the stream, as after a log out. */
export function hangUp() {
	source?.close();
	clearTimeout(again);
	found();
}

function found() {
	clearTimeout(lost);
	lost = 0;
	changed(state.lost = false);
}

function missing() {
	// A restart takes a second or two: only a longer silence is worth a banner.
	lost ||= setTimeout(() => changed(state.lost = true), 5000);
	if (source.readyState !== EventSource.CLOSED) return;
	clearTimeout(again);
	// The browser gave up on an HTTP error, and does not say which: the session may have ended.
	again = setTimeout(() => get("v1/session").then(({ role }) => {
		if (role === "none") dispatchEvent(new Event("signed-out"));
		else connect();
	}, missing), 3000);
}
