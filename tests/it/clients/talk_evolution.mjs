// The npm package n8n-nodes-evolution-api, which was written for Evolution API v2: its operations in a host as small as
// they need, in n8n's place. It has no trigger: in n8n a node for any webhook takes the events.
//
// talk_evolution.mjs FOLDER URL KEY PHONE GROUP

import Module, { createRequire } from "node:module";

const [folder, url, key, phone, group] = process.argv.slice(2);

class NodeOperationError extends Error {
	constructor(_node, error) {
		super(error?.message ?? error);
	}
}
const load = Module._load;
Module._load = (name, ...rest) =>
	name === "n8n-workflow"
		? { NodeOperationError, NodeApiError: NodeOperationError }
		: load(name, ...rest);

const require = createRequire(import.meta.url);
const { EvolutionApi } = require(`${folder}/dist/nodes/EvolutionApi/EvolutionApi.node.js`);

/** What n8n's `request` does of what the node asks of it. */
async function request({ method, uri, headers, body }) {
	const json = { "content-type": "application/json" };
	const content = body === undefined ? {} : { body: JSON.stringify(body) };
	const response = await fetch(uri, { method, headers: { ...json, ...headers }, ...content });
	const text = await response.text();
	if (!response.ok) throw new Error(`${response.status} - ${text}`);
	return JSON.parse(text);
}

/** Runs one operation with those parameters; gives what the node passes on. */
async function operate(resource, operation, parameters) {
	const all = { resource, operation, instanceName: "toko", remoteJid: phone, ...parameters };
	const host = {
		continueOnFail: () => false,
		getCredentials: async () => ({ "server-url": url, apikey: key }),
		getInputData: () => [{ json: {} }],
		getNode: () => ({ name: "Evolution API" }),
		getNodeParameter: (name, _item, otherwise) => {
			const value = all[name] ?? otherwise;
			if (value === undefined) throw new Error(`Could not get parameter ${name}`);
			return value;
		},
		helpers: { request, returnJsonArray: (data) => (Array.isArray(data) ? data : [data]) },
	};
	const [[item]] = await new EvolutionApi().execute.call(host);
	// Most operations wrap what came back, some do not.
	const passed = item.json ?? item;
	if (passed.success === false) throw new Error(`${operation}: ${JSON.stringify(passed)}`);
	return passed.data ?? passed;
}

const message = (operation, parameters) =>
	operate("messages-api", operation, { options_message: {}, ...parameters });
const picture =
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

const sent = {
	text: await message("send-text", { messageText: "from n8n" }),
	image: await message("send-image", {
		media: picture,
		caption: "a picture",
		mimetype: "image/png",
	}),
	document: await message("send-document", {
		media: "bm90YQ==",
		mimetype: "text/plain",
		fileName: "nota.txt",
	}),
	contact: await message("send-contact", {
		"contacts.contactValues": [
			{ fullName: "Cid", wuid: "628111222333", phoneNumber: "628111222333" },
		],
	}),
};
const reaction = {
	remoteJid: `${phone}@s.whatsapp.net`,
	fromMe: true,
	messageId: sent.text.key.id,
	reaction: "👍",
};
sent.reaction = await message("send-reaction", reaction);
const ids = Object.entries(sent).map(([kind, answer]) => [kind, answer.key.id]);
const [instance] = await operate("instances-api", "fetch-instances", {});
const groups = await operate("groups-api", "fetch-groups", {
	searchMethod: "fetchAll",
	getParticipants: false,
});
const members = await operate("groups-api", "find-participants", { groupJid: group });
const presence = await operate("chat-api", "send-presence", { presence: "composing", delay: 1 });

console.log(
	JSON.stringify({
		state: instance.connectionStatus,
		connect: (await operate("instances-api", "instance-connect", {})).instance.state,
		groups: groups.map((one) => one.subject),
		members: members.participants.length,
		presence: presence.presence,
		sent: Object.fromEntries(ids),
	}),
);
