// One way to ask the server: JSON in and out, problems as `ApiProblem`, a lost session as an event.

/** What the server answered instead of what was asked for. */
export class ApiProblem extends Error {
	/**
	 * @param {number} status 0 when there was no answer
	 * @param {any} body
	 */
	constructor(status, body) {
		super(body.detail ?? body.code ?? String(status));
		this.status = status;
		this.body = body;
		this.code = body.code ?? (status ? "internal" : "offline");
	}
}

// Countdowns run on the server's clock: a phone's own may be minutes off.
let serverAhead = 0;

/** The server's time in milliseconds. */
export const now = () => Date.now() + serverAhead;

/** Learns from an answer's `Date`. It has whole seconds: only a larger difference is one. */
function readClock(date) {
	const difference = Date.parse(date ?? "") - Date.now();
	serverAhead = Math.abs(difference) > 2000 ? difference : 0;
}

/**
 * Asks for a path relative to the page; gives the JSON answered, or `null`.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: any, headers?: Record<string, string>, signal?: AbortSignal | null }} [options]
 */
export async function call(method, path, { body, headers = {}, signal = null } = {}) {
	const json = body === undefined ? undefined : JSON.stringify(body);
	const type = json ? { "content-type": "application/json" } : {};
	const request = { method, headers: { ...type, ...headers }, signal, body: json };
	let answer;
	try {
		answer = await fetch(path, request);
	} catch (error) {
		throw error.name === "AbortError" ? error : new ApiProblem(0, {});
	}
	readClock(answer.headers.get("date"));
	return settle(answer.status, await answer.text(), path);
}

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export const get = (path, signal) => call("GET", path, { signal });

/**
 * @param {string} path
 * @param {any} [body]
 * @param {Record<string, string>} [headers]
 */
export const post = (path, body, headers) => call("POST", path, { body, headers });

/**
 * A multipart upload; `XMLHttpRequest`, because `fetch` cannot tell how far an upload is.
 * @param {string} path
 * @param {FormData} form
 * @param {Record<string, string>} headers
 * @param {(part: number) => void} progress
 */
export function upload(path, form, headers, progress) {
	return new Promise((resolve, reject) => {
		const request = new XMLHttpRequest();
		request.open("POST", path);
		for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
		request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
		request.onloadend = () => {
			try {
				resolve(settle(request.status, request.responseText, path));
			} catch (problem) {
				reject(problem);
			}
		};
		request.send(form);
	});
}

/**
 * Asks just so, for a person who tries the API: gives the status and the text of any answer.
 * @param {string} method
 * @param {string} path
 * @param {string} [json]
 */
export async function rawCall(method, path, json) {
	const headers = json === undefined ? {} : { "content-type": "application/json" };
	try {
		const answer = await fetch(path, { method, headers, body: json });
		return { status: answer.status, text: pretty(await answer.text()) };
	} catch {
		throw new ApiProblem(0, {});
	}
}

/** JSON in lines; any other text as it is. */
function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, 1);
	} catch {
		return text;
	}
}

/** The JSON of a good answer; of any other an `ApiProblem` is thrown. */
function settle(status, text, path) {
	let body = null;
	try {
		body = JSON.parse(text);
	} catch {
		// Nothing, or a proxy's own error page: the status alone has to do.
	}
	if (status > 0 && status < 400) return body;
	if (status === 401 && path !== "login") dispatchEvent(new Event("signed-out"));
	throw new ApiProblem(status, body ?? {});
}

/**
 * The address of a device, or of something below it.
 * @param {string} device
 * @param {string} [rest]
 */
export const pathOf = (device, rest) => ["v1/devices", device, rest].filter(Boolean).join("/");
