// What people run instead of a gateway: sessions of Baileys in one process, each incoming text forwarded to a webhook, and an
// endpoint that sends. The sessions are in Baileys' own files.
//
//   node baileys.mjs BAILEYS WEBSOCKET ROOT DIRECTORY HOOK DEVICES
//
// ROOT is the key that signs the simulator's certificates, in Base64. `POST /DEVICE` with `{to, text}` answers when WhatsApp
// has the message. What the comparison must know goes to standard output, one JSON object a line.

import { createServer } from "node:http";
import { join } from "node:path";
import { PlainAgent, plain } from "../../it/clients/plain.mjs";

const [, , library, waWebSocketUrl, root, directory, hook, devices] = process.argv;
const baileys = await import(library);
plain(baileys, root);

// Nothing is logged: that would be work which nobody asked for.
const quiet = () => {};
console.log = console.info = console.warn = console.error = quiet;
const logger = { level: "silent", trace: quiet, debug: quiet, info: quiet, warn: quiet };
logger.error = quiet;
logger.child = () => logger;

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const sockets = [];

async function forward({ type, messages }) {
	for (const { key, message, pushName } of messages) {
		const text = message?.conversation ?? message?.extendedTextMessage?.text;
		if (type !== "notify" || key.fromMe || text === undefined) continue;
		const data = { id: key.id, from: key.remoteJidAlt ?? key.remoteJid, name: pushName, text };
		const body = JSON.stringify({ type: "message.received", data });
		const headers = { "content-type": "application/json" };
		// A receiver that is down has missed it: that is what forwarders do.
		await fetch(hook, { method: "POST", headers, body }).then((answer) => answer.text(), quiet);
	}
}

async function open(device) {
	const { state, saveCreds } = await baileys.useMultiFileAuthState(join(directory, `${device}`));
	const connect = () => {
		const socket = baileys.makeWASocket({
			waWebSocketUrl,
			auth: state,
			logger,
			fetchAgent: new PlainAgent(),
		});
		sockets[device] = socket;
		socket.ev.on("creds.update", saveCreds);
		socket.ev.on("messages.upsert", forward);
		socket.ev.on("messaging-history.set", () => say({ device, is: "told" }));
		socket.ev.on("connection.update", ({ qr, connection, lastDisconnect, ...rest }) => {
			if (qr) say({ device, is: "asking", qr });
			if (rest.receivedPendingNotifications) say({ device, is: "connected" });
			const code = lastDisconnect?.error?.output?.statusCode;
			if (connection === "close" && code !== baileys.DisconnectReason.loggedOut) connect();
		});
	};
	connect();
}

async function send(device, { to, text }) {
	const socket = sockets[device];
	const messageId = baileys.generateMessageIDV2(socket.user?.id);
	const taken = socket.waitForMessage(messageId);
	await socket.sendMessage(`${to}@s.whatsapp.net`, { text }, { messageId });
	const { attrs } = await taken;
	if (attrs.error) throw new Error(`WhatsApp refused it with ${attrs.error}`);
	return { id: messageId };
}

for (let device = 0; device < Number(devices); device++) await open(device);

const server = createServer(async (request, response) => {
	const parts = [];
	for await (const part of request) parts.push(part);
	const [status, answer] = await send(
		Number(request.url.slice(1)),
		JSON.parse(Buffer.concat(parts)),
	).then(
		(sent) => [200, sent],
		(error) => [500, { error: `${error}` }],
	);
	response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
});
server.listen(0, "127.0.0.1", () => say({ is: "ready", port: server.address().port }));
