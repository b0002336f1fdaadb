// What the page knows, fed by the live stream. Views subscribe to a topic; changes are told once per frame, so fifty
// devices that change at once cost one update.

/**
 * @typedef {{n: number, url: string, state: string, backlog: number, failing_since: ?string, next_try: ?string,
 *   last_status: ?number, last_error: ?string, delivered: number, parked: number}} Webhook
 * @typedef {{has_qr: boolean, expires_at: ?string, pair_code: ?string, pair_code_expires_at: ?string,
 *   passkey: ?{step: string, options?: string, code?: string}}} Linking
 * @typedef {{name: string, label: string, status: string, state: string, since: string, reason: ?string, detail: ?string,
 *   retry_at: ?string, until: ?string, phone: ?string, lid: ?string, push_name: ?string, proof_at: ?string, last_in: ?string,
 *   last_out: ?string, country_code: ?string, keys?: {id: string, scopes: string[]}[], linking: ?Linking, webhooks: Webhook[]}} Device
 */

/** @type {{session: any, devices: Map<string, Device>, config: any, ready: boolean}} */
export const state = { session: null, devices: new Map(), config: null, ready: false };

const listeners = new Set();
const pending = [];

/**
 * @param {string} topic `devices`, `device`, `config`, `message` or `missed`
 * @param {(what: any) => void} tell
 * @returns {() => void} ends the subscription
 */
export function on(topic, tell) {
  const listener = [topic, tell];
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** @param {string} topic @param {any} [what] */
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

/** @param {{devices: Device[], config?: any}} snapshot */
export function replace({ devices, config }) {
  state.devices = new Map(devices.map((device) => [device.name, device]));
  state.config = config ?? state.config;
  state.ready = true;
  changed("devices");
  for (const device of devices) changed("device", device);
  changed("config");
}

/** @param {Device} device */
export function put(device) {
  const known = state.devices.has(device.name);
  state.devices.set(device.name, device);
  changed("device", device);
  if (!known) changed("devices");
}
