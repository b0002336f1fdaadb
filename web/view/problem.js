// A problem of moonwa.toml, in the language of whoever reads it.
import { language, t } from "../i18n.js";
import problems from "../problems.js";

const literal = (text) => text.replace(/[.*+?^$()|[\]\\{}]/g, "\\$&");

/** @param {string[]} entry */
const letters = ([english]) => english.replaceAll("{}", "").length;

/** Each English sentence as a pattern, and what stands around its values in Indonesian. */
const table = problems
	.toSorted((a, b) => letters(b) - letters(a))
	.map(([english, indonesian]) => ({
		pattern: new RegExp(`^${english.split("{}").map(literal).join("(.+)")}$`, "s"),
		parts: indonesian.split("{}"),
	}));

/** A sentence of moonwa's in Indonesian; `undefined` when it is none. */
function translated(english) {
	for (const { pattern, parts } of table) {
		const [found, ...given] = pattern.exec(english) ?? [];
		if (!found) continue;
		const [first, ...others] = parts;
		return others.reduce((said, part, n) => {
			// What stands in quotes is the file's.
			const value = said.endsWith('"') ? given[n] : (translated(given[n]) ?? given[n]);
			return said + value + part;
		}, first);
	}
	return undefined;
}

/**
 * What is wrong with moonwa.toml and what to write. moonwa tells it in English.
 * @param {{ message: string }} problem
 */
export function problemWords({ message }) {
	if (language() === "en") return message;
	const sentences = message.split("; ").map(translated);
	// Only the TOML parser has words of its own.
	return sentences.includes(undefined) ? t("problem.syntax", { message }) : sentences.join("; ");
}
