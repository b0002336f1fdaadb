// Single Send: one message from one device, what it will look like, how far it got, and the same request as curl.
import { get, of, post, upload } from "../api.js";
import { copies, details, el, empty, explain, h1, icon, input, lines, muted, pre, tell } from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { changed, news, state } from "../state.js";
import { chosen, pick } from "./pick.js";

// What each kind of message is made of; what has a question mark may be missing. Of `url` and `file` one is enough.
const KINDS = {
	text: "text", image: "url file caption?", video: "url file caption?", audio: "url file",
	voice: "url file", document: "url file caption?", sticker: "url file",
	location: "latitude longitude name?", contact: "name number", poll: "question options",
	reaction: "message emoji", forward: "message",
};
const MORE = "reply_to? mentions?";
const ONCE = ["image", "video", "audio", "voice"];
const TYPES = { text: "long", caption: "long", options: "long", url: "url", file: "file", number: "tel" };

/** The sign of each status a message passes through. */
export const TICK = {
	queued: "clock", sent: "clock", accepted: "tick", delivered: "ticks", read: "ticks", played: "ticks",
	failed: "alert",
};

const step = ({ status }) => Object.keys(TICK).indexOf(status);

/** The number or group id as the server wants it. */
const bare = (text = "") =>
	(text.endsWith("@g.us") ? text : text.replace(/[\s()[\]-]/g, "")).replace(/^\+/, "");

/** The request that the form stands for. */
function request({ to, kind, file, reply_to, mentions, view_once, ...all }) {
	const numbers = mentions?.split(",").map((one) => bare(one.trim()));
	const common = { to: bare(to), reply_to, mentions: numbers, view_once: view_once && true };
	if (file) return { ...common, kind, caption: all.caption, file };
	if (kind === "text") return { ...common, text: all.text ?? "" };
	for (const key of ["latitude", "longitude"]) if (all[key]) all[key] = Number(all[key]);
	if (kind === "poll") all.options = (all.options ?? "").split("\n").map((one) => one.trim()).filter(Boolean);
	if (kind === "contact") {
		const number = bare(all.number);
		all = { name: all.name, vcard: `BEGIN:VCARD\nVERSION:3.0\nFN:${all.name}\n`
			+ `TEL;type=CELL;waid=${number}:+${number}\nEND:VCARD` };
	}
	return { ...common, [kind]: all };
}

/** An upload's parts; its file comes last, because the server streams it. */
const parts = ({ file, ...all }) => Object.entries({ ...all, file })
	.flatMap(([key, value]) => [value].flat().map((one) => [key, one])).filter(([, value]) => value);

function curl(name, body) {
	const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	const rest = body.file
		? parts(body).map(([key, one]) => `-F ${quoted(`${key}=${one.name ? `@${one.name}` : one}`)}`)
		: ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`];
	return [`curl ${quoted(new URL(of(name, "messages"), document.baseURI).href)}`,
		"-H 'Authorization: Bearer API_KEY'", ...rest].join(" \\\n  ");
}

export default function send(signal, wanted) {
	const device = chosen(wanted);
	if (!device) {
		return () => [h1(t("nav.send")), empty("devices", t("devices.none"), t("devices.none_why"))];
	}
	const { name } = device;
	const canvas = el("canvas", { "data-key": "thumb", hidden: true });
	let values = { kind: "text", to: "" };
	let groups = [];
	let found = null;
	let progress = null;
	let sent = null;
	let trail = [];
	let asking = new AbortController();

	/** Asks WhatsApp about the number once the typing stops. */
	async function check() {
		const to = bare(values.to);
		asking.abort();
		asking = new AbortController();
		changed(found = null);
		if (!to || to.endsWith("@g.us")) return;
		const mine = asking.signal;
		await new Promise((done) => setTimeout(done, 600));
		if (mine.aborted || signal.aborted) return;
		if (to.startsWith("0") && !device.country_code) {
			found = { words: t("n.zero", { example: `62${to.slice(1)}` }) };
		} else if (!/^\d{7,15}$/.test(to)) found = { words: t("n.bad") };
		else {
			try {
				const { on_whatsapp: good, name: called } = await get(of(name, `contacts/${to}`), mine);
				const words = [t(good ? "x.found" : "e.not_on_whatsapp"), called].filter(Boolean).join(" · ");
				found = { good, words };
			} catch (error) {
				if (mine.aborted) return;
				found = { words: explain(error) };
			}
		}
		changed();
	}

	function typed({ target: { name: key, form, files } }) {
		const given = [...new FormData(form)].map(([name, value]) => [name, value.trim?.() ?? value]);
		values = Object.fromEntries(given.filter(([, value]) => value && value.size !== 0));
		if (key === "to") check();
		if (key === "file") thumb(canvas, files[0]);
		changed();
	}

	async function submit({ target: form }) {
		const missing = [...form.elements].find((one) => "needed" in one.dataset && !one.value.trim()
			&& !(one.name === "url" && values.file) && !(one.name === "file" && values.url));
		if (missing) {
			missing.focus();
			return tell(t("x.missing"), true);
		}
		if (values.file?.size > state.session.max_media) return tell(t("e.too_large"), true);
		// One press is one message, even if the answer is lost and the browser asks again.
		const bytes = [...crypto.getRandomValues(new Uint8Array(16))];
		const headers = { "idempotency-key": bytes.map((byte) => byte.toString(16)).join("-") };
		const body = request(values);
		const data = new FormData();
		for (const part of parts(body)) data.append(...part);
		const moved = (part) => changed(progress = part);
		const path = of(name, "messages");
		const made = await (body.file ? upload(path, data, headers, moved) : post(path, body, headers))
			.finally(() => (progress = null));
		const now = new Date().toISOString();
		[sent, trail] = [{ id: made.id, created: now }, []];
		track({ ...made, to: body.to, updated: now });
		await again();
	}

	function track(message) {
		// The stream and the answer may tell the same step, the older one last.
		if (message.id !== sent?.id || step(message) < step(sent)) return;
		sent = { ...sent, ...message };
		if (!trail.some(({ status }) => status === message.status)) trail.push(message);
		changed();
	}
	const again = async () => sent && track(await get(of(name, `messages/${sent.id}`)));
	news.addEventListener("message", ({ detail }) => track(detail), { signal });
	news.addEventListener("missed", () => again().catch(() => {}), { signal });
	if (device.status === "CONNECTED") {
		get(of(name, "groups")).then((answer) => changed({ groups } = answer), () => {});
	}

	/** A field of the message. */
	const field = (word) => {
		const [key, optional] = word.split("?");
		const more = { "data-needed": optional === undefined, inputmode: key.endsWith("tude") && "decimal" };
		return el(".stack", { "data-key": key }, input(t(`f.${key}`), key, TYPES[key] ?? "text", more));
	};

	function preview() {
		const { kind, text, caption, question, emoji, url, file, name, number, message } = values;
		const main = text ?? caption ?? question ?? emoji ?? message;
		const options = kind === "poll" ? request(values).poll.options.map((one) => `○ ${one}`) : [];
		const words = [main, name, number, ...options].filter(Boolean).join("\n");
		const what = kind !== "text" && (file?.name ?? (url?.split("/").pop() || t(`k.${kind}`)));
		const at = clock(sent?.created ?? new Date().toISOString(), { timeStyle: "short" });
		return el("section.card.chat", el(".bubble", canvas, what && el("p.what", what),
			el(`p.${main || kind !== "text" ? "" : "muted"}`, words || (kind === "text" && t("x.example"))),
			el("p.ticks.num", at, icon(TICK[sent?.status] ?? "clock", sent?.status))));
	}

	return () => {
		const { kind } = values;
		const request_text = curl(name, request(values));
		const up = state.devices.get(name)?.status === "CONNECTED";
		const receiver = { list: "groups", inputmode: "tel", placeholder: "6281234567890",
			"aria-describedby": "check", "aria-invalid": found && !found.good && "true", "data-needed": true };
		const more = ["reaction", "forward"].includes(kind) ? false : details(t("x.more"), el(".stack",
			MORE.split(" ").map(field), ONCE.includes(kind) && input(t("f.view_once"), "view_once", "checkbox")));
		const failed = sent?.status === "failed";
		return [
			h1(t("nav.send")),
			el(".two",
				el("form.card.stack", { novalidate: true, input: typed, submit },
					pick("send", name),
					!up && el("p.note.wait", t("e.device_not_connected")),
					input("Receiver", "to", "text", receiver),
					el("datalist", { id: "groups" },
						groups.map(({ id, name }) => el("option", { value: id }, name))),
					el("p.hint", { id: "check", role: "status" },
						found && el(`span.row.${found.good ? "good" : "failed"}`,
							icon(found.good ? "ok" : "alert"), found.words)),
					input("Message Type", "kind", Object.keys(KINDS).map((one) => [one, t(`k.${one}`)])),
					el(".stack", KINDS[kind].split(" ").map(field)),
					more,
					progress !== null && el("progress", { max: 1, value: progress, "aria-label": t("x.upload") }),
					el("button.primary", icon("send"), t("x.send"))),
				el(".stack",
					preview(),
					el("div", { "aria-live": "polite" }, sent?.to && el("section.card.stack",
						el("h2", failed ? say("e", sent.code, {}, sent.detail) : phone(sent.to)),
						lines(trail.map(({ status, updated }) => [icon(TICK[status], status),
							el("span.grow", { "data-status": status }, t(`t.${status}`)),
							muted(clock(updated, { timeStyle: "medium" }))]), "ol"))),
					el("section.card", details(t("x.curl"), pre(request_text), copies(request_text))))),
		];
	};
}

/** A picture's preview is painted, so that the page needs no address for it. */
async function thumb(canvas, file) {
	canvas.hidden = true;
	const image = file?.type.startsWith("image/") && await createImageBitmap(file).catch(() => null);
	if (!image) return;
	const scale = Math.min(1, 480 / image.width);
	canvas.width = image.width * scale;
	canvas.height = image.height * scale;
	canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
	canvas.hidden = false;
}
