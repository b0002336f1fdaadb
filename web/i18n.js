// Words, numbers and times in the reader's language. The server sends codes; every sentence a person reads is here.
import { now } from "./api.js";

let words = {};
let lang = "en";

/** The language in use: `en` or `id`. */
export const language = () => lang;

/** Learns the words: of the wanted language, else the saved choice, the browser's, English. */
export async function speak(wanted) {
  if (wanted) localStorage.setItem("lang", wanted);
  const tags = [localStorage.getItem("lang"), ...navigator.languages, "en"].map((tag) => tag?.slice(0, 2));
  lang = tags.find((tag) => tag === "en" || tag === "id");
  // A line is a key, a space, and the words.
  words = Object.fromEntries((await import(`./lang/${lang}.js`)).default.split("\n").map((line) => line.split(/ (.*)/, 2)));
  document.documentElement.lang = lang;
}

export const has = (key) => key in words;

/** A sentence. With a count `n`, `key.one` is taken where the language has a singular; `values` are for the `{names}` in it. */
export function t(key, values = {}) {
  const one = "n" in values && new Intl.PluralRules(lang).select(Number(values.n)) === "one";
  const text = words[one && has(`${key}.one`) ? `${key}.one` : key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? value.toLocaleString(lang) : value;
  });
}

const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** "12 s ago", "in 3 min". */
export function relative(iso) {
  const seconds = Math.round((Date.parse(iso) - now()) / 1000);
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS[3];
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" }).format(Math.trunc(seconds / size), unit);
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

/** Words for a code; the server's own, or the code itself, where it has none yet. */
export const say = (family, code, values, other) => (has(`${family}.${code}`) ? t(`${family}.${code}`, values) : other || code);
