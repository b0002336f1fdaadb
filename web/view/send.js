// Single Send: one message from one device, its preview, how far it got, the same request as curl.
import { get, of, post, upload } from "../api.js";
import {
	copies, details, el, empty, explain, h1, icon, input, lines, muted, pre, tell,
} from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { changed, news, state } from "../state.js";
import { TICK, chosen, pick } from "./status.js";

// What each kind of message is made of; ?: it may be missing. Of url and file one is enough.
const KINDS = {
	text: "text", image: "url file caption?", video: "url file caption?", audio: "url file",
	voice: "url file", document: "url file caption?", sticker: "url file",
	location: "latitude longitude name?", contact: "name number", poll: "question options",
	reaction: "message emoji", forward: "message",
};
const ONCE = ["image", "video", "audio", "voice"];
const TYPES = {
	text: "long", caption: "long", options: "long", url: "url", file: "file", number: "tel",
};

const step = ({ status }) => Object.keys(TICK).indexOf(status);

/** The number or group id as the server wants it. */
const bare = (text = "") =>
	(text.endsWith("@g.us") ? text : text.replace(/[\s()[\]-]/g, "")).replace(/^\+/, "");

const split = (text, mark) => (text ?? "").split(mark).map((one) => one.trim()).filter(Boolean);

/** The request that the form stands for. */
function request({ to, kind, file, reply_to, mentions, view_once, ...all }) {
	const common = { to: bare(to), reply_to, view_once: view_once && true };
	if (mentions) common.mentions = split(mentions, ",").map(bare);
	if (file) return { ...common, kind, caption: all.caption, file };
	const { latitude, longitude, name, number } = all;
	const card = ["BEGIN:VCARD", "VERSION:3.0", `FN:${name}`,
		`TEL;type=CELL;waid=${bare(number)}:+${bare(number)}`, "END:VCARD"].join("\n");
	const parts = {
		text: all.text ?? "",
		location: { name, latitude: Number(latitude), longitude: Number(longitude) },
		contact: { name, vcard: card },
		poll: { question: all.question, options: split(all.options, "\n") },
	};
	return { ...common, [kind]: parts[kind] ?? all };
}

/** An upload's parts; its file comes last, because the server streams it. */
const parts = ({ file, ...all }) => Object.entries({ ...all, file })
	.flatMap(([key, value]) => [value].flat().map((one) => [key, one])).filter(([, one]) => one);

function curl(path, body) {
	const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	const part = ([key, one]) => `-F ${quoted(`${key}=${one.name ? `@${one.name}` : one}`)}`;
	const json = ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`];
	const url = quoted(new URL(path, document.baseURI).href);
	return [`curl ${url}`, "-H 'Authorization: Bearer API_KEY'",
		...(body.file ? parts(body).map(part) : json)].join(" \\\n  ");
}

export default function send(signal, wanted) {
	const device = chosen(wanted);
	if (!device) {
		return () => [h1(t("nav.send")), empty("devices", t("devices.none"), t("devices.none_why"))];
	}
	const { name } = device;
	const path = of(name, "messages");
	const canvas = el("canvas", { "data-key": "thumb", hidden: true });
	let values = { kind: "text" };
	let groups = [];
	let found = null;
	let progress = null;
	let sent = null;
	let trail = [];
	let asking = new AbortController();

	/** What there is to say about a number. */
	async function judge(to, signal) {
		if (to.startsWith("0") && !device.country_code) {
			return { words: t("n.zero", { example: `62${to.slice(1)}` }) };
		}
		if (!/^\d{7,15}$/.test(to)) return { words: t("n.bad") };
		try {
			const { on_whatsapp: good, name: called } = await get(of(name, `contacts/${to}`), signal);
			const words = [t(good ? "x.found" : "e.not_on_whatsapp"), called];
			return { good, words: words.filter(Boolean).join(" · ") };
		} catch (error) {
			return signal.aborted ? null : { words: explain(error) };
		}
	}

	/** Asks WhatsApp about the number once the typing stops. */
	function check() {
		const to = bare(values.to);
		asking.abort();
		asking = new AbortController();
		const mine = asking.signal;
		found = null;
		if (to && !to.endsWith("@g.us")) setTimeout(async () => {
			const judged = mine.aborted ? null : await judge(to, mine);
			if (!mine.aborted) changed(found = judged);
		}, 600);
	}
	signal.addEventListener("abort", () => asking.abort());

	function typed({ target: { name: key, form, files } }) {
		const given = [...new FormData(form)].map(([name, value]) => [name, value.trim?.() ?? value]);
		values = Object.fromEntries(given.filter(([, value]) => value && value.size !== 0));
		if (key === "to") check();
		if (key === "file") thumb(canvas, files[0]);
		changed();
	}

	async function submit({ target: form }) {
		const missing = [...form.elements].find(({ name, value, dataset }) => "needed" in dataset
			&& !value.trim() && !(name === "url" && values.file) && !(name === "file" && values.url));
		missing?.focus();
		if (missing) return tell(t("x.missing"), true);
		if (values.file?.size > state.session.max_media) return tell(t("e.too_large"), true);
		// One press is one message, even if the answer is lost and the browser asks again.
		const headers = { "idempotency-key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
		const body = request(values);
		const data = new FormData();
		for (const part of parts(body)) data.append(...part);
		const moved = (part) => changed(progress = part);
		const made = await (body.file ? upload(path, data, headers, moved) : post(path, body, headers))
			.finally(() => (progress = null));
		const updated = new Date().toISOString();
		[sent, trail] = [{ id: made.id, created: updated }, []];
		track({ ...made, to: body.to, updated });
		await again();
	}

	function track(message) {
		// The stream and the answer may tell the same step, the older one last.
		if (message.id !== sent?.id || step(message) < step(sent)) return;
		sent = { ...sent, ...message };
		if (!trail.some(({ status }) => status === message.status)) trail.push(message);
		changed();
	}
	const again = async () => sent && track(await get(`${path}/${sent.id}`));
	news.addEventListener("message", ({ detail }) => track(detail), { signal });
	news.addEventListener("missed", () => again().catch(() => {}), { signal });
	if (device.status === "CONNECTED") {
		get(of(name, "groups")).then((answer) => changed({ groups } = answer), () => {});
	}

	const field = (word) => {
		const [key, optional] = word.split("?");
		const more = { "data-needed": optional === undefined };
		return el(".stack", { "data-key": key }, input(t(`f.${key}`), key, TYPES[key] ?? "text", more));
	};

	function preview() {
		const { kind, text, caption, question, emoji, url, file, name, number, message } = values;
		const main = text ?? caption ?? question ?? emoji ?? message;
		const options = split(values.options, "\n").map((one) => `○ ${one}`);
		const words = [main, name, number, ...options].filter(Boolean).join("\n");
		const what = kind !== "text" && (file?.name ?? (url?.split("/").pop() || t(`k.${kind}`)));
		const at = clock(sent?.created ?? Date.now(), { timeStyle: "short" });
		return el("section.card.chat", el(".bubble", canvas, what && el("p.what", what),
			words || what ? el("p", words) : el("p.muted", t("x.example")),
			el("p.ticks.num", at, icon(TICK[sent?.status] ?? "clock", sent?.status))));
	}

	const result = () => el("section.card.stack",
		el("h2", sent.status === "failed" ? say("e", sent.code, {}, sent.detail) : phone(sent.to)),
		lines(trail.map(({ status, updated }) => [icon(TICK[status], status),
			el("span", { "data-status": status }, t(`t.${status}`)),
			muted(clock(updated, { timeStyle: "medium" }))])));

	return () => {
		const { kind } = values;
		const asCurl = curl(path, request(values));
		const up = state.devices.get(name)?.status === "CONNECTED";
		const receiver = { list: "groups", inputmode: "tel", placeholder: "6281234567890",
			"aria-describedby": "check", "aria-invalid": found && !found.good, "data-needed": true };
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
					!["reaction", "forward"].includes(kind) && details(t("x.more"), el(".stack",
						["reply_to?", "mentions?"].map(field),
						ONCE.includes(kind) && input(t("f.view_once"), "view_once", "checkbox"))),
					progress !== null
						&& el("progress", { max: 1, value: progress, "aria-label": t("x.upload") }),
					el("button.primary", icon("send"), t("x.send"))),
				el(".stack", preview(), el("div", { "aria-live": "polite" }, sent?.to && result()),
					el("section.card", details(t("x.curl"), pre(asCurl), copies(asCurl))))),
		];
	};
}

/** A picture's preview is painted, so that the page needs no address for it. */
async function thumb(canvas, file) {
	canvas.hidden = true;
	const isImage = file?.type.startsWith("image/");
	const image = isImage && await createImageBitmap(file).catch(() => null);
	if (!image) return;
	const scale = Math.min(1, 480 / image.width);
	canvas.width = image.width * scale;
	canvas.height = image.height * scale;
	canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
	canvas.hidden = false;
}
