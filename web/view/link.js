// START SESSION: the QR and its countdown, the pair code, the passkey steps. A code is a login
// secret: it is asked for when it is shown, and leaves the page the moment it stops working.
import { now, of, post } from "../api.js";
import { button, copies, details, el, hear, icon, input, steps, tell } from "../dom.js";
import { t } from "../i18n.js";
import { changed, put } from "../state.js";

export default function link(signal, name) {
	const command = (what, body) => async () => put(await post(of(name, what), body));
	const cancel = () => button(".quiet", "", t("cancel"), command("stop"));
	const start = command("start");
	let life = { until: "", from: 1 };
	let broken = 0;

	/** The code that is live now, or what there is to do instead. */
	function screen({ state, reason, linking }, live) {
		if (state !== "linking") {
			return el(".qr", { "data-key": "idle" }, icon("qr", "ghost"),
				el("p", t(reason === "qr_expired" ? "l.expired" : "l.idle")),
				reason !== "disabled" && button(".primary.big", "", "START SESSION", start));
		}
		if (live && linking.pair_code) {
			const code = linking.pair_code.replace(/^(.{4})(.{4})$/, "$1-$2");
			return el(".qr", { "data-key": "pair" }, el("p", t("l.type")), el("p.pair", code),
				copies(linking.pair_code));
		}
		if (!live || !linking.has_qr) {
			return el(".qr", { "data-key": "wait" }, el("span.spin"), el("p", t("l.wait")));
		}
		if (broken === linking.expires_at) {
			return el(".qr", { "data-key": "broken" }, icon("alert", "ghost"), el("p", t("l.failed")),
				button("", "again", t("l.reload"), () => changed(broken = null)));
		}
		const src = `${of(name, "qr")}?v=${encodeURIComponent(linking.expires_at)}`;
		const failed = () => changed(broken = linking.expires_at);
		return el(".qr.on", { "data-key": "qr" },
			el("img", { src, alt: t("l.qr"), width: 264, height: 264, error: failed }));
	}

	async function ask({ target: { elements: { phone } } }, state) {
		const digits = phone.value.replace(/[\s()+-]/g, "");
		if (!/^[1-9]\d{6,14}$/.test(digits)) {
			const example = `62${digits.slice(1)}`;
			return tell(t(digits.startsWith("0") ? "n.zero" : "n.bad", { example }), true);
		}
		if (state !== "linking") await start();
		return command("pair-code", { phone: digits })();
	}

	const clock = setInterval(changed, 1000);
	signal.addEventListener("abort", () => clearInterval(clock));

	return (device) => {
		const { linking, state, reason } = device;
		const coded = Boolean(linking?.pair_code);
		if (linking?.passkey) return passkey(linking.passkey, command, cancel());
		const until = coded ? linking.pair_code_expires_at : linking?.expires_at;
		const left = until ? Math.ceil((Date.parse(until) - now()) / 1000) : 0;
		const live = state === "linking" && left > 0;
		if (until !== life.until) {
			life = { until, from: Math.max(left, 1) };
			if (live && linking.has_qr && !coded) hear(t("l.ready"));
		}
		const digits = { type: "tel", inputmode: "numeric", placeholder: "6281234567890" };
		return el("section.card.link",
			el(".code", screen(device, live),
				live && el("progress", { max: life.from, value: left, "aria-label": t("l.life") }),
				live && el("p.left.num", { role: "timer" }, t(coded ? "l.code_left" : "l.left", { n: left })),
				state === "linking" && cancel()),
			el(".stack",
				el("h2", t("l.how")),
				steps(t("l.s0"), ["Android: ", t("l.android"), el("br"), "iPhone: ", t("l.ios")],
					t(coded ? "l.s_code" : "l.s_scan")),
				!coded && reason !== "disabled" && details(t("l.bycode"),
					el("form.stack", { submit: (event) => ask(event, state), novalidate: true },
						el("p.muted", t("l.bycode_why")), input(t("l.phone"), "phone", "tel", digits),
						el("button", t("l.getcode"))))));
	};
}

/** Only a browser at WhatsApp's own address can answer: the person carries the question there. */
function passkey({ step, options, code }, command, cancel) {
	const read = "PublicKeyCredential.parseRequestOptionsFromJSON((o=>o.publicKey??o)";
	const script = `copy(JSON.stringify((await navigator.credentials.get(`
		+ `{publicKey:${read}(${options}))})).toJSON()))`;
	async function answer({ target: { elements } }) {
		if (step === "confirm") return command("passkey/confirm")();
		let assertion;
		try {
			assertion = JSON.parse(elements.answer.value);
		} catch {
			return tell(t("p.bad"), true);
		}
		return command("passkey", { assertion, credential_id: assertion.id })();
	}
	const parts = step === "confirm" ? el("p.pair", code) : [
		steps(t("p.s1"), t("p.s2"), t("p.s3")),
		copies(script, ""), input(t("p.answer"), "answer", "long"),
	];
	return el("form.card.stack", { submit: answer, novalidate: true },
		el("h2.row", icon("key"), "Passkey"), el("p", t(`p.${step}`)), parts,
		el(".row", el("button.primary", t(step === "confirm" ? "p.match" : "p.send")), cancel));
}
