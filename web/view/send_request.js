// The request that the form of Single Send stands for: as the server wants it, and as curl.

/** The fields of each kind of message; one with a question mark may stay empty. */
export const KINDS = {
	text: "text",
	image: "url file caption?",
	video: "url file caption?",
	audio: "url file",
	voice: "url file",
	document: "url file caption?",
	sticker: "url file",
	location: "latitude longitude name?",
	contact: "name number",
	poll: "question options",
	reaction: "message emoji",
	forward: "message",
};

/** The number or group id as the server wants it. */
export function numberFrom(text = "") {
	const bare = text.endsWith("@g.us") ? text : text.replace(/[\s()[\]-]/g, "");
	return bare.replace(/^\+/, "");
}

/** The parts of a text between marks, without empty ones. */
export const splitText = (text = "", mark = "\n") =>
	text
		.split(mark)
		.map((part) => part.trim())
		.filter(Boolean);

/**
 * The request for what is filled in.
 * @param {Record<string, any>} values by field
 * @returns {Record<string, any>}
 */
export function requestFrom(values) {
	const { to, kind, file, reply_to, mentions, view_once, send_at: at, ...content } = values;
	// The field's time is the browser's own.
	const send_at = at && new Date(at).toISOString();
	const request = { to: numberFrom(to), reply_to, view_once: view_once && true, send_at };
	if (mentions) request.mentions = splitText(mentions, ",").map(numberFrom);
	if (file) return { ...request, kind, caption: content.caption, file };
	return { ...request, [kind]: contentOf(kind, content) };
}

function contentOf(kind, content) {
	const { text = "", name, number, latitude, longitude, question, options } = content;
	switch (kind) {
		case "text":
			return text;
		case "location":
			return { name, latitude: Number(latitude), longitude: Number(longitude) };
		case "contact":
			return { name, vcard: vcard(name, numberFrom(number)) };
		case "poll":
			return { question, options: splitText(options) };
		default:
			return content;
	}
}

const vcard = (name, number) =>
	[
		"BEGIN:VCARD",
		"VERSION:3.0",
		`FN:${name}`,
		`TEL;type=CELL;waid=${number}:+${number}`,
		"END:VCARD",
	].join("\n");

/**
 * An upload's parts; its file comes last, because the server streams it.
 * @returns {[string, any][]}
 */
export function partsOf({ file, ...fields }) {
	const all = Object.entries({ ...fields, file });
	const parts = all.flatMap(([key, value]) =>
		[value].flat().map((one) => /** @type {[string, any]} */ ([key, one])),
	);
	return parts.filter(([, one]) => one);
}

/** The request as curl; the key is for the reader to fill in. */
export function curl(path, body) {
	const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	const part = ([key, one]) => `-F ${quoted(`${key}=${one.name ? `@${one.name}` : one}`)}`;
	const json = ["-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`];
	const lines = [
		`curl ${quoted(new URL(path, document.baseURI).href)}`,
		"-H 'Authorization: Bearer API_KEY'",
		...(body.file ? partsOf(body).map(part) : json),
	];
	return lines.join(" \\\n  ");
}
