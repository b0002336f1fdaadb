// The API as openapi.json describes it: a line for each request, and all about it once opened.
import { get } from "../api.js";
import { code, copies, el, h1, icon, muted, pre } from "../dom.js";
import { t } from "../i18n.js";
import { changed } from "../state.js";

const DEEP = 5;

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
		const toggle = ({ target }) => target.open && changed(opened.add(name));
		return el("details", { toggle, "data-key": name },
			el("summary", el(`b.verb.${method}`, method.toUpperCase()), code(path), muted(summary)),
			opened.has(name) && whole(about));
	}
	const search = ({ target }) => changed(words = target.value.trim().toLowerCase());
	const wanted = ({ path, method, summary }) =>
		`${method} ${path} ${summary}`.toLowerCase().includes(words);

	return () => [
		el(".head", el("div", h1(t("nav.api")), el("p.muted", t("api.why"))),
			el("a.btn", { href: "openapi.json" }, icon("api"), "openapi.json")),
		el("label.find", el("span.sr", t("api.find")),
			el("input", { type: "search", placeholder: t("api.find"), input: search })),
		groups.map(([tag, all]) => [tag, all.filter(wanted)]).filter(([, all]) => all.length > 0)
			.map(([tag, all]) => el("section.card.ops", { lang: "en", "data-key": tag },
				el("h2", tag), all.map(line))),
	];
}

/** Everything about one request: its parameters, its body, its answers, and how to ask. */
function whole({ book, method, path, parameters = [], responses, ...about }) {
	const at = (value) => (value?.$ref
		? at(value.$ref.slice(2).split("/").reduce((place, key) => place[key], book)) : value ?? {});

	function type(schema) {
		const { type: plain, oneOf, anyOf = oneOf, items, enum: words } = at(schema);
		if (words) return words.map((word) => JSON.stringify(word)).join(" | ");
		if (items) return `${type(items)}[]`;
		return [plain ?? anyOf?.map(type) ?? "object"].flat().join(" | ");
	}
	const entry = (name, schema, needed, text, depth) => el("li", code(name), " ",
		muted(type(schema), needed && ` · ${t("api.needed")}`), " ", text, fields(schema, depth));

	function fields(schema, depth = 1) {
		const { properties = {}, required = [] } = at(at(schema).items ?? schema);
		const all = Object.entries(properties);
		return depth < DEEP && all.length > 0 && el("ul.tree", all.map(([name, one]) =>
			entry(name, one, required.includes(name), at(one).description, depth + 1)));
	}
	const bodies = (content = {}) => Object.entries(content)
		.map(([kind, { schema }]) => [el("p", code(kind)), fields(schema)]);

	// All refusals have the same fields: they are told once, at the answer for what is not named.
	const answer = ([status, one]) => [el("p", el("b", status), " ", at(one).description),
		!/^[45]/.test(status) && bodies(at(one).content)];
	const given = parameters.map(at).map(({ name, schema, required, in: place, description }) =>
		entry(name, schema, required, `${place}. ${description ?? ""}`, DEEP));
	const body = about.requestBody?.content;
	const curl = [
		`curl -X ${method.toUpperCase()} '${decodeURI(new URL(path.slice(1), document.baseURI).href)}'`,
		about.security?.length !== 0 && "-H 'Authorization: Bearer API_KEY'",
		body?.["application/json"] && "-H 'Content-Type: application/json' -d '{…}'",
	].filter(Boolean).join(" \\\n  ");
	return el(".stack.op", el("p", about.description),
		given.length > 0 && [el("h3", t("api.given")), el("ul.tree", given)],
		body && [el("h3", "Body"), bodies(body)],
		el("h3", t("api.answers")), Object.entries(responses).map(answer), pre(curl), copies(curl));
}
