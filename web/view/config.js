// What moonwa made of its file: the last reload, its problems, what a new one would do, what runs.
import { call, get, post } from "../api.js";
import { ago, button, code, details, el, facts, h1, icon, lines, muted, pre } from "../dom.js";
import { say, t } from "../i18n.js";
import { ask, copyButton, tell } from "../overlay.js";
import { changed, state } from "../state.js";
import { problemWords } from "./problem.js";

export default function config() {
	let running = "";
	/** The reload after which `running` was asked for. */
	let loadedAt = null;
	let plan = null;

	async function reload() {
		state.config = await post("v1/config/reload");
		changed();
		tell(t(`config.${state.config.outcome}`), state.config.outcome === "rejected");
	}

	async function askForPlan() {
		plan = await post("v1/config/plan");
		changed();
	}

	async function leaveAll() {
		if (!(await ask(t("leave_all_q"), t("leave_all_why"), t("leave_all"), ".danger"))) return;
		await call("DELETE", "v1/logins");
		dispatchEvent(new Event("signed-out"));
	}

	async function loadRunning() {
		try {
			const { config } = await get("v1/config");
			running = toml([], config);
			changed();
		} catch {
			// What was known stays; the banner tells of a lost connection.
		}
	}

	return () => {
		const report = state.config ?? {};
		if (report.at !== loadedAt) {
			loadedAt = report.at;
			loadRunning();
			// What is told first is what would change now. Who looks only learns it from the button.
			askForPlan().catch(() => {});
		}
		return [
			el(
				".head",
				h1(t("nav.config")),
				el(
					".row",
					button("", "", t("config.ask"), askForPlan),
					button("", "again", t("config.reload"), reload),
				),
			),
			plan && planned(plan),
			report.outcome && lastReload(report),
			el(
				"section.card",
				details(
					t("config.running"),
					el(".head", el("p.hint", t("config.masked")), copyButton(running)),
					pre(running),
				),
			),
			el(".row", button("", "leave", t("leave_all"), leaveAll)),
		];
	};
}

/** The last reload: whether it went well, its problems, what it changed. */
function lastReload({ outcome, at, revision, trigger, problems, warnings, changed }) {
	const rejected = outcome === "rejected";
	const title = [icon(rejected ? "alert" : "ok"), t(`config.${outcome}`)];
	return el(
		"section.card.stack",
		el(`h2.row.${rejected ? "failed" : "good"}`, title),
		el("p.muted", t(rejected ? "config.kept" : "config.watched")),
		lines([...problems.map(note("alert")), ...warnings.map(note("info"))]),
		facts(
			[t("config.at"), ago(at)],
			[t("config.trigger"), say("config.by", trigger)],
			[t("config.revision"), code(revision.slice(0, 12))],
			[t("config.version"), state.session.version],
			[t("config.changed"), changed.join(", ") || "–"],
		),
	);
}

/** What a reload would do. */
function planned({ outcome, problems, diff }) {
	const title = outcome === "applied" ? "config.would" : `config.${outcome}`;
	const changes = diff ? changesOf(diff) : [];
	return el(
		"section.card.stack",
		{ role: "status" },
		el("h2", t(title)),
		problems.length > 0 && lines(problems.map(note("alert"))),
		diff?.mass_removal && el("p.note.wait", t("config.diff.mass")),
		changes.length > 0 && el("ul.diff", changes.map(change)),
	);
}

const LOOK = { "+": "good", "-": "failed", "~": "changed", "!": "changed" };

const change = ([sign, what, more]) =>
	el(`li.${LOOK[sign]}`, el("b", sign), code(what), more && muted(more));

/** A plan's changes: a sign, what changes, and what to know about it. */
function changesOf({ devices, webhooks, keys, needs_restart }) {
	const device = (name) => t("config.diff.device", { device: name });
	const webhook = (hook) => t("config.diff.webhook", hook);
	const effect = ({ keys, reconnects }) =>
		`${keys.join(", ")} · ${t(reconnects ? "config.diff.reconnects" : "config.diff.stays")}`;
	return [
		...needs_restart.map((key) => ["!", key, t("config.diff.restart")]),
		...keys.map((key) => ["~", key]),
		...devices.added.map((name) => ["+", device(name)]),
		...devices.changed.map((one) => ["~", device(one.device), effect(one)]),
		...devices.removed.map((name) => ["-", device(name)]),
		...webhooks.added.map((hook) => ["+", webhook(hook)]),
		...webhooks.changed.map((hook) => ["~", webhook(hook), hook.keys.join(", ")]),
		...webhooks.removed.map((hook) => ["-", webhook(hook)]),
	];
}

const note =
	(sign) =>
	({ path, line, column, message }) => [
		icon(sign),
		el(
			".grow",
			line && el("strong", t("config.line", { line: `${line}`, column: `${column}` }), " "),
			code(path),
			el("p", problemWords({ message })),
		),
	];

const SECRETS = ["secret", "api_key", "token"];
const isTable = (value) => value?.constructor === Object;

/**
 * What is set in a table; of a secret only that there is one.
 * @returns {[string, any][]}
 */
function entries(table) {
	const set = Object.entries(table).filter(([key, value]) => {
		if (value === null || key === "n") return false;
		return value || !SECRETS.includes(key);
	});
	return set.map(([key, value]) => [key, SECRETS.includes(key) ? "•••" : value]);
}

/** A value as moonwa.toml has it. */
function text(value) {
	if (isTable(value)) return `{ ${entries(value).map(entry).join(", ")} }`;
	if (!Array.isArray(value)) return JSON.stringify(value);
	const items = value.map(text);
	return value.some(isTable) ? `[\n  ${items.join(",\n  ")},\n]` : `[${items.join(", ")}]`;
}

const entry = ([key, value]) => `${key} = ${text(value)}`;

/** The running configuration as moonwa.toml would have it. */
function toml(path, table) {
	const all = entries(table);
	const own = all.filter(([, value]) => !isTable(value)).map(entry);
	const tables = all.filter(([, value]) => isTable(value));
	const below = tables.map(([key, value]) =>
		toml([...path, key === "devices" ? "device" : key], value),
	);
	if (path.length && own.length) own.unshift(`[${path.join(".")}]`);
	return [own.join("\n"), ...below].filter(Boolean).join("\n\n");
}
