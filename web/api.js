// One way to ask the server: JSON in and out, problems as `ApiProblem`, a lost session as an event.

/** What the server answered instead of what was asked for. */
export class ApiProblem extends Error {

  constructor(status, body) {
    super(body.detail ?? body.code ?? String(status));
    this.status = status;
    this.body = body;
    this.code = body.code ?? (status ? "internal" : "offline");
    this.errors = body.errors ?? [];
    this.retryAfter = body.retry_after ?? 0;
  }
}

// Countdowns run on the server's clock: a phone's own may be minutes off.
let ahead = 0;

/** The server's time in milliseconds. */
export const now = () => Date.now() + ahead;

function tune(headers) {
  const server = Date.parse(headers.get("date") ?? "");
  // `Date` has whole seconds: only a difference above its error is a difference.
  if (server) ahead = Math.abs(server - Date.now()) > 2000 ? server - Date.now() : 0;
}

/** Asks for a path relative to the page, with a body sent as JSON; gives the JSON answered, `null` for none. */
export async function call(method, path, body, { headers = {}, signal } = {}) {
  if (body !== undefined) headers = { "content-type": "application/json", ...headers };
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiProblem(0, {});
  }
  tune(answer.headers);
  return settle(answer.status, await answer.text(), path);
}

export const get = (path, signal) => call("GET", path, undefined, { signal });

export const post = (path, body, headers) => call("POST", path, body, { headers });

/** A multipart upload; `XMLHttpRequest`, because `fetch` cannot tell how far an upload is. */
export function upload(path, form, headers, progress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => fail(new ApiProblem(0, {}));
    request.onload = () => {
      try {
        done(settle(request.status, request.responseText, path));
      } catch (problem) {
        fail(problem);
      }
    };
    request.send(form);
  });
}

function settle(status, text, path) {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    // A proxy's own error page: the status alone has to do.
  }
  if (status < 400) return body;
  if (status === 401 && path !== "login") dispatchEvent(new Event("signed-out"));
  throw new ApiProblem(status, body ?? {});
}

export const of = (device, rest = "") => `v1/devices/${encodeURIComponent(device)}${rest && `/${rest}`}`;
