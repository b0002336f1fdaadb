// The API as openapi.json describes it: a line for each request, and all about it once opened.
import { get } from "../api.js";
import { code, copyButton, el, h1, icon, muted, pre } from "../dom.js";
import { t } from "../i18n.js";
import { changed } from "../state.js";

/** How many levels of fields within fields are shown. */
const DEEP = 5;

export default function reference() {
	const opened = new Set();
	let groups = [];
	let wanted = "";

	get("openapi.json").then((book) => {
		groups = Object.entries(Object.groupBy(operationsOf(book), ({ tags }) => tags[0]));
		changed();
	});

	function search({ target }) {
		wanted = target.value.trim().toLowerCase();
		changed();
	}
	const matches = ({ path, method, summary }) =>
		`${method} ${path} ${summary}`.toLowerCase().includes(wanted);

	function line(operation) {
		const { path, method, summary } = operation;
		const name = `${method} ${path}`;
		const toggle = ({ target }) => {
			if (!target.open) return;
			opened.add(name);
			changed();
		};
		return el(
			"details",
			{ toggle, "data-key": name },
			el("summary", el(`b.verb.${method}`, method.toUpperCase()), code(path), muted(summary)),
			opened.has(name) && whole(operation),
		);
	}

	function group([tag, operations]) {
		const matching = operations.filter(matches);
		if (!matching.length) return null;
		return el(
			"section.card.ops",
			{ lang: "en", "data-key": tag },
			el("h2", tag),
			matching.map(line),
		);
	}

	return () => [
		el(
			".head",
			el("div", h1(t("nav.api")), el("p.muted", t("api.why"))),
			el("a.btn", { href: "openapi.json" }, icon("api"), "openapi.json"),
		),
		el(
			"label.find",
			el("span.sr", t("api.find")),
			el("input", { type: "search", placeholder: t("api.find"), input: search }),
		),
		groups.map(group).filter(Boolean),
	];
}

/** Every request that openapi.json describes. */
const operationsOf = (book) =>
	Object.entries(book.paths).flatMap(([path, methods]) =>
		Object.entries(methods).map(([method, about]) => ({ book, path, method, ...about })),
	);

/** What a place in openapi.json says, also where it points elsewhere. */
function resolve(book, value) {
	if (!value?.$ref) return value ?? {};
	const keys = value.$ref.slice(2).split("/");
	return resolve(
		book,
		keys.reduce((place, key) => place[key], book),
	);
}

/** A schema's type in few words. */
function typeOf(book, schema) {
	const { type, oneOf, anyOf = oneOf, items, enum: words } = resolve(book, schema);
	if (words) return words.map((word) => JSON.stringify(word)).join(" | ");
	if (items) return `${typeOf(book, items)}[]`;
	if (type) return [type].flat().join(" | ");
	return anyOf?.map((one) => typeOf(book, one)).join(" | ") ?? "object";
}

/** The fields of a schema, and theirs. */
function fields(book, schema, depth = 1) {
	const whole = resolve(book, schema);
	const { properties = {}, required = [] } = resolve(book, whole.items ?? whole);
	const all = Object.entries(properties);
	if (depth >= DEEP || !all.length) return null;
	const line = ([name, one]) => {
		const { description } = resolve(book, one);
		return field(book, name, one, required.includes(name), description, depth + 1);
	};
	return el("ul.tree", all.map(line));
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

/** Everything about one request: its parameters, its body, its answers, and how to ask. */
function whole(operation) {
	const { book, description, parameters = [], requestBody, responses } = operation;
	const parameter = ({ name, schema, required, in: place, description = "" }) =>
		field(book, name, schema, required, `${place}. ${description}`, DEEP);
	const answer = ([status, value]) => {
		const { description, content } = resolve(book, value);
		// All refusals have the same fields: they are told once, at the answer for what is not named.
		const refusal = /^[45]/.test(status);
		return [el("p", el("b", status), " ", description), !refusal && bodies(book, content)];
	};
	const given = parameters.map((one) => parameter(resolve(book, one)));
	const curl = curlOf(operation);
	return el(
		".stack.op",
		el("p", description),
		given.length > 0 && [el("h3", t("api.given")), el("ul.tree", given)],
		requestBody && [el("h3", "Body"), bodies(book, requestBody.content)],
		el("h3", t("api.answers")),
		Object.entries(responses).map(answer),
		pre(curl),
		copyButton(curl),
	);
}

function curlOf({ method, path, security, requestBody }) {
	const url = decodeURI(new URL(path.slice(1), document.baseURI).href);
	const json = requestBody?.content["application/json"];
	const parts = [
		`curl -X ${method.toUpperCase()} '${url}'`,
		security?.length !== 0 && "-H 'Authorization: Bearer API_KEY'",
		json && "-H 'Content-Type: application/json' -d '{…}'",
	];
	return parts.filter(Boolean).join(" \\\n  ");
}
