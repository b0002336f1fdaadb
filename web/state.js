// What the page knows, fed by the live stream. Views subscribe to a topic; changes are told once per frame, so fifty
// devices that change at once cost one update.

// Devices, webhooks and the rest look as openapi.json says.

export const state = { session: null, devices: new Map(), config: null, ready: false };

const listeners = new Set();
const pending = [];

/** Subscribes to `devices`, `device`, `config`, `message` or `missed`; the answer ends it. */
export function on(topic, tell) {
  const listener = [topic, tell];
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function changed(topic, what) {
  if (pending.push([topic, what]) > 1) return;
  // A hidden tab gets no frames, and must not pile changes up either.
  (document.hidden ? setTimeout : requestAnimationFrame)(flush);
}

function flush() {
  const last = new Map(pending.splice(0).map(([topic, what]) => [`${topic} ${what?.id ?? what?.name ?? ""}`, [topic, what]]));
  for (const [topic, what] of last.values()) {
    for (const [wanted, tell] of [...listeners]) if (wanted === topic) tell(what);
  }
}

export function replace({ devices, config }) {
  state.devices = new Map(devices.map((device) => [device.name, device]));
  state.config = config ?? state.config;
  state.ready = true;
  changed("devices");
  for (const device of devices) changed("device", device);
  changed("config");
}

export function put(device) {
  const known = state.devices.has(device.name);
  state.devices.set(device.name, device);
  changed("device", device);
  if (!known) changed("devices");
}
