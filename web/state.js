// What the page knows, fed by the live stream, in the shapes of openapi.json. Changes are told once
// per frame: fifty devices that change at once cost one redraw.

/**
 * @typedef {object} Webhook
 * @property {number} n
 * @property {string} url
 * @property {"active" | "paused" | "gone"} state
 * @property {number} backlog
 * @property {string | null} failing_since
 * @property {string | null} next_try
 * @property {number | null} last_status
 * @property {string | null} last_code
 * @property {string | null} last_error
 * @property {number} cursor
 * @property {number} delivered
 * @property {number} parked how many it refused for good, since ever
 * @property {number} dead_letters how many of those are kept
 * @property {number} dropped how many were no longer kept when their turn came
 * @property {boolean} at_risk whether some that wait will soon be dropped
 */

/**
 * @typedef {object} Device
 * @property {string} name
 * @property {string} label
 * @property {"PENDING" | "CONNECTED" | "DISCONNECTED"} status
 * @property {string} state
 * @property {string} since
 * @property {string | null} reason
 * @property {string | null} detail
 * @property {string | null} retry_at
 * @property {string | null} until
 * @property {string | null} phone
 * @property {string | null} lid
 * @property {string | null} push_name
 * @property {string | null} proof_at
 * @property {string | null} last_in
 * @property {string | null} last_out
 * @property {string | null} country_code
 * @property {{ id: string, scopes: string[] }[]} [keys]
 * @property {any} linking
 * @property {Webhook[]} webhooks
 */

export const state = {
	/** Who looks at the page; the answer to `v1/session`. */
	session: null,
	/** @type {Map<string, Device>} */
	devices: new Map(),
	/**
	 * The conversations that were read, by device and address.
	 * @type {Map<string, import("./view/chats.js").Chat>}
	 */
	chats: new Map(),
	/**
	 * The number's address of each LID that is known, by device and LID.
	 * @type {Map<string, string>}
	 */
	people: new Map(),
	/**
	 * What the groups are called, by device and address.
	 * @type {Map<string, string>}
	 */
	groups: new Map(),
	/**
	 * What the rules of each device did.
	 * @type {Map<string, any[]>}
	 */
	rules: new Map(),
	/** The last reload of moonwa.toml and its problems. */
	config: null,
	/** Whether the devices are known. */
	ready: false,
	/**
	 * Since when what is known may be old, because moonwa does not answer.
	 * @type {number | null}
	 */
	asOf: null,
	/** Whether moonwa has been out of reach for so long that it is worth a banner. */
	lost: false,
};

/** Tells `changed`, each `message`, and `missed` when some messages may not have been told. */
export const news = new EventTarget();

let due = false;

/** Has the page drawn again. */
export function changed() {
	if (due) return;
	due = true;
	const tell = () => {
		due = false;
		news.dispatchEvent(new Event("changed"));
	};
	// A hidden tab gets no frames.
	if (document.hidden) setTimeout(tell);
	else requestAnimationFrame(tell);
}

/** Takes a complete picture of all devices in place of what was known. */
export function replaceAll({ devices, config }) {
	state.devices = new Map(devices.map((device) => [device.name, device]));
	state.config = config ?? state.config;
	// They follow, where there are any.
	state.rules.clear();
	state.ready = true;
	changed();
}

/** Forgets all that only somebody who is signed in may see. */
export function forgetAll() {
	const { devices, chats, people, groups, rules } = state;
	for (const known of [devices, chats, people, groups, rules]) known.clear();
	localStorage.removeItem("seen");
	sessionStorage.clear();
	state.ready = false;
}

/** Takes what the rules of one device did. */
export function putRules({ device, rules }) {
	state.rules.set(device, rules);
	changed();
}

/** Takes what is new about one device. */
export function put(device) {
	state.devices.set(device.name, device);
	changed();
}
