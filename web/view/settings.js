// The form that slides in: + Add Device, and a device's settings. moonwa writes them into moonwa.toml, keeps what else
// stands there, and never writes over an edit made elsewhere. Where it may not write, it answers with the lines to paste.
// What the file says is each field's default: a field that differs from its own was changed, and only those are sent.
import { ApiProblem, call, get, of, post } from "../api.js";
import {
	ask, button, code, copies, copy, details, drawer, el, explain, input, lines, muted, pre, steps, tell,
} from "../dom.js";
import { say, t } from "../i18n.js";
import { changed, news, put, state } from "../state.js";
import { EVENTS, attempt } from "./status.js";

/** The device's name, proposed from its Session Name. */
function nameFrom(label) {
	const plain = label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
	const base = plain.replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "") || "device";
	let name = base;
	for (let n = 2; state.devices.has(name); n++) name = `${base}-${n}`;
	return name;
}

/** What stands in the file about a device. */
async function load(name) {
	const { revision, editable, config } = await get("v1/config");
	return { revision, editable, saved: config?.devices?.[name] ?? {} };
}

const match = (revision) => ({ "if-match": `"${revision}"` });

const picks = (patterns, type) => patterns.some((one) =>
	one === "*" || one === type || (one.endsWith(".*") && type.startsWith(one.slice(0, -1))));

// A header that hides a secret is shown so, and stays as it is while it says so.
const SECRET = "•••";
const HEADERS = {
	show: (headers) => Object.entries(headers).map(([name, text]) => `${name}: ${text ?? SECRET}`).join("\n"),
	read: (text) => Object.fromEntries(text.split("\n").filter((line) => line.trim()).map((line) => {
		const [, name, value = ""] = line.match(/^([^:]*):?(.*)$/);
		return [name.trim(), value.trim() === SECRET ? null : value.trim()];
	})),
};

/** What of a form was changed: by name, the texts and ticks that are there now. */
function differences(form) {
	const changes = {};
	const list = (name) => [...form.querySelectorAll(`[name="${name}"]:checked`)].map(({ dataset }) => dataset.list);
	for (const { name, type, value, checked, defaultChecked, defaultValue, options, dataset } of form.elements) {
		const before = options ? [...options].find((one) => one.defaultSelected)?.value : defaultValue;
		if (!name || (type === "checkbox" ? checked === defaultChecked : value.trim() === before)) continue;
		changes[name] = dataset.list ? list(name) : type === "checkbox" ? checked : value.trim();
	}
	return changes;
}

/** Sets a device up; `null` is a new one. */
export async function settings(name) {
	let { revision, editable, saved } = await load(name);
	const fresh = !name;
	const tests = [];
	let proposed = true;
	let refused = null;
	let made = null;
	const form = () => dialog.querySelector("form");
	const value = (field) => form()?.elements[field]?.value.trim() ?? "";
	const ended = new AbortController();

	function generate(field) {
		const bytes = crypto.getRandomValues(new Uint8Array(32));
		form().elements[field].value = `whsec_${btoa(String.fromCharCode(...bytes))}`;
		return copy(form().elements[field].value);
	}

	async function test(n) {
		const address = value(`${n} url`);
		if (Object.keys(differences(form())).length && !(await save())) return;
		const place = saved.webhooks.findIndex(({ url }) => url === address);
		tests[place] = await post(of(name, `webhooks/${place + 1}/test`));
		dialog.draw();
	}

	/** One of the four webhooks: its address, and the rest once it has one. */
	function webhook(n) {
		const hook = saved.webhooks?.[n] ?? {};
		const field = (key, kind, more) => input(say("s", key), `${n} ${key}`, kind, { value: hook[key], ...more });
		const each = (key, words, ticked) => el("fieldset.boxes", el("legend", say("s", key)), words.map((word) =>
			input(say("m", word), `${n} ${key}`, "checkbox", { value: ticked(word), "data-list": word })));
		return el("section.stack.part", { "data-key": n },
			input(`Webhook URL ${n + 1}`, `${n} url`, "url", { value: hook.url ?? "", placeholder: "https://" }),
			hook.url || value(`${n} url`) ? el(".stack",
				details(t("s.hook_more"),
					field("secret", "text", { value: "", hint: t("s.secret_why"),
						placeholder: t(hook.secret ? "s.secret_kept" : "w.none") }),
					el(".row", button("", "key", t("s.secret_make"), () => generate(`${n} secret`)),
						hook.secret && field("unset", "checkbox")),
					each("events", EVENTS, (type) => picks(hook.events ?? ["message.received"], type)),
					field("format", [["standard", "Standard Webhooks"],
						["moonwa", "moonwa: message, from, isGroup, isMe"]], { value: hook.format ?? "standard" }),
					each("compat", ["waha", "gowa"], (word) => hook.compat?.includes(word) ?? false),
					field("headers", "long", { value: HEADERS.show(hook.headers ?? {}), placeholder: "x-team: cs" }),
					field("timeout", "text", { value: hook.timeout ?? "", placeholder: "15s" }),
					field("start", [["tail", t("s.tail")], ["earliest", t("s.earliest")]], { value: hook.start ?? "tail" }),
					field("paused", "checkbox")),
				!fresh && button("", "send", "Test", () => test(n)),
				tests[n] && el(".note", { role: "status" }, attempt(tests[n], true))) : false);
	}

	/** What is asked for: only what was changed, so that nothing else in the file moves. */
	function wanted() {
		const body = {};
		const hooks = [{}, {}, {}, {}];
		for (const [name, now] of Object.entries(differences(form()))) {
			const [n, key] = name.split(" ");
			if (!key) body[n] = now;
			else if (key === "unset") hooks[n].secret = "";
			else hooks[n][key] = key === "headers" ? HEADERS.read(now) : now;
		}
		delete body.name;
		if (!hooks.some((hook) => Object.keys(hook).length)) return body;
		body.webhooks = hooks.flatMap((hook, n) => {
			const url = value(`${n} url`);
			return url ? [{ ...hook, url, ...(saved.webhooks?.[n] && { n: n + 1 }) }] : [];
		});
		return body;
	}

	/** Tells whether it is in force now. */
	async function save() {
		const key = name ?? value("name");
		if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(key) || (fresh && state.devices.has(key))) {
			refused = { words: t(key ? "s.key_bad" : "s.name_first") };
			dialog.draw();
			form().elements[key ? "name" : "label"].focus();
			return false;
		}
		return attempted(async () => {
			const device = await call("PUT", of(key), wanted(), match(revision));
			put(device);
			tell(t("s.saved"));
			if (fresh) return go(key);
			({ revision, saved } = await load(name));
			dialog.draw();
			form().reset();
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
			return true;
		} catch (error) {
			refused = { ...error.body, words: explain(error) };
			made = refused.key ?? made;
			if (error.code === "edit_conflict") ({ revision, saved } = await load(name));
			return false;
		} finally {
			dialog.draw();
			dialog.querySelector("#lines, .save .note")?.scrollIntoView({ block: "nearest" });
		}
	}

	async function key() {
		if (saved.api_key && !(await ask(t("s.generate_q"), t("s.generate_why"), "Generate", ".primary"))) return;
		await attempted(async () => {
			made = (await call("POST", of(name, "key"), {}, match(revision))).key;
			({ revision, saved } = await load(name));
		});
	}

	const keys = () => el("section.stack.part", el("h3", "API Key"), el("p.hint", t("s.key_why")),
		lines((state.devices.get(name)?.keys ?? []).map(({ id, scopes }) => [code(id), muted(scopes.join(", "))])),
		made && el(".stack", { role: "status" }, el("p.note.wait", t("s.key_once")),
			el("pre", { tabindex: 0 }, el("code", { id: "key" }, made)), copies(made, ".primary")),
		button("", "key", "Generate", key));

	const paste = ({ toml }) => el("section.stack.part", { id: "lines" }, el("h3", t("s.paste")),
		el("p.hint", t("s.paste_why")), pre(toml), copies(toml, ".primary"));

	function typed({ target }) {
		if (target.name === "name") proposed = false;
		const label = value("label");
		if (fresh && proposed) form().elements.name.value = label && nameFrom(label);
		dialog.draw();
	}

	const draw = () => el("form.stack", { novalidate: true, input: typed, submit: save },
		input("Session Name", "label", "text", { value: saved.label ?? "", placeholder: "Admin Toko" }),
		fresh && input(t("s.name"), "name", "text", { value: "", autocapitalize: "none" }),
		el("fieldset.stack", el("legend", t("nav.webhooks")), el("p.hint", t("s.hooks_why")),
			[0, 1, 2, 3].map(webhook)),
		details(t("s.more"), el(".stack",
			input(t("s.country"), "country_code", "text",
				{ value: saved.country_code ?? "", inputmode: "numeric", placeholder: "62", hint: t("s.country_why") }),
			input(t("s.pace"), "pace", "text",
				{ value: saved.pace ?? "", placeholder: "20/min", hint: t("s.pace_why") }),
			input(t("s.enabled"), "enabled", "checkbox", { value: saved.enabled ?? true }))),
		!fresh && keys(),
		refused?.toml && paste(refused),
		el(".save",
			refused && el(".note.bad", { role: "alert" }, refused.words, (refused.problems ?? []).map(
				({ path, message }) => el("p", code(path), " ", message))),
			!editable && el("p.hint", t("s.readonly")),
			el("button.primary", t(editable ? "s.save" : "s.lines"))));

	const known = new Set(state.devices.keys());
	let dialog = { querySelector: () => null };
	dialog = drawer(fresh ? "Add Device" : t("settings_of", { device: saved.label || name }), draw, () => ended.abort());
	// The lines were pasted and saved: go where the linking is.
	news.addEventListener("changed", () => {
		const added = [...state.devices.keys()].find((key) => !known.has(key));
		if (fresh && added && dialog.open) go(added);
	}, { signal: ended.signal });
	form().elements.label.focus();
}

/** Asks, then unlinks the device and takes its table out of moonwa.toml. */
export async function remove(name) {
	const { revision, editable } = await load(name);
	const device = state.devices.get(name).label || name;
	const byHand = steps(t("d.delete_1"), [t("d.delete_2"), code(`[device.${name}]`)],
		[t("d.delete_3"), code(`moonwa forget ${name}`)]);
	const why = t(editable ? "d.delete_why" : "d.delete_readonly", { device });
	const yes = editable ? t("bin") : "Log out";
	if (!(await ask(t("d.delete_q", { device }), why, yes, ".danger.solid", !editable && byHand))) return;
	if (!editable) return put(await post(of(name, "logout")));
	const { whatsapp } = await call("DELETE", of(name), undefined, match(revision));
	const untold = whatsapp === "not_told";
	tell(t(untold ? "d.not_told" : "d.deleted", { device }), untold);
	location.hash = "#/devices";
}
