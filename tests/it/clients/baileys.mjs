// A companion of a WhatsApp account as Baileys is one, against the simulator. It adds nothing of its own: every line on
// its standard input calls a function of Baileys, and what Baileys tells goes out as it is, one JSON object a line.
//
//   node baileys.mjs BAILEYS WEBSOCKET ROOT DIRECTORY
//
// ROOT is the key that signs the simulator's certificates, in Base64.

import { createInterface } from "node:readline";
import { PlainAgent, plain } from "./plain.mjs";

const [, , library, waWebSocketUrl, root, directory] = process.argv;
const baileys = await import(library);
const { BufferJSON, DisconnectReason } = baileys;

plain(baileys, root);

// Standard output belongs to the story, so the log goes to standard error, and what its Signal library prints nowhere.
const quiet = () => {};
console.log = quiet;
console.info = quiet;
const loud = (level) => (what, text) =>
	console.error(level, text ?? "", JSON.stringify(what?.trace ?? what?.err?.stack ?? what));
const debug = process.env.BAILEYS_DEBUG ? loud("debug") : quiet;
const logger = {
	level: "debug",
	trace: quiet,
	debug,
	info: debug,
	warn: loud("warn"),
	error: loud("error"),
};
logger.child = () => logger;

const say = (what) => process.stdout.write(`${JSON.stringify(what, BufferJSON.replacer)}\n`);

const { state, saveCreds } = await baileys.useMultiFileAuthState(directory);
/** What is being written into the directory: Baileys waits for none of it, and an end in between leaves half a file. */
const writes = new Set();
const written = (write) => {
	writes.add(write);
	return write.finally(() => writes.delete(write));
};
const { set } = state.keys;
state.keys.set = (data) => written(set(data));
/** Messages by id: what a contact asks for again, and what has a file. */
const kept = new Map();
let socket;
/** The call in progress, or the last one. */
let running;

function open() {
	socket = baileys.makeWASocket({
		waWebSocketUrl,
		auth: state,
		logger,
		fetchAgent: new PlainAgent(),
		retryRequestDelayMs: 0,
		getMessage: async ({ id }) => {
			// It may be asked for before the call that sent it is through.
			await running;
			return kept.get(id)?.message ?? undefined;
		},
	});
	socket.ev.process(async (events) => {
		if (events["creds.update"]) await written(saveCreds());
		for (const message of events["messages.upsert"]?.messages ?? [])
			kept.set(message.key.id, message);
		for (const [event, data] of Object.entries(events)) {
			// The credentials change all the time, and are nobody's business.
			if (event === "creds.update") continue;
			const code = data.lastDisconnect?.error?.output?.statusCode;
			say({ event, data, code });
			// A new companion is told to connect again as what it has become.
			if (data.connection === "close" && code === DisconnectReason.restartRequired) open();
		}
	});
}

const own = {
	sendMessage: async (...values) => {
		const message = await socket.sendMessage(...values);
		kept.set(message.key.id, message);
		return message;
	},
	/** The file of a message. */
	download: (id) => baileys.downloadMediaMessage(kept.get(id), "buffer", {}),
};

async function answer(line) {
	const { call, values } = JSON.parse(line, BufferJSON.reviver);
	try {
		const value = await (own[call] ?? socket[call])(...values);
		say({ answer: value ?? null });
	} catch (error) {
		say({ refused: `${error.stack}` });
	}
}

open();
for await (const line of createInterface({ input: process.stdin })) {
	running = answer(line);
	await running;
}
while (writes.size > 0) await Promise.allSettled(writes);
process.exit();
