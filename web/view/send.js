// Single Send: one message from one device, its preview, how far it got, the same request as curl.
import { get, pathOf, post, upload } from "../api.js";
import {
	complain,
	details,
	el,
	empty,
	explain,
	forgive,
	h1,
	icon,
	input,
	lines,
	muted,
	pre,
} from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { copyButton } from "../overlay.js";
import { changed, news, state } from "../state.js";
import { curl, KINDS, numberFrom, partsOf, requestFrom, splitText } from "./send_request.js";
import { chosen, devicePicker, TICK } from "./status.js";

/** The kinds that can be seen once only. */
const VIEW_ONCE = ["image", "video", "audio", "voice"];
/** The kinds that neither answer nor mention. */
const BARE = ["reaction", "forward"];
/** The inputs' types, where they are no plain text. */
const TYPES = {
	text: "long",
	caption: "long",
	options: "long",
	url: "url",
	file: "file",
	number: "tel",
};
/** How long after the last key WhatsApp is asked about a number. */
const PAUSE = 600;

/** How far a message got, as a number. */
const stepOf = ({ status }) => Object.keys(TICK).indexOf(status);

export default function send(signal, wanted) {
	const device = chosen(wanted);
	if (!device) {
		const none = empty("devices", t("devices.none"), t("devices.none_why"));
		return () => [h1(t("nav.send")), none];
	}
	const { name } = device;
	const path = pathOf(name, "messages");
	const canvas = el("canvas", { "data-key": "thumb", hidden: true });
	/** What is filled in. */
	let values = /** @type {Record<string, any>} */ ({ kind: "text" });
	let groups = [];
	/** What there is to say about the receiver. */
	let found = null;
	/** How much of an upload is done. */
	let progress = null;
	/** The last message that was sent, and the steps it took. */
	let sent = null;
	let trail = [];

	const check = receiverCheck(device, signal, (judgement) => {
		found = judgement;
		changed();
	});

	function typed({ target }) {
		const { name: field, form, files } = target;
		forgive(target);
		values = filledIn(form);
		if (field === "to") {
			found = null;
			check(numberFrom(values.to));
		}
		if (field === "file") paint(canvas, files[0]);
		changed();
	}

	async function submit({ target: form }) {
		const missing = firstMissing(form, values);
		if (missing) {
			complain(missing, t("send.missing"));
			return missing.focus();
		}
		if (values.file?.size > state.session.max_media) {
			return complain(form.elements.file, t("error.too_large"));
		}
		// One press is one message, even if the answer is lost and the browser asks again.
		const random = crypto.getRandomValues(new Uint32Array(4)).join("-");
		const headers = { "idempotency-key": random };
		const body = requestFrom(values);
		const made = body.file ? await uploadParts(body, headers) : await post(path, body, headers);
		const updated = new Date().toISOString();
		sent = { id: made.id, created: updated };
		trail = [];
		track({ ...made, to: body.to, updated });
		await askAgain();
	}

	async function uploadParts(body, headers) {
		const data = new FormData();
		for (const [key, value] of partsOf(body)) data.append(key, value);
		const moved = (part) => {
			progress = part;
			changed();
		};
		try {
			return await upload(path, data, headers, moved);
		} finally {
			progress = null;
		}
	}

	/** Takes news of a message, if it is the one that was sent. */
	function track(message) {
		// The stream and the answer may tell the same step, the older one last.
		if (message.id !== sent?.id || stepOf(message) < stepOf(sent)) return;
		sent = { ...sent, ...message };
		if (!trail.some(({ status }) => status === message.status)) trail.push(message);
		changed();
	}

	async function askAgain() {
		if (sent) track(await get(`${path}/${sent.id}`));
	}
	news.addEventListener("message", (/** @type {any} */ { detail }) => track(detail), { signal });
	news.addEventListener("missed", () => askAgain().catch(() => {}), { signal });

	async function loadGroups() {
		try {
			({ groups } = await get(pathOf(name, "groups")));
			changed();
		} catch {
			// Without the list of groups their ids can still be typed.
		}
	}
	if (device.status === "CONNECTED") loadGroups();

	function form() {
		const { kind } = values;
		const connected = state.devices.get(name)?.status === "CONNECTED";
		const kinds = Object.keys(KINDS).map((one) => [one, t(`kind.${one}`)]);
		return el(
			"form.card.stack",
			{ novalidate: true, input: typed, submit },
			devicePicker("send", name),
			!connected && el("p.note.wait", t("error.device_not_connected")),
			receiverField(groups, found),
			input("Message Type", "kind", kinds),
			el(".stack", KINDS[kind].split(" ").map(field)),
			furtherFields(kind),
			progress !== null &&
				el("progress", { max: 1, value: progress, "aria-label": t("send.upload") }),
			el("button.primary", icon("send"), t("send.send")),
		);
	}

	return () => {
		const asCurl = curl(path, requestFrom(values));
		return [
			h1(t("nav.send")),
			el(
				".two",
				form(),
				el(
					".stack",
					preview(values, sent, canvas),
					el("div", { "aria-live": "polite" }, sent?.to && result(sent, trail)),
					el("section.card", details(t("send.curl"), pre(asCurl), copyButton(asCurl))),
				),
			),
		];
	};
}

/** What a form says, without what is empty. */
function filledIn(form) {
	const values = {};
	for (const [name, value] of new FormData(form)) {
		const given = typeof value === "string" ? value.trim() : value.size > 0 && value;
		if (given) values[name] = given;
	}
	return values;
}

/** The first field that has to be filled in and is not. Of an address and a file one is enough. */
function firstMissing(form, values) {
	const given = { url: values.file, file: values.url };
	return [...form.elements].find(
		({ name, value, dataset }) => "needed" in dataset && !value.trim() && !given[name],
	);
}

/** Asks WhatsApp about a number once the typing stops, and hands on what there is to say. */
function receiverCheck(device, signal, judged) {
	let asking = new AbortController();
	signal.addEventListener("abort", () => asking.abort());

	return (to) => {
		asking.abort();
		asking = new AbortController();
		const mine = asking.signal;
		if (!to || to.endsWith("@g.us")) return;
		setTimeout(async () => {
			if (mine.aborted) return;
			const judgement = await judge(device, to, mine);
			if (!mine.aborted) judged(judgement);
		}, PAUSE);
	};
}

/** What there is to say about a number. */
async function judge({ name, country_code }, to, signal) {
	if (to.startsWith("0") && !country_code) {
		return { words: t("number.zero", { example: `62${to.slice(1)}` }) };
	}
	if (!/^\d{7,15}$/.test(to)) return { words: t("number.bad") };
	try {
		const contact = await get(pathOf(name, `contacts/${to}`), signal);
		const good = contact.on_whatsapp;
		const words = [t(good ? "send.found" : "error.not_on_whatsapp"), contact.name];
		return { good, words: words.filter(Boolean).join(" · ") };
	} catch (error) {
		return signal.aborted || error.status === 401 ? null : { words: explain(error) };
	}
}

function receiverField(groups, found) {
	const attributes = {
		list: "groups",
		inputmode: "tel",
		placeholder: "6281234567890",
		"aria-describedby": "check",
		"aria-invalid": found && !found.good,
		"data-needed": true,
	};
	const options = groups.map(({ id, name }) => el("option", { value: id }, name));
	return [
		input("Receiver", "to", "text", attributes),
		el("datalist", { id: "groups" }, options),
		el("p.hint", { id: "check", role: "status" }, found && judgement(found)),
	];
}

const judgement = ({ good, words }) =>
	el(`span.row.${good ? "good" : "failed"}`, icon(good ? "ok" : "alert"), words);

/** A field of a message; one with a question mark may stay empty. */
function field(word) {
	const key = word.replace("?", "");
	const attributes = { "data-needed": key === word };
	const control = input(t(`field.${key}`), key, TYPES[key] ?? "text", attributes);
	return el(".stack", { "data-key": key }, control);
}

const furtherFields = (kind) =>
	details(
		t("send.more"),
		el(
			".stack",
			!BARE.includes(kind) && ["reply_to?", "mentions?"].map(field),
			input(t("later.when"), "send_at", "datetime-local"),
			VIEW_ONCE.includes(kind) && input(t("field.view_once"), "view_once", "checkbox"),
		),
	);

/** The message as it will look. */
function preview(values, sent, canvas) {
	const { kind, text, caption, question, emoji, url, file, name, number, message } = values;
	const main = text ?? caption ?? question ?? emoji ?? message;
	const options = splitText(values.options, "\n").map((option) => `○ ${option}`);
	const words = [main, name, number, ...options].filter(Boolean).join("\n");
	const attachment =
		kind !== "text" && (file?.name ?? (url?.split("/").pop() || t(`kind.${kind}`)));
	const at = clock(sent?.created ?? Date.now(), { timeStyle: "short" });
	const isEmpty = !words && !attachment;
	return el(
		"section.card.chat",
		el(
			".bubble",
			canvas,
			attachment && el("p.what", attachment),
			isEmpty ? el("p.muted", t("send.example")) : el("p", words),
			el("p.ticks.num", at, icon(TICK[sent?.status] ?? "clock", sent?.status)),
		),
	);
}

/** What became of the message that was sent. */
function result(sent, trail) {
	const failed = sent.status === "failed";
	const step = ({ status, updated }) => [
		icon(TICK[status], status),
		el("span", { "data-status": status }, t(`progress.${status}`)),
		status === "scheduled"
			? muted(clock(sent.send_at, { dateStyle: "medium", timeStyle: "short" }))
			: muted(clock(updated, { timeStyle: "medium" })),
	];
	return el(
		"section.card.stack",
		el("h2", failed ? say("error", sent.code, {}, sent.detail) : phone(sent.to)),
		lines(trail.map(step)),
	);
}

/** A picture's preview is painted, so that the page needs no address for it. */
async function paint(canvas, file) {
	canvas.hidden = true;
	if (!file?.type.startsWith("image/")) return;
	const image = await createImageBitmap(file).catch(() => null);
	if (!image) return;
	const scale = Math.min(1, 480 / image.width);
	canvas.width = image.width * scale;
	canvas.height = image.height * scale;
	canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
	canvas.hidden = false;
}
