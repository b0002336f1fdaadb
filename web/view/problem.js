// A problem of moonwa.toml, in the language of whoever reads it.
import { language, say, t } from "../i18n.js";

/**
 * What is wrong with a key of moonwa.toml. moonwa tells it in English: in another language the page says that the key is
 * unknown, or what it wants.
 * @param {{ path: string, message: string }} problem
 */
export function problemWords({ path, message }) {
	if (language() === "en") return message;
	const [, unknown, near] =
		/^unknown key "([^"]+)"(?:.*did you mean "?([\w.]+))?/.exec(message) ?? [];
	if (unknown) return t(near ? "problem.unknown_near" : "problem.unknown", { key: unknown, near });
	const [, key] = /(\w+)(?:\[\d+\])?$/.exec(path) ?? [];
	return say("problem", key, {}, message);
}
