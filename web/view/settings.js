// The form that slides in: + Add Device, and a device's settings. moonwa writes them into its file,
// never over an edit made elsewhere; where it may not write, it answers with the lines to paste.
// What the file says is each field's default: what differs was changed, and only that is sent.
import { call, get, pathOf, post } from "../api.js";
import {
	ask,
	button,
	code,
	copyButton,
	details,
	drawer,
	el,
	explain,
	input,
	lines,
	muted,
	pre,
	redrawDrawer,
	steps,
	tell,
} from "../dom.js";
import { t } from "../i18n.js";
import { news, put, state } from "../state.js";
import { changesOf, HOOKS, hookSection, hooksFrom } from "./hook_form.js";

/** What stands in the file about a device. */
async function load(name) {
	const { revision, editable, config } = await get("v1/config");
	const saved = config?.devices?.[name] ?? {};
	return { headers: { "if-match": `"${revision}"` }, editable, saved };
}

/** The device's name, proposed from its Session Name. */
function nameFrom(label) {
	const plain = label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
	const words = plain.replace(/[^a-z0-9]+/g, "-").slice(0, 60);
	const base = words.replace(/^-|-$/g, "") || "device";
	let name = base;
	for (let n = 2; state.devices.has(name); n++) name = `${base}-${n}`;
	return name;
}

/** Sets a device up; `null` is a new one. */
export async function settings(name) {
	const fresh = !name;
	const knownBefore = new Set(state.devices.keys());
	const ended = new AbortController();
	const form = {
		name,
		fresh,
		...(await load(name)),
		/** What came of each webhook's test. */
		tests: [],
		/** Whether the name still follows the Session Name. */
		nameIsProposed: true,
		/** Why it was not saved, and what stands in its place. */
		refused: null,
		/** The key that was just made. */
		key: null,
		element: null,
	};
	const title = fresh ? "Add Device" : t("settings_of", { device: form.saved.label || name });
	const dialog = drawer(
		title,
		() => draw(form),
		() => ended.abort(),
	);
	form.element = dialog.querySelector("form");
	form.element.elements.label.focus();
	if (!fresh) return;

	// The lines were pasted and saved: go where the linking is.
	function goToAdded() {
		const added = [...state.devices.keys()].find((key) => !knownBefore.has(key));
		if (added && dialog.open) goTo(form, added);
	}
	news.addEventListener("changed", goToAdded, { signal: ended.signal });
}

const fieldValue = (form, field) => form.element?.elements[field]?.value.trim();

function draw(form) {
	const { fresh, saved, editable, refused } = form;
	const field = (label, key, more) =>
		input(label, key, "text", { value: saved[key] ?? "", ...more });
	return el(
		"form.stack",
		{ novalidate: true, input: (event) => typed(form, event), submit: () => save(form) },
		field("Session Name", "label", { placeholder: "Admin Toko" }),
		fresh && field(t("settings.name"), "name", { autocapitalize: "none" }),
		el(
			"fieldset.stack",
			el("legend", t("nav.webhooks")),
			el("p.hint", t("settings.hooks_why")),
			HOOKS.map((n) => webhook(form, n)),
		),
		details(
			t("settings.more"),
			el(
				".stack",
				field(t("settings.country"), "country_code", {
					placeholder: "62",
					hint: t("settings.country_why"),
				}),
				field(t("settings.pace"), "pace", {
					placeholder: "20/min",
					hint: t("settings.pace_why"),
				}),
				input(t("settings.enabled"), "enabled", "checkbox", { value: saved.enabled ?? true }),
			),
		),
		!fresh && keySection(form),
		refused?.toml && linesToPaste(refused.toml),
		el(
			".save",
			refused && refusal(refused),
			!editable && el("p.hint", t("settings.readonly")),
			el("button.primary", t(editable ? "settings.save" : "settings.lines")),
		),
	);
}

function webhook(form, n) {
	const url = fieldValue(form, `${n} url`);
	const hook = form.saved.webhooks?.[n] ?? {};
	const test = form.fresh ? null : () => testWebhook(form, fieldValue(form, `${n} url`));
	return hookSection(n, hook, { open: Boolean(hook.url || url), test, tested: form.tests[n] });
}

function keySection(form) {
	const keys = state.devices.get(form.name)?.keys ?? [];
	return el(
		"section.stack.part",
		el("h3", "API Key"),
		el("p.hint", t("settings.key_why")),
		lines(keys.map(({ id, scopes }) => [code(id), muted(scopes.join(", "))])),
		form.key &&
			el(
				".stack",
				{ role: "status" },
				el("p.note.wait", t("settings.key_once")),
				el("pre", { tabindex: 0, id: "key" }, code(form.key)),
				copyButton(form.key, ".primary"),
			),
		button("", "key", "Generate", () => makeKey(form)),
	);
}

const linesToPaste = (toml) =>
	el(
		"section.stack.part",
		{ id: "lines" },
		el("h3", t("settings.paste")),
		el("p.hint", t("settings.paste_why")),
		pre(toml),
		copyButton(toml, ".primary"),
	);

const refusal = ({ words, problems = [] }) =>
	el(
		".note.bad",
		{ role: "alert" },
		words,
		problems.map(({ path, message }) => el("p", code(path), " ", message)),
	);

function typed(form, { target }) {
	if (target.name === "name") form.nameIsProposed = false;
	if (form.fresh && form.nameIsProposed) {
		const label = fieldValue(form, "label");
		form.element.elements.name.value = label && nameFrom(label);
	}
	redrawDrawer();
}

/** The device's name, unless it cannot be one: then the form says so. */
function checkedName(form) {
	const { name, fresh, element } = form;
	const wanted = name ?? fieldValue(form, "name");
	const taken = fresh && state.devices.has(wanted);
	if (!taken && /^[a-z0-9][a-z0-9_-]{0,63}$/.test(wanted)) return wanted;
	form.refused = { words: t(wanted ? "settings.key_bad" : "settings.name_first") };
	redrawDrawer();
	element.elements[wanted ? "name" : "label"].focus();
	return null;
}

/** Tells whether it is in force now. */
async function save(form) {
	const name = checkedName(form);
	if (!name) return false;
	return attempt(form, async () => {
		const body = bodyFrom(form);
		put(await call("PUT", pathOf(name), { body, headers: form.headers }));
		tell(t("settings.saved"));
		if (form.fresh) return goTo(form, name);
		Object.assign(form, await load(name));
		redrawDrawer();
		form.element.reset();
	});
}

/** What is asked for: only what was changed, so that nothing else in the file moves. */
function bodyFrom(form) {
	const { name: _, ...changes } = changesOf(form.element);
	const { hooks, ...device } = hooksFrom(changes, form.saved.webhooks ?? [], (n) =>
		fieldValue(form, `${n} url`),
	);
	return hooks ? { ...device, webhooks: hooks } : device;
}

function goTo(form, name) {
	form.element.closest("dialog").close();
	location.hash = `#/devices/${name}`;
}

/** Does it, or says in the form why it was not done. */
async function attempt(form, act) {
	form.refused = null;
	try {
		await act();
	} catch (error) {
		form.refused = { words: explain(error), ...error.body };
		form.key = form.refused.key ?? form.key;
		if (error.code === "edit_conflict") Object.assign(form, await load(form.name));
	}
	redrawDrawer();
	const place = form.element.querySelector("#lines, .save .note");
	place?.scrollIntoView({ block: "nearest" });
	return !form.refused;
}

/** Tests a webhook. What is not saved yet is saved first: only a saved one can be tested. */
async function testWebhook(form, url) {
	const unsaved = Object.keys(changesOf(form.element)).length > 0;
	if (unsaved && !(await save(form))) return;
	const place = form.saved.webhooks.findIndex((hook) => hook.url === url);
	form.tests[place] = await post(pathOf(form.name, `webhooks/${place + 1}/test`));
	redrawDrawer();
}

async function makeKey(form) {
	const { name, saved } = form;
	const sure =
		!saved.api_key ||
		(await ask(t("settings.generate_q"), t("settings.generate_why"), "Generate", ".primary"));
	if (!sure) return;
	await attempt(form, async () => {
		const { key } = await call("POST", pathOf(name, "key"), { body: {}, headers: form.headers });
		form.key = key;
		Object.assign(form, await load(name));
	});
}

/** Asks, then unlinks the device and takes its table out of moonwa.toml. */
export async function remove(name) {
	const { headers, editable } = await load(name);
	const device = state.devices.get(name).label || name;
	const title = t("device.delete_q", { device });
	if (!editable) {
		const sure = await ask(title, t("device.delete_readonly"), "Log out", ".solid", byHand(name));
		if (sure) put(await post(pathOf(name, "logout")));
		return;
	}
	if (!(await ask(title, t("device.delete_why"), t("bin"), ".solid"))) return;
	const { whatsapp } = await call("DELETE", pathOf(name), { headers });
	const untold = whatsapp === "not_told";
	tell(t(untold ? "device.not_told" : "device.deleted", { device }), untold);
	location.hash = "#/devices";
}

/** How a device is deleted where moonwa may not write its file. */
const byHand = (name) =>
	steps(
		t("device.delete_1"),
		[t("device.delete_2"), " ", code(`[device.${name}]`)],
		[t("device.delete_3"), " ", code(`moonwa forget ${name}`)],
	);
