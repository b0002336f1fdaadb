// A passkey that WhatsApp asks for while a device is linked. Only a browser at WhatsApp's own
// address can answer: the person carries the question there, and the answer back.
import { complain, el, forgive, icon, input, steps } from "../dom.js";
import { t } from "../i18n.js";
import { copyButton } from "../overlay.js";

/** What the person pastes into the console there: it copies the answer. */
function scriptFor(options) {
	const read = "PublicKeyCredential.parseRequestOptionsFromJSON((o=>o.publicKey??o)";
	const question = `{publicKey:${read}(${options}))}`;
	return `copy(JSON.stringify((await navigator.credentials.get(${question})).toJSON()))`;
}

export default function passkey({ step, options, code }, command, cancel) {
	const confirming = step === "confirm";

	async function submit({ target }) {
		if (confirming) return command("passkey/confirm")();
		const field = target.elements.answer;
		const assertion = parse(field.value);
		if (!assertion) return complain(field, t("passkey.bad"));
		forgive(field);
		return command("passkey", { assertion, credential_id: assertion.id })();
	}

	return el(
		"form.card.stack",
		{ submit, novalidate: true },
		el("h2.row", icon("key"), "Passkey"),
		el("p", t(`passkey.${step}`)),
		confirming ? el("p.pair", code) : question(options),
		el(".row", el("button.primary", t(confirming ? "passkey.match" : "passkey.send")), cancel),
	);
}

const question = (options) => [
	steps(t("passkey.s1"), t("passkey.s2"), t("passkey.s3")),
	copyButton(scriptFor(options), ""),
	input(t("passkey.answer"), "answer", "long"),
];

function parse(text) {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
