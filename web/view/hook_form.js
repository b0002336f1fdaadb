// The part of the settings form about webhooks: four of them, each an address and the rest once it
// has one. A field's name is the webhook's place, a space, and the key in moonwa.toml: "0 url".
import { button, details, el, input, muted } from "../dom.js";
import { say, t } from "../i18n.js";
import { copy } from "../overlay.js";
import { splitText } from "./send_request.js";
import { EVENTS, wholeAttempt } from "./status.js";

/** The places of the webhooks, from zero. */
export const HOOKS = [0, 1, 2, 3];

const COMPAT = ["waha", "gowa", "wuzapi"];
const CHATS = ["people", "groups"];
/** Keys that are lists of patterns, which the form has with commas. */
const LISTS = ["only", "ignore"];
/** Keys of an inbox of Chatwoot that are numbers. */
const NUMBERS = ["account", "inbox"];
const FORMATS = [
	["standard", "Standard Webhooks"],
	["moonwa", "moonwa: message, from, isGroup, isMe"],
	["waha", "WAHA"],
	["gowa", "GOWA"],
	["evolution", "Evolution API"],
	["wuzapi", "wuzapi"],
	["wuzapi-json", "wuzapi, JSON"],
	["chatwoot", "Chatwoot"],
];

/**
 * One of the four webhooks: a line that opens.
 * @param {number} n
 * @param {any} hook what the file says
 * @param {{ url: string, test: (() => any) | null, tested: any }} now the address in the form, and its test
 */
export function hookSection(n, hook, { url, test, tested }) {
	const address = { value: hook.url ?? "", placeholder: "https://" };
	const title = `Webhook URL ${n + 1}`;
	return el(
		"details.hook-row",
		{ "data-key": n },
		el("summary", el("span", title), url ? el("code.cut", url) : muted(t("webhook.none"))),
		el(
			".stack",
			input(title, `${n} url`, "url", address),
			url && details(t("settings.hook_more"), options(n, hook)),
			test && el(".row", button(".small", "send", "Test", test)),
			tested && el(".note", { role: "status" }, wholeAttempt(tested)),
		),
	);
}

/** What a webhook has beside its address. */
function options(n, hook) {
	const field = (key, kind, more = {}) =>
		input(t(`settings.${key}`), `${n} ${key}`, kind, { value: hook[key] ?? "", ...more });
	const { events = ["message.received"], chats = CHATS } = hook;
	return el(
		".stack",
		field("secret", "text", {
			value: "",
			hint: t("settings.secret_why"),
			placeholder: t(hook.secret ? "settings.secret_kept" : "webhook.none"),
		}),
		el(
			".row",
			button("", "key", t("settings.secret_make"), (event) => makeSecret(event, n)),
			hook.secret && field("unset", "checkbox"),
		),
		boxes(
			n,
			"events",
			EVENTS,
			(type) => say("event", type),
			(type) => covers(events, type),
		),
		boxes(
			n,
			"chats",
			CHATS,
			(kind) => t(`settings.chats.${kind}`),
			(kind) => chats.includes(kind),
		),
		LISTS.map((key) =>
			field(key, "text", {
				value: (hook[key] ?? []).join(", "),
				placeholder: "62812*",
				hint: key === "ignore" && t("settings.lists_why"),
			}),
		),
		field("from_me", "checkbox", { value: hook.from_me ?? true }),
		field("format", FORMATS),
		details(
			"Chatwoot",
			NUMBERS.map((key) => field(key, "text", { inputmode: "numeric" })),
			field("token", "text", {
				value: "",
				placeholder: t(hook.token ? "settings.secret_kept" : "webhook.none"),
			}),
		),
		boxes(
			n,
			"compat",
			COMPAT,
			(product) => say("compat", product),
			(product) => Boolean(hook.compat?.includes(product)),
		),
		field("headers", "long", { value: textOfHeaders(hook.headers), placeholder: "x-team: cs" }),
		field("timeout", "text", { placeholder: "15s" }),
		field("start", [
			["tail", t("settings.tail")],
			["earliest", t("settings.earliest")],
		]),
		field("paused", "checkbox"),
	);
}

/** A box for each choice of a list. */
function boxes(n, key, choices, wordsFor, isTicked) {
	const box = (choice) =>
		input(wordsFor(choice), `${n} ${key}`, "checkbox", {
			value: isTicked(choice),
			"data-list": choice,
		});
	return el("fieldset.boxes", el("legend", t(`settings.${key}`)), choices.map(box));
}

function makeSecret({ target }, n) {
	const field = target.closest("form").elements[`${n} secret`];
	const bytes = crypto.getRandomValues(new Uint8Array(32));
	field.value = `whsec_${btoa(String.fromCharCode(...bytes))}`;
	return copy(field.value);
}

/** Whether patterns such as `message.*` take that type of event in. */
const covers = (patterns, type) =>
	patterns.some((pattern) => {
		if (pattern === "*" || pattern === type) return true;
		return pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1));
	});

/** A header that hides a secret is shown so, and stays as it is while it says so. */
const HIDDEN = "•••";

const textOfHeaders = (headers = {}) =>
	Object.entries(headers)
		.map(([name, text]) => `${name}: ${text ?? HIDDEN}`)
		.join("\n");

function headersFromText(text) {
	const headers = {};
	for (const line of text.split("\n")) {
		const [, name, value] = line.match(/^([^:]+):?\s*(.*)$/) ?? [];
		if (name) headers[name.trim()] = value === HIDDEN ? null : value;
	}
	return headers;
}

/** What was changed in a form: by its field's name, what it says now. */
export function changesOf(form) {
	const changes = {};
	for (const field of form.querySelectorAll("[name]")) {
		if (!isChanged(field)) continue;
		const { name, type, checked, value, dataset } = field;
		if (dataset.list) changes[name] = tickedIn(form, name);
		else changes[name] = type === "checkbox" ? checked : value.trim();
	}
	return changes;
}

function isChanged(field) {
	if (field.type === "checkbox") return field.checked !== field.defaultChecked;
	return field.value.trim() !== before(field);
}

/** What a field said when it was drawn; of a list where nothing was chosen, its first choice. */
function before(field) {
	if (!field.options) return field.defaultValue;
	return (field.querySelector("[selected]") ?? field.options[0]).value;
}

const tickedIn = (form, name) =>
	[...form.querySelectorAll(`[name="${name}"]:checked`)].map(({ dataset }) => dataset.list);

/**
 * Tells the changes of webhooks from those of the device: gives the device's, and in `hooks` all
 * webhooks when one of them was changed.
 * @param {Record<string, any>} changes by field
 * @param {any[]} saved the webhooks in the file
 * @param {(n: number) => string} urlOf the address in the form
 */
export function hooksFrom(changes, saved, urlOf) {
	const device = {};
	const edits = HOOKS.map(() => ({}));
	let touched = false;
	for (const [field, value] of Object.entries(changes)) {
		const [place, key] = field.split(" ");
		if (!key) {
			device[field] = value;
			continue;
		}
		touched = true;
		Object.assign(edits[Number(place)], editOf(key, value));
	}
	if (!touched) return device;
	// With its place in the file a webhook keeps what the form does not show.
	const hooks = edits.map((edit, n) => ({ ...edit, url: urlOf(n), n: saved[n] && n + 1 }));
	return { ...device, hooks: hooks.filter(({ url }) => url) };
}

function editOf(key, value) {
	if (key === "unset") return { secret: "" };
	if (key === "headers") return { headers: headersFromText(value) };
	if (NUMBERS.includes(key)) return { [key]: Number(value) || 0 };
	if (LISTS.includes(key)) return { [key]: splitText(value, ",") };
	return { [key]: value };
}
