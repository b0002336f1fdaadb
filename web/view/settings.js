// The form that slides in: + Add Device, and a device's settings. moonwa writes them into its file,
// never over an edit made elsewhere; where it may not write, it answers with the lines to paste.
// What the file says is each field's default: what differs was changed, and only that is sent.
import { ApiProblem, call, get, of, post } from "../api.js";
import {
	ask, button, code, copies, copy, details, drawer, el, explain, input, lines, muted, pre, steps,
	tell,
} from "../dom.js";
import { say, t } from "../i18n.js";
import { news, put, state } from "../state.js";
import { EVENTS, attempt } from "./status.js";

/** The device's name, proposed from its Session Name. */
function nameFrom(label) {
	const plain = label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
	const base = plain.replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-|-$/g, "") || "device";
	let name = base;
	for (let n = 2; state.devices.has(name); n++) name = `${base}-${n}`;
	return name;
}

/** What stands in the file about a device. */
async function load(name) {
	const { revision, editable, config } = await get("v1/config");
	return { match: { "if-match": `"${revision}"` }, editable, saved: config?.devices?.[name] ?? {} };
}

const picks = (patterns, type) => patterns.some((one) =>
	one === "*" || one === type || (one.endsWith(".*") && type.startsWith(one.slice(0, -1))));

// A header that hides a secret is shown so, and stays as it is while it says so.
const SECRET = "•••";
const headersText = (headers = {}) => Object.entries(headers)
	.map(([name, text]) => `${name}: ${text ?? SECRET}`).join("\n");

function headersFrom(text) {
	const all = text.split("\n").map((line) => line.match(/^([^:]+):?\s*(.*)$/)).filter(Boolean);
	const kept = (value) => (value === SECRET ? null : value);
	return Object.fromEntries(all.map(([, name, value]) => [name.trim(), kept(value)]));
}

/** What was changed: by its field's name, what it says now. */
function changes(form) {
	const all = {};
	for (const field of form.querySelectorAll("[name]")) {
		const { name, type, checked, dataset: { list } } = field;
		const value = type === "checkbox" ? checked : field.value.trim();
		const before = type === "checkbox" ? field.defaultChecked
			: field.querySelector("[selected]")?.value ?? field.defaultValue;
		if (value === before) continue;
		const ticked = () => [...form.querySelectorAll(`[name="${name}"]:checked`)];
		all[name] = list ? ticked().map(({ dataset }) => dataset.list) : value;
	}
	return all;
}

/** Sets a device up; `null` is a new one. */
export async function settings(name) {
	let { match, editable, saved } = await load(name);
	const fresh = !name;
	const known = new Set(state.devices.keys());
	const ended = new AbortController();
	const tests = [];
	let proposed = true;
	let refused = null;
	let made = null;
	let dialog = null;
	const form = () => dialog?.querySelector("form").elements;
	const value = (field) => form()?.[field].value.trim();

	function generate(field) {
		const bytes = crypto.getRandomValues(new Uint8Array(32));
		field.value = `whsec_${btoa(String.fromCharCode(...bytes))}`;
		return copy(field.value);
	}

	async function test(url) {
		if (Object.keys(changes(dialog.querySelector("form"))).length && !(await save())) return;
		const place = saved.webhooks.findIndex((hook) => hook.url === url);
		tests[place] = await post(of(name, `webhooks/${place + 1}/test`));
		dialog.draw();
	}

	/** One of the four webhooks: its address, and the rest once it has one. */
	function webhook(n) {
		const hook = saved.webhooks?.[n] ?? {};
		const url = `${n} url`;
		const field = (key, kind, more) =>
			input(t(`s.${key}`), `${n} ${key}`, kind, { value: hook[key] ?? "", ...more });
		const box = (key, list, value) =>
			input(say("m", list), `${n} ${key}`, "checkbox", { value, "data-list": list });
		const boxes = (key, words, ticked) => el("fieldset.boxes", el("legend", t(`s.${key}`)),
			words.map((word) => box(key, word, ticked(word))));
		const rest = () => el(".stack",
			details(t("s.hook_more"), el(".stack",
				field("secret", "text", { value: "", hint: t("s.secret_why"),
					placeholder: t(hook.secret ? "s.secret_kept" : "w.none") }),
				el(".row", button("", "key", t("s.secret_make"), () => generate(form()[`${n} secret`])),
					hook.secret && field("unset", "checkbox")),
				boxes("events", EVENTS, (type) => picks(hook.events ?? ["message.received"], type)),
				field("format", [["standard", "Standard Webhooks"],
					["moonwa", "moonwa: message, from, isGroup, isMe"]]),
				boxes("compat", ["waha", "gowa"], (one) => Boolean(hook.compat?.includes(one))),
				field("headers", "long", { value: headersText(hook.headers), placeholder: "x-team: cs" }),
				field("timeout", "text", { placeholder: "15s" }),
				field("start", [["tail", t("s.tail")], ["earliest", t("s.earliest")]]),
				field("paused", "checkbox"))),
			!fresh && button("", "send", "Test", () => test(value(url))),
			tests[n] && el(".note", { role: "status" }, attempt(tests[n], true)));
		return el("section.stack.part", { "data-key": n },
			input(`Webhook URL ${n + 1}`, url, "url", { value: hook.url ?? "", placeholder: "https://" }),
			Boolean(hook.url || value(url)) && rest());
	}

	/** What is asked for: only what was changed, so that nothing else in the file moves. */
	function wanted() {
		const body = {};
		const hooks = [{}, {}, {}, {}];
		for (const [field, now] of Object.entries(changes(dialog.querySelector("form")))) {
			const [n, key] = field.split(" ");
			if (!key) body[n] = now;
			else if (key === "unset") hooks[n].secret = "";
			else hooks[n][key] = key === "headers" ? headersFrom(now) : now;
		}
		delete body.name;
		if (!hooks.some((hook) => Object.keys(hook).length)) return body;
		const all = hooks.map((hook, n) =>
			({ ...hook, url: value(`${n} url`), n: saved.webhooks?.[n] && n + 1 }));
		return { ...body, webhooks: all.filter(({ url }) => url) };
	}

	/** Tells whether it is in force now. */
	async function save() {
		const key = name ?? value("name");
		if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(key) || (fresh && known.has(key))) {
			refused = { words: t(key ? "s.key_bad" : "s.name_first") };
			dialog.draw();
			return form()[key ? "name" : "label"].focus();
		}
		return attempted(async () => {
			put(await call("PUT", of(key), wanted(), match));
			tell(t("s.saved"));
			if (fresh) return go(key);
			({ match, saved } = await load(name));
			dialog.draw();
			dialog.querySelector("form").reset();
		});
	}

	function go(key) {
		dialog.close();
		location.hash = `#/devices/${key}`;
	}

	/** Does it, or says in the form why it was not done. */
	async function attempted(act) {
		refused = null;
		try {
			await act();
		} catch (error) {
			refused = { words: explain(error), ...error.body };
			made = refused.key ?? made;
			if (error.code === "edit_conflict") ({ match, saved } = await load(name));
		}
		dialog.draw();
		dialog.querySelector("#lines, .save .note")?.scrollIntoView({ block: "nearest" });
		return !refused;
	}

	async function makeKey() {
		const sure = !saved.api_key
			|| await ask(t("s.generate_q"), t("s.generate_why"), "Generate", ".primary");
		if (sure) await attempted(async () => {
			made = (await call("POST", of(name, "key"), {}, match)).key;
			({ match, saved } = await load(name));
		});
	}

	const keys = () => el("section.stack.part", el("h3", "API Key"), el("p.hint", t("s.key_why")),
		lines((state.devices.get(name)?.keys ?? [])
			.map(({ id, scopes }) => [code(id), muted(scopes.join(", "))])),
		made && el(".stack", { role: "status" }, el("p.note.wait", t("s.key_once")),
			el("pre", { tabindex: 0, id: "key" }, code(made)), copies(made, ".primary")),
		button("", "key", "Generate", makeKey));

	const paste = ({ toml }) => el("section.stack.part", { id: "lines" }, el("h3", t("s.paste")),
		el("p.hint", t("s.paste_why")), pre(toml), copies(toml, ".primary"));

	function typed({ target }) {
		if (target.name === "name") proposed = false;
		const label = value("label");
		if (fresh && proposed) form().name.value = label && nameFrom(label);
		dialog.draw();
	}

	function draw() {
		const field = (label, key, more) =>
			input(label, key, "text", { value: saved[key] ?? "", ...more });
		return el("form.stack", { novalidate: true, input: typed, submit: save },
			field("Session Name", "label", { placeholder: "Admin Toko" }),
			fresh && field(t("s.name"), "name", { autocapitalize: "none" }),
			el("fieldset.stack", el("legend", t("nav.webhooks")), el("p.hint", t("s.hooks_why")),
				[0, 1, 2, 3].map(webhook)),
			details(t("s.more"), el(".stack",
				field(t("s.country"), "country_code", { placeholder: "62", hint: t("s.country_why") }),
				field(t("s.pace"), "pace", { placeholder: "20/min", hint: t("s.pace_why") }),
				input(t("s.enabled"), "enabled", "checkbox", { value: saved.enabled ?? true }))),
			!fresh && keys(),
			refused?.toml && paste(refused),
			el(".save",
				refused && el(".note.bad", { role: "alert" }, refused.words, (refused.problems ?? [])
					.map(({ path, message }) => el("p", code(path), " ", message))),
				!editable && el("p.hint", t("s.readonly")),
				el("button.primary", t(editable ? "s.save" : "s.lines"))));
	}

	const title = fresh ? "Add Device" : t("settings_of", { device: saved.label || name });
	dialog = drawer(title, draw, () => ended.abort());
	// The lines were pasted and saved: go where the linking is.
	news.addEventListener("changed", () => {
		const added = [...state.devices.keys()].find((key) => !known.has(key));
		if (fresh && added && dialog.open) go(added);
	}, { signal: ended.signal });
	form().label.focus();
}

/** Asks, then unlinks the device and takes its table out of moonwa.toml. */
export async function remove(name) {
	const { match, editable } = await load(name);
	const device = state.devices.get(name).label || name;
	const byHand = steps(t("d.delete_1"), [t("d.delete_2"), " ", code(`[device.${name}]`)],
		[t("d.delete_3"), " ", code(`moonwa forget ${name}`)]);
	const why = t(editable ? "d.delete_why" : "d.delete_readonly", { device });
	const yes = editable ? t("bin") : "Log out";
	if (!(await ask(t("d.delete_q", { device }), why, yes, ".solid", !editable && byHand))) return;
	if (!editable) return put(await post(of(name, "logout")));
	const { whatsapp } = await call("DELETE", of(name), undefined, match);
	const untold = whatsapp === "not_told";
	tell(t(untold ? "d.not_told" : "d.deleted", { device }), untold);
	location.hash = "#/devices";
}
