// Words, numbers and times in the reader's language. Sentences are in words.js; servers send codes.
import { now } from "./api.js";
import words from "./words.js";

/** In the order in which words.js gives them. */
const LANGUAGES = ["en", "id"];

const wanted = [localStorage.getItem("lang") ?? "", ...navigator.languages];
let lang = wanted.map((tag) => tag.slice(0, 2)).find((tag) => LANGUAGES.includes(tag)) ?? "en";

/** The language in use: `en` or `id`. */
export const language = () => lang;

/** Chooses the language, for this browser. */
export function speak(chosen) {
	lang = chosen;
	localStorage.setItem("lang", chosen);
}

/** Whether words.js has that sentence. */
export const has = (key) => key in words;

/**
 * A sentence of words.js, with `values` for the `{names}` in it.
 * @param {string} key
 * @param {Record<string, any>} [values]
 */
export function t(key, values = {}) {
	const forOne = values.n === 1 && words[`${key}.one`];
	const sentence = (forOne || words[key])?.[LANGUAGES.indexOf(lang)] ?? key;
	return sentence.replace(/\{(\w+)\}/g, (_, name) => number(values[name] ?? ""));
}

/** Words for a code; the server's own, or the code itself, where it has none yet. */
export function say(family, code, values = {}, other = "") {
	const key = `${family}.${code}`;
	return has(key) ? t(key, values) : other || code;
}

/** A number with the marks of the language; anything else as it is. */
export const number = (value) => (typeof value === "number" ? value.toLocaleString(lang) : value);

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
	["day", 86400],
	["hour", 3600],
	["minute", 60],
	["second", 1],
];

/** "12 sec. ago", "in 3 min." */
export function relative(iso) {
	const seconds = Math.round((Date.parse(iso) - now()) / 1000);
	const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
	const format = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
	return format.format(Math.trunc(seconds / length), unit);
}

/**
 * A time of the day, a date, or both.
 * @param {string | number} time
 * @param {Intl.DateTimeFormatOptions} [shape]
 */
export const clock = (time, shape = { dateStyle: "medium", timeStyle: "medium" }) =>
	new Intl.DateTimeFormat(lang, shape).format(new Date(time));

/** A number, or an address that starts with one, as "+62 812-3456-7890". */
export function phone(digits) {
	const bare = digits.replace(/[:@].*$/, "");
	if (digits.endsWith("@g.us") || !/^\d{7,15}$/.test(bare)) return digits;
	const indonesian = /^62(\d{3})(\d{3,4})(\d{3,5})$/.exec(bare);
	return indonesian ? `+62 ${indonesian.slice(1).join("-")}` : `+${bare}`;
}
