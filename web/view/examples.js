// One request of the API as a program asks it, in four languages.

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} url
 * @property {boolean} needsKey
 * @property {any} [body] what is sent as JSON
 */

export const LANGUAGES = ["curl", "PHP", "Python", "JavaScript"];

/**
 * @param {string} language
 * @param {Request} request
 */
export function example(language, request) {
	switch (language) {
		case "PHP":
			return php(request);
		case "Python":
			return python(request);
		case "JavaScript":
			return javascript(request);
		default:
			return curl(request);
	}
}

const AUTHORIZATION = "Bearer API_KEY";

function headersOf({ needsKey, body }) {
	const headers = {};
	if (needsKey) headers.Authorization = AUTHORIZATION;
	if (body !== undefined) headers["Content-Type"] = "application/json";
	return headers;
}

function curl(request) {
	const { method, url, body } = request;
	const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	const headers = Object.entries(headersOf(request));
	const lines = [
		`curl ${method === "GET" ? "" : `-X ${method} `}${quoted(url)}`,
		...headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
	];
	if (body !== undefined) lines.push(`-d ${quoted(JSON.stringify(body))}`);
	return lines.join(" \\\n  ");
}

function php(request) {
	const { method, url, body } = request;
	const quoted = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
	const headers = Object.entries(headersOf(request)).map(([name, value]) => `${name}: ${value}`);
	const lines = [
		"<?php",
		"$context = stream_context_create(['http' => [",
		`    'method' => ${quoted(method)},`,
	];
	if (headers.length) lines.push(`    'header' => [${headers.map(quoted).join(", ")}],`);
	if (body !== undefined) lines.push(`    'content' => ${quoted(JSON.stringify(body))},`);
	lines.push("    'ignore_errors' => true,", "]]);");
	lines.push(`echo file_get_contents(${quoted(url)}, false, $context);`);
	return lines.join("\n");
}

/** A JSON value as Python writes it. */
function pythonValue(value) {
	if (value === null) return "None";
	if (value === true) return "True";
	if (value === false) return "False";
	if (Array.isArray(value)) return `[${value.map(pythonValue).join(", ")}]`;
	if (typeof value !== "object") return JSON.stringify(value);
	const pairs = Object.entries(value);
	const inside = pairs.map(([key, one]) => `${JSON.stringify(key)}: ${pythonValue(one)}`);
	return `{${inside.join(", ")}}`;
}

function python(request) {
	const { method, url, needsKey, body } = request;
	const given = [JSON.stringify(url)];
	if (needsKey) given.push(`headers={"Authorization": "${AUTHORIZATION}"}`);
	if (body !== undefined) given.push(`json=${pythonValue(body)}`);
	const name = method.toLowerCase();
	const inside = given.map((one) => `    ${one},`).join("\n");
	return `import requests\n\nanswer = requests.${name}(\n${inside}\n)\nprint(answer.status_code, answer.text)`;
}

function javascript(request) {
	const { method, url, body } = request;
	const options = [`  method: ${JSON.stringify(method)},`];
	const headers = headersOf(request);
	if (Object.keys(headers).length) options.push(`  headers: ${JSON.stringify(headers)},`);
	if (body !== undefined) options.push(`  body: JSON.stringify(${JSON.stringify(body)}),`);
	return [
		`const answer = await fetch(${JSON.stringify(url)}, {`,
		...options,
		"});",
		"console.log(answer.status, await answer.text());",
	].join("\n");
}
