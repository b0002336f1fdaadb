// The API, as openapi.json describes it: one line per request, with everything about it for whoever opens the line.
import { get } from "../api.js";
import { code, copies, el, h1, icon, muted, pre } from "../dom.js";
import { t } from "../i18n.js";
import { changed } from "../state.js";

const DEEP = 4;

export default function reference() {
	const opened = new Set();
	let groups = [];
	let words = "";
	get("openapi.json").then((book) => {
		const all = Object.entries(book.paths).flatMap(([path, methods]) =>
			Object.entries(methods).map(([method, about]) => ({ book, path, method, ...about })));
		changed(groups = Object.entries(Object.groupBy(all, ({ tags }) => tags[0])));
	});

	function line(about) {
		const { path, method, summary } = about;
		const name = `${method} ${path}`;
		const open = ({ target }) => target.open && changed(opened.add(name));
		return el("details", { toggle: open, "data-key": name },
			el("summary", el(`b.verb.${method}`, method.toUpperCase()), code(path), muted(summary)),
			opened.has(name) && whole(about));
	}
	const wanted = ({ path, method, summary }) =>
		`${method} ${path} ${summary}`.toLowerCase().includes(words);

	return () => [
		el(".head", el("", h1(t("nav.api")), el("p.muted", t("api.why"))),
			el("a.btn", { href: "openapi.json" }, icon("api"), "openapi.json")),
		el("label.find", el("span.sr", t("api.find")), el("input", { type: "search",
			placeholder: t("api.find"), input: ({ target }) => changed(words = target.value.trim().toLowerCase()) })),
		groups.map(([tag, all]) => [tag, all.filter(wanted)]).filter(([, all]) => all.length)
			.map(([tag, all]) => el("section.card.ops", { lang: "en", "data-key": tag }, el("h2", tag), all.map(line))),
	];
}

/** Everything about one request: its parameters, its body, its answers, and how to ask. */
function whole({ book, method, path, parameters = [], requestBody, responses, security, description }) {
	const at = (value) => (value?.$ref
		? value.$ref.slice(2).split("/").reduce((place, key) => place[key], book) : value ?? {});

	function name(schema) {
		const { type, properties, oneOf, anyOf, items, enum: words } = at(schema);
		if (words) return words.map((word) => JSON.stringify(word)).join(" | ");
		if (items) return `${name(items)}[]`;
		return [type ?? (properties ? "object" : (oneOf ?? anyOf ?? []).map(name))].flat().join(" | ");
	}
	const entry = (key, schema, needed, text, depth) => el("li", code(key), " ",
		muted(name(schema), needed && ` · ${t("api.needed")}`), " ", text ?? at(schema).description, fields(schema, depth));

	function fields(schema, depth = 1) {
		const inner = at(at(schema).items ?? schema);
		const entries = Object.entries(inner.properties ?? {});
		return depth <= DEEP && entries.length > 0 && el("ul.tree", entries.map(([key, value]) =>
			entry(key, value, inner.required?.includes(key), undefined, depth + 1)));
	}
	const bodies = (content = {}) => Object.entries(content)
		.map(([type, { schema }]) => [el("p", code(type)), fields(schema)]);
	// Every refusal looks like every other: its fields are told once, at the answer for all that is not named.
	const answer = ([status, ref]) => [
		el("p", el("b", status), " ", at(ref).description),
		(status < "400" || status === "default") && bodies(at(ref).content),
	];
	const given = parameters.map(at).map(({ name, schema, required, in: place, description: text }) =>
		entry(name, schema, required, `${place}. ${text ?? ""}`, DEEP + 1));
	const address = decodeURI(new URL(path.slice(1), document.baseURI).href);
	const curl = [`curl -X ${method.toUpperCase()} '${address}'`,
		security?.length !== 0 && "-H 'Authorization: Bearer API_KEY'",
		requestBody?.content["application/json"] && "-H 'Content-Type: application/json' -d '{…}'"]
		.filter(Boolean).join(" \\\n  ");
	return el(".stack.op", el("p", description),
		given.length > 0 && [el("h3", t("api.given")), el("ul.tree", given)],
		requestBody && [el("h3", t("api.body")), bodies(requestBody.content)],
		el("h3", t("api.answers")), Object.entries(responses).map(answer), pre(curl), copies(curl));
}
