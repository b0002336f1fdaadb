// The form that slides in: + Add Device, and a device's settings. moonwa writes them into its file,
// never over an edit made elsewhere; where it may not write, it answers with the lines to paste.
// What the file says is each field's default: what differs was changed, and only that is sent.
import { call, get, pathOf, post } from "../api.js";
import {
	button,
	code,
	complain,
	details,
	el,
	explain,
	forgive,
	input,
	lines,
	muted,
	pre,
	steps,
} from "../dom.js";
import { t } from "../i18n.js";
import { ask, copy, copyButton, drawer, redrawDrawer, tell } from "../overlay.js";
import { changed, news, put, state } from "../state.js";
import { changesOf, HOOKS, hookSection, hooksFrom } from "./hook_form.js";
import { problemWords } from "./problem.js";

/** What WhatsApp is told about whether somebody is there. */
const presences = () => [
	["unavailable", t("settings.unavailable")],
	["available", t("settings.available")],
];
/** As what the phone lists the device: the browsers and systems that there are. */
const SHOWN_AS = [
	"Chrome (Linux)",
	"Chrome (Windows)",
	"Chrome (Mac OS)",
	"Edge (Windows)",
	"Edge (Mac OS)",
	"Firefox (Linux)",
	"Firefox (Windows)",
	"Firefox (Mac OS)",
	"Safari (Mac OS)",
].map((name) => [name, name]);

/** What stands in the file about a device. */
async function load(name) {
	const { revision, editable, config } = await get("v1/config");
	const saved = config?.devices?.[name] ?? {};
	return { headers: { "if-match": `"${revision}"` }, editable, saved };
}

/** The device's name, proposed from its Session Name. */
export function nameFrom(label) {
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
		/** The key that was just made, and whether it was copied. */
		key: null,
		keyIsCopied: false,
		element: null,
	};
	const title = fresh ? "Add Device" : t("settings_of", { device: form.saved.label || name });
	const dialog = drawer(
		title,
		() => draw(form),
		() => ended.abort(),
		() => mayClose(form),
	);
	form.element = dialog.querySelector("form");
	form.element.elements.label.focus();
	warnBeforeLeaving(form, ended.signal);
	if (!fresh) return;

	// The lines were pasted and saved: go where the linking is.
	function goToAdded() {
		const added = [...state.devices.keys()].find((key) => !knownBefore.has(key));
		if (added && dialog.open) goTo(form, added);
	}
	news.addEventListener("changed", goToAdded, { signal: ended.signal });
}

const isEdited = (form) => Object.keys(changesOf(form.element)).length > 0;

/** Asks before something is lost: an edit that is not saved, a key that cannot be shown again. */
async function mayClose(form) {
	if (form.key && !form.keyIsCopied) {
		const title = t("settings.key_lost_q");
		return ask(title, t("settings.key_lost_why"), t("close"), ".solid");
	}
	if (!isEdited(form)) return true;
	return ask(t("settings.edits_lost_q"), t("settings.edits_lost_why"), t("discard"), ".solid");
}

/** The browser asks too, when the whole page is about to go. */
function warnBeforeLeaving(form, signal) {
	const warn = (event) => {
		if (form.key || isEdited(form)) event.preventDefault();
	};
	addEventListener("beforeunload", warn, { signal });
}

const fieldValue = (form, field) => form.element?.elements[field]?.value.trim();

function draw(form) {
	const { fresh, editable, refused } = form;
	const send = fresh ? "Submit" : t("settings.save");
	return el(
		"form.stack",
		{ novalidate: true, input: (event) => typed(form, event), submit: () => save(form) },
		fresh && button("", "in", t("adopt.open"), () => move(form)),
		textField(form, "Session Name", "label", { placeholder: "Admin Toko" }),
		!fresh && keySection(form),
		fresh ? details(t("settings.more"), el(".stack", rest(form))) : rest(form),
		refused?.toml && linesToPaste(refused.toml),
		el(
			".save",
			refused && refusal(refused),
			!editable && el("p.hint", t("settings.readonly")),
			el("button.primary", editable ? send : t("settings.lines")),
		),
	);
}

/** To the other way of adding a device. */
async function move(form) {
	const { default: adopt } = await import("./adopt.js");
	const dialog = form.element.closest("dialog");
	// One drawer at a time.
	dialog.addEventListener("close", adopt);
	dialog.close();
}

const textField = (form, label, key, more) =>
	input(label, key, "text", { value: form.saved[key] ?? "", ...more });

/** What a device can do without: a new one is asked for its Session Name alone. */
function rest(form) {
	const { fresh, saved } = form;
	const country = { placeholder: "62", hint: t("settings.country_why") };
	const pace = { placeholder: "20/min", hint: t("settings.pace_why") };
	const choice = (key, choices, more) =>
		input(t(`settings.${key}`), key, choices, { value: saved[key], ...more });
	const further = [
		textField(form, t("settings.country"), "country_code", country),
		textField(form, t("settings.pace"), "pace", pace),
		choice("presence", presences(), { hint: t("settings.presence_why") }),
		choice("shown_as", SHOWN_AS, { hint: t("settings.shown_as_why") }),
		input(t("settings.enabled"), "enabled", "checkbox", { value: saved.enabled ?? true }),
	];
	return [
		fresh && textField(form, t("settings.name"), "name", { autocapitalize: "none" }),
		el(
			"section.part",
			el("h3", t("nav.webhooks")),
			el("p.hint", t("settings.hooks_why")),
			HOOKS.map((n) => webhook(form, n)),
		),
		fresh ? further : el(".part", details(t("settings.more"), el(".stack", further))),
	];
}

function webhook(form, n) {
	const hook = form.saved.webhooks?.[n] ?? {};
	const url = fieldValue(form, `${n} url`) ?? hook.url ?? "";
	const test = form.fresh || !url ? null : () => testWebhook(form, url);
	return hookSection(n, hook, { url, test, tested: form.tests[n] });
}

function keySection(form) {
	const keys = state.devices.get(form.name)?.keys ?? [];
	const line = ({ id, scopes }) => [code(id), muted(scopes.join(", "))];
	return el(
		"section.stack.part",
		el(
			".head",
			el("h3", "API Key"),
			button(".small", "key", "Generate", () => makeKey(form)),
		),
		form.key && newKey(form),
		keys.length > 0 && lines(keys.map(line)),
		!form.key && el("p.hint", t("settings.key_why")),
	);
}

/** The key in view, and the button that copies it beside it. */
function newKey(form) {
	async function copyKey() {
		await copy(form.key);
		form.keyIsCopied = true;
	}
	return el(
		".note.wait.stack",
		{ role: "status", id: "new-key" },
		t("settings.key_once"),
		el(
			".key",
			el("pre", { tabindex: 0, id: "key" }, code(form.key)),
			button(".primary", "copy", t("copy"), copyKey),
		),
	);
}

export const linesToPaste = (toml) =>
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
		problems.map((problem) => el("p", code(problem.path), " ", problemWords(problem))),
	);

function typed(form, { target }) {
	forgive(target);
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
	const field = element.elements[wanted ? "name" : "label"];
	if (wanted) field.closest("details").open = true;
	complain(field, t(wanted ? "settings.key_bad" : "settings.name_first"));
	field.focus();
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
	const dialog = form.element.closest("dialog");
	// The stream may have told of it first, and the person has gone on.
	if (!dialog.open) return;
	dialog.close();
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
	const wrong = takeProblemsOfFields(form);
	redrawDrawer();
	const place = form.element.querySelector("#lines, .save .note");
	place?.scrollIntoView({ block: "nearest" });
	for (const { field, message } of wrong) complainAt(form, field, message);
	wrong[0]?.field.focus();
	return !form.refused;
}

/**
 * Which fields are wrong, and why. What has no field of its own stays in the note beside the button.
 * @returns {{ field: any, message: string }[]}
 */
function takeProblemsOfFields(form) {
	const { refused } = form;
	const all = (refused?.problems ?? []).map((problem) => ({
		problem,
		field: fieldOf(form, problem.path),
		message: problemWords(problem),
	}));
	if (refused) refused.problems = all.filter(({ field }) => !field).map(({ problem }) => problem);
	return all.filter(({ field }) => field);
}

/** The field of a key in moonwa.toml, such as `device.toko.webhooks[2].timeout`. */
function fieldOf(form, path) {
	const [, place, key] = /(?:webhooks\[(\d+)\]\.)?(\w+)(?:\[\d+\])?$/.exec(path) ?? [];
	// The file counts the webhooks that are there, from one.
	const places = HOOKS.filter((n) => fieldValue(form, `${n} url`));
	const name = place ? `${places[Number(place) - 1]} ${key}` : key;
	return form.element.querySelector(`[name="${name}"]`);
}

/** Says at a field what is wrong with it, also where it is folded away. */
function complainAt(form, field, message) {
	for (let at = field; at !== form.element; at = at.parentElement) {
		if (at.matches("details")) at.open = true;
	}
	complain(field, message);
}

/** Tests a webhook. What is not saved yet is saved first: only a saved one can be tested. */
async function testWebhook(form, url) {
	if (isEdited(form) && !(await save(form))) return;
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
		form.keyIsCopied = false;
		Object.assign(form, await load(name));
	});
	form.element.querySelector("#new-key")?.scrollIntoView({ block: "nearest" });
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
	state.devices.delete(name);
	changed();
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
