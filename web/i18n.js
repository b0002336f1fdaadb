// Words, numbers and times in the reader's language. Sentences are in words.js; servers send codes.
import { now } from "./api.js";
import words from "./words.js";

const LANGUAGES = ["en", "id"];
const known = new Map();
for (const line of words.replaceAll("\n\t|", " |").split("\n")) {
	const [, keys, text] = line.match(/^(\S+) (.*)$/);
	for (const key of keys.split(",")) known.set(key, text.split(" | "));
}

const wanted = [localStorage.lang ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2));
let lang = wanted.find((tag) => LANGUAGES.includes(tag)) ?? "en";

/** The language in use: `en` or `id`. */
export const language = () => lang;

/** Chooses the language, for this browser. */
export function speak(chosen) {
	localStorage.lang = lang = chosen;
}

export const has = (key) => known.has(key);

/** A sentence, with `values` for the `{names}` in it; `key.one` is for a count of one. */
export function t(key, values = {}) {
	const texts = (values.n === 1 && known.get(`${key}.one`)) || known.get(key) || [key];
	const text = texts[LANGUAGES.indexOf(lang)] ?? texts[0];
	return text.replace(/\{(\w+)\}/g, (_, name) => number(values[name] ?? ""));
}

/** Words for a code; the server's own, or the code itself, where it has none yet. */
export const say = (family, code, values, other) =>
	has(`${family}.${code}`) ? t(`${family}.${code}`, values) : other || code;

export const number = (value) => (typeof value === "number" ? value.toLocaleString(lang) : value);

const STEPS = { day: 86400, hour: 3600, minute: 60, second: 1 };

/** "12 sec. ago", "in 3 min." */
export function relative(iso) {
	const seconds = Math.round((Date.parse(iso) - now()) / 1000);
	const unit = Object.keys(STEPS).find((unit) => Math.abs(seconds) >= STEPS[unit]) ?? "second";
	const format = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
	return format.format(Math.trunc(seconds / STEPS[unit]), unit);
}

export const clock = (iso, shape = { dateStyle: "medium", timeStyle: "medium" }) =>
	new Intl.DateTimeFormat(lang, shape).format(new Date(iso));

/** A number, or an address that starts with one, as "+62 812-3456-7890". */
export function phone(digits) {
	const bare = digits.replace(/[:@].*$/, "");
	if (digits.endsWith("@g.us") || !/^\d{7,15}$/.test(bare)) return digits;
	const local = /^62(\d{3})(\d{3,4})(\d{3,5})$/.exec(bare);
	return local ? `+62 ${local.slice(1).join("-")}` : `+${bare}`;
}
