// Talks to moonwa with the SDK of the Model Context Protocol, over HTTP and over a process' input and output.
// arguments: the folder of the SDK, "http" or "stdio", the URL or the command in JSON, the key, whom to write to.
import { pathToFileURL } from "node:url";

const [sdk, way, where, key, to] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${sdk}/dist/esm/client/${file}`));
const { Client } = await load("index.js");
const { StreamableHTTPClientTransport } = await load("streamableHttp.js");
const { StdioClientTransport } = await load("stdio.js");

const transport =
	way === "http"
		? new StreamableHTTPClientTransport(new URL(where), {
				requestInit: { headers: { authorization: `Bearer ${key}` } },
			})
		: new StdioClientTransport(JSON.parse(where));
const client = new Client({ name: "a program", version: "1.0.0" });
await client.connect(transport);
const call = async (name, args) => {
	const { isError, structuredContent, content } = await client.callTool({ name, arguments: args });
	if (isError) throw new Error(content[0].text);
	return structuredContent;
};
const { tools } = await client.listTools();
const status = await call("device_status", {});
const chats = await call("list_chats", {});
const read = await call("read_chat", { chat: to });
const found = await call("search", { query: "kopi" });
const sent = await call("send_message", { to, text: `halo dari ${way}` });
const waited = await call("wait_for_message", { seconds: 1 });
console.log(
	JSON.stringify({
		server: client.getServerVersion().name,
		tools: tools.map((tool) => tool.name),
		connected: status.devices[0].state,
		chats: chats.chats.length,
		read: read.messages.map((message) => message.text),
		found: found.messages.length,
		sent: sent.message.id,
		waited: waited.messages.length,
	}),
);
await client.close();
