// What the page knows, fed by the live stream, in the shapes of openapi.json. Changes are told once
// per frame: fifty devices that change at once cost one redraw.

export const state = { session: null, devices: new Map(), config: null, ready: false };

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

export function replace({ devices, config }) {
	state.devices = new Map(devices.map((device) => [device.name, device]));
	state.config = config ?? state.config;
	state.ready = true;
	changed();
}

export function put(device) {
	state.devices.set(device.name, device);
	changed();
}
