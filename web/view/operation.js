// One request of the API: how to ask it in a program, its parameters, its body, its answers.
import { rawCall } from "../api.js";
import { code, details, el, input, muted, pre } from "../dom.js";
import { t } from "../i18n.js";
import { ask, copyButton } from "../overlay.js";
import { changed } from "../state.js";
import { example, LANGUAGES } from "./examples.js";

/** How many levels of fields within fields are shown. */
const DEEP = 5;

/** The language of the examples, for all requests. */
let language = LANGUAGES[0];

/** Every request that openapi.json describes. */
export const operationsOf = (book) =>
	Object.entries(book.paths).flatMap(([path, methods]) =>
		Object.entries(methods).map(([method, about]) => ({ book, path, method, ...about })),
	);

/** What a place in openapi.json says, also where it points elsewhere. */
function resolve(book, value) {
	if (!value?.$ref) return value ?? {};
	const keys = value.$ref.slice(2).split("/");
	const place = keys.reduce((at, key) => at[key], book);
	return resolve(book, place);
}

/** A schema's type in few words. */
function typeOf(book, schema) {
	const { type, oneOf, anyOf = oneOf, items, enum: words } = resolve(book, schema);
	if (words) return words.map((word) => JSON.stringify(word)).join(" | ");
	if (items) return `${typeOf(book, items)}[]`;
	if (type) return [type].flat().join(" | ");
	return anyOf?.map((one) => typeOf(book, one)).join(" | ") ?? "object";
}

/** The fields of a schema, and theirs; and an example of each form that it may have. */
function fields(book, schema, depth = 1) {
	const whole = resolve(book, schema);
	const {
		properties = {},
		required = [],
		oneOf = [],
		anyOf = oneOf,
	} = resolve(book, whole.items ?? whole);
	if (depth >= DEEP) return null;
	const line = ([name, one]) => {
		const { description } = resolve(book, one);
		return field(book, name, one, required.includes(name), description, depth + 1);
	};
	const form = (one) => {
		const { properties: own = {}, examples = [] } = resolve(book, one);
		const name = own.kind?.const;
		if (!name) return fields(book, one, depth);
		return el("li", code(name), pre(JSON.stringify(examples[0], null, 1)));
	};
	const all = Object.entries(properties).map(line);
	const forms = anyOf.map(form).filter(Boolean);
	return [all.length > 0 && el("ul.tree", all), forms.length > 0 && el("ul.tree", forms)];
}

function field(book, name, schema, needed, text, depth) {
	return el(
		"li",
		code(name),
		" ",
		muted(typeOf(book, schema), needed && ` · ${t("api.needed")}`),
		" ",
		text,
		fields(book, schema, depth),
	);
}

/** The bodies of a request or an answer, by their kind. */
const bodies = (book, content = {}) =>
	Object.entries(content).map(([kind, { schema }]) => [el("p", code(kind)), fields(book, schema)]);

/** A body that can be sent as it stands; nothing where none is sent. */
function exampleBody({ book, requestBody }) {
	const json = requestBody?.content["application/json"];
	if (!json) return undefined;
	return json.example ?? resolve(book, json.schema).examples?.[0] ?? {};
}

/** Whether the answer never ends. */
const isStream = ({ responses }) => {
	const kinds = Object.keys(responses[200]?.content ?? {});
	return kinds.length > 0 && kinds.every((kind) => kind === "text/event-stream");
};

/**
 * One request: gives the function that draws it for the device that was chosen.
 * @param {any} operation
 */
export function makeOperation(operation) {
	const { book, method, path, description, requestBody, responses, security } = operation;
	const parameters = (operation.parameters ?? []).map((one) => resolve(book, one));
	const body = exampleBody(operation);
	/** What a person wrote for the parts of the path, and what came of the last try. */
	const parts = {};
	let typedBody = body === undefined ? "" : JSON.stringify(body, null, 1);
	let answer = null;

	const filled = (device, other) =>
		path.slice(1).replace(/\{(\w+)\}/g, (_, name) => {
			const value = parts[name] || (name === "device" && device);
			return value ? encodeURIComponent(value) : other(name);
		});

	function requestFor(device) {
		const address = filled(device, (name) => `{${name}}`);
		const url = decodeURI(new URL(address, document.baseURI).href);
		return { method: method.toUpperCase(), url, needsKey: security?.length !== 0, body };
	}

	async function tryIt(device) {
		const verb = method.toUpperCase();
		const really = t("api.try_why");
		if (verb !== "GET" && !(await ask(`${verb} ${path}`, really, t("api.try"), ".primary"))) return;
		const address = filled(device, () => "-");
		answer = await rawCall(verb, address, body === undefined ? undefined : typedBody);
		changed();
	}

	function form(device) {
		const written = ({ target }) => {
			if (target.name === "body") typedBody = target.value;
			else parts[target.name] = target.value.trim();
			changed();
		};
		const inPath = parameters.filter(
			({ name, in: place }) => place === "path" && name !== "device",
		);
		return details(
			t("api.try"),
			el(
				"form.stack",
				{ novalidate: true, input: written, submit: () => tryIt(device) },
				inPath.map(({ name }) => input(name, name, "text")),
				body !== undefined && input("Body", "body", "long", { value: typedBody }),
				el(".row", el("button.primary.small", t("api.try"))),
				answer &&
					el(".stack", { role: "status" }, el("b", String(answer.status)), pre(answer.text)),
			),
		);
	}

	function examples(device) {
		const choose = (one) => () => {
			language = one;
			changed();
		};
		const tab = (one) =>
			el(
				"button.small",
				{ type: "button", click: choose(one), "aria-pressed": String(one === language) },
				one,
			);
		const text = example(language, requestFor(device));
		return el(
			".stack",
			el(".head", el(".row.tabs", LANGUAGES.map(tab)), copyButton(text, ".small")),
			pre(text),
		);
	}

	const parameter = ({ name, schema, required, in: place, description = "" }) =>
		field(book, name, schema, required, `${place}. ${description}`, DEEP);

	const told = ([status, value]) => {
		const { description, content } = resolve(book, value);
		// All refusals have the same fields: they are told once, at the answer for what is not named.
		const refusal = /^[45]/.test(status);
		return [el("p", el("b", status), " ", description), !refusal && bodies(book, content)];
	};

	return (device) =>
		el(
			".stack.op",
			el("p", description),
			examples(device),
			!isStream(operation) && form(device),
			parameters.length > 0 && [el("h3", t("api.given")), el("ul.tree", parameters.map(parameter))],
			requestBody && [el("h3", "Body"), bodies(book, requestBody.content)],
			el("h3", t("api.answers")),
			Object.entries(responses).map(told),
		);
}
