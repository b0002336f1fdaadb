// One way to ask the server: JSON in and out, problems as `ApiProblem`, a lost session as an event.

/** What the server answered instead of what was asked for. */
export class ApiProblem extends Error {
	constructor(status, body) {
		super(body.detail ?? body.code ?? String(status));
		this.status = status;
		this.body = body;
		this.code = body.code ?? (status ? "internal" : "offline");
	}
}

// Countdowns run on the server's clock: a phone's own may be minutes off.
let ahead = 0;

/** The server's time in milliseconds. */
export const now = () => Date.now() + ahead;

/** Asks for a path relative to the page; gives the JSON answered, or `null`. */
export async function call(method, path, body, headers = {}, signal = null) {
	const json = body === undefined ? undefined : JSON.stringify(body);
	if (json) headers = { "content-type": "application/json", ...headers };
	const answer = await fetch(path, { method, headers, signal, body: json }).catch((error) => {
		throw error.name === "AbortError" ? error : new ApiProblem(0, {});
	});
	// `Date` has whole seconds: only a difference above its error is one.
	const off = Date.parse(answer.headers.get("date") ?? "") - Date.now();
	ahead = Math.abs(off) > 2000 ? off : 0;
	return settle(answer.status, await answer.text(), path);
}

export const get = (path, signal) => call("GET", path, undefined, {}, signal);
export const post = (path, body, headers) => call("POST", path, body, headers);

/** A multipart upload; `XMLHttpRequest`, because `fetch` cannot tell how far an upload is. */
export const upload = (path, form, headers, progress) => new Promise((done, fail) => {
	const request = new XMLHttpRequest();
	request.open("POST", path);
	for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
	request.upload.onprogress = ({ loaded, total }) => progress(loaded / total);
	request.onloadend = () => {
		try {
			done(settle(request.status, request.responseText, path));
		} catch (problem) {
			fail(problem);
		}
	};
	request.send(form);
});

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

/** A device's address, or one below it. */
export const of = (device, rest) => ["v1/devices", device, rest].filter(Boolean).join("/");
