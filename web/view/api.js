// The API as openapi.json describes it: a line for each request, and all about it once opened.
import { get } from "../api.js";
import { code, el, empty, explain, h1, input } from "../dom.js";
import { language, say, t } from "../i18n.js";
import { changed, state } from "../state.js";
import indonesian from "../summaries.js";
import { makeOperation, operationsOf } from "./operation.js";
import { chosen } from "./status.js";

/** In the order in which people need them; others follow. */
const GROUPS = [
	"messages",
	"compat",
	"webhooks",
	"events",
	"lookups",
	"history",
	"groups",
	"channels",
	"linking",
	"devices",
	"config",
];

export default function reference() {
	/** The requests that were opened, and how each is drawn. */
	const opened = new Map();
	let groups = [];
	let wanted = "";
	let device = chosen(undefined)?.name;
	let problem = null;

	async function load() {
		try {
			const operations = operationsOf(await get("openapi.json"));
			groups = inOrder(Object.groupBy(operations, ({ tags }) => tags[0]));
		} catch (error) {
			problem = explain(error);
		}
		changed();
	}
	load();

	function search({ target }) {
		wanted = target.value.trim().toLowerCase();
		changed();
	}
	function chooseDevice({ target }) {
		device = target.value;
		changed();
	}
	const matches = ({ path, method, summary, operationId }) =>
		`${method} ${path} ${summary} ${inWords(summary, operationId)}`.toLowerCase().includes(wanted);

	function line(operation) {
		const { path, method, summary, operationId } = operation;
		const name = `${method} ${path}`;
		const toggle = ({ target }) => {
			if (!target.open || opened.has(name)) return;
			opened.set(name, makeOperation(operation));
			changed();
		};
		return el(
			"details",
			{ lang: "en", toggle, "data-key": name },
			el(
				"summary",
				el(`b.verb.${method}`, method.toUpperCase()),
				code(breakable(path)),
				el("span.muted", { lang: language() }, inWords(summary, operationId)),
			),
			opened.get(name)?.(device ?? ""),
		);
	}

	function group([tag, operations]) {
		const matching = operations.filter(matches);
		if (!matching.length) return null;
		return el(
			"section.card.ops",
			{ "data-key": tag },
			el("h2", say("api.group", tag)),
			matching.map(line),
		);
	}

	return () => {
		const names = [...state.devices.values()].map(({ name, label }) => [name, label || name]);
		return [
			el(
				".head",
				el(
					"div",
					h1(t("nav.api")),
					el("p.muted", t("api.why"), " ", el("a", { href: "openapi.json" }, "openapi.json")),
				),
			),
			el(
				".row.filters",
				el(
					"label.find",
					el("span.sr", t("api.find")),
					el("input", { type: "search", placeholder: t("api.find"), input: search }),
				),
				names.length > 0 &&
					input(t("nav.devices"), null, names, { value: device, change: chooseDevice }),
			),
			problem && empty("alert", t("view_failed"), problem),
			groups.map(group).filter(Boolean),
		];
	};
}

/** What a request is for, in the reader's language. */
const inWords = (summary, id) => (language() === "id" && indonesian[id]) || summary;

/** A path whose lines end before a slash. */
const breakable = (path) => path.split(/(?=\/)/).flatMap((part) => [el("wbr"), part]);

/**
 * The groups in their order; sending a message comes first.
 * @param {Record<string, any>} byTag
 */
function inOrder(byTag) {
	const rank = ([tag, _operations]) => (GROUPS.includes(tag) ? GROUPS.indexOf(tag) : GROUPS.length);
	return Object.entries(byTag).sort((one, other) => rank(one) - rank(other));
}
