// What makes Baileys a client of the simulator instead of WhatsApp's.

import { Agent } from "node:https";
import { connect } from "node:net";

// The simulator's media host speaks HTTP without TLS, and Baileys asks every host for `https`.
export class PlainAgent extends Agent {
	createConnection({ host, port }, connected) {
		return connect({ host, port }, connected);
	}
}

/** The whole chain is checked as ever, up to the simulator's root, in Base64, instead of WhatsApp's. */
export function plain(baileys, root) {
	baileys.WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(root, "base64");
	const fetchWithTls = globalThis.fetch;
	globalThis.fetch = (url, options) => fetchWithTls(`${url}`.replace(/^https:/, "http:"), options);
}
