// What moonwa made of its file: the last reload, its problems, what a new one would do, what runs.
import { get, post } from "../api.js";
import { ago, button, code, copies, el, facts, h1, icon, lines, pre, tell } from "../dom.js";
import { say, t } from "../i18n.js";
import { changed, state } from "../state.js";

export default function config() {
	let running = "";
	let asked = null;
	let plan = null;

	async function reload() {
		state.config = await post("v1/config/reload");
		changed(plan = null);
		tell(t(`c.${state.config.outcome}`), state.config.outcome === "rejected");
	}
	const ask = async () => changed(plan = await post("v1/config/plan"));

	return () => {
		const { outcome, at, revision, trigger, problems, warnings, ...report } = state.config ?? {};
		if (at !== asked) {
			asked = at;
			get("v1/config").then(({ config }) => changed(running = toml([], config)), () => {});
		}
		const bad = outcome === "rejected";
		const notes = [...(problems ?? []).map(note("alert")), ...(warnings ?? []).map(note("info"))];
		return [
			el(".head", h1(t("nav.config")), el(".row", button("", "", t("c.ask"), ask),
				button("", "again", t("c.reload"), reload))),
			outcome && el("section.card.stack",
				el(`h2.row.${bad ? "failed" : "good"}`, icon(bad ? "alert" : "ok"), t(`c.${outcome}`)),
				el("p.muted", t(bad ? "c.kept" : "c.watched")), lines(notes),
				facts([t("c.at"), ago(at)], [t("c.trigger"), say("c.by", trigger)],
					[t("c.revision"), code(revision.slice(0, 12))], [t("c.version"), state.session.version],
					[t("c.changed"), report.changed.join(", ") || "–"])),
			plan && el("section.card.stack", { role: "status" },
				el("h2", t(`c.${plan.outcome === "applied" ? "would" : plan.outcome}`)),
				lines([...plan.problems.map(note("alert")), ...plan.lines.map((line) => code(line))])),
			el("section.card.stack", el(".head", el("h2", t("c.running")), copies(running)),
				el("p.hint", t("c.masked")), pre(running)),
			el("a.small", { href: "#/api" }, t("nav.api")),
		];
	};
}

const note = (sign) => ({ path, line, column, message }) => [icon(sign), el(".grow",
	line && el("strong", t("c.line", { line: `${line}`, column: `${column}` }), " "), code(path),
	el("p", message))];

const HIDDEN = ["secret", "api_key", "token"];
const isTable = (value) => value?.constructor === Object;

/** What is set; of a secret only that there is one. */
const rows = (table) => Object.entries(table)
	.filter(([key, value]) => value !== null && key !== "n" && !(HIDDEN.includes(key) && !value))
	.map(([key, value]) => [key, HIDDEN.includes(key) ? "•••" : value]);

/** A value as moonwa.toml has it. */
function text(value) {
	if (isTable(value)) return `{ ${rows(value).map(pair).join(", ")} }`;
	if (!Array.isArray(value)) return JSON.stringify(value);
	return value.some(isTable) ? `[\n  ${value.map(text).join(",\n  ")},\n]`
		: `[${value.map(text).join(", ")}]`;
}

const pair = ([key, value]) => `${key} = ${text(value)}`;

/** The running configuration as moonwa.toml would have it. */
function toml(path, table) {
	const own = rows(table).filter(([, value]) => !isTable(value)).map(pair);
	const below = rows(table).filter(([, value]) => isTable(value)).map(([key, value]) =>
		toml([...path, key === "devices" ? "device" : key], value));
	if (path.length && own.length) own.unshift(`[${path.join(".")}]`);
	return [own.join("\n"), ...below].filter(Boolean).join("\n\n");
}
