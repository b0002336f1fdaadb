// START SESSION: the QR and its countdown, the pair code, the passkey steps. A code is a login
// secret: it is asked for when it is shown, and leaves the page the moment it stops working.
import { now, pathOf, post } from "../api.js";
import { button, complain, details, el, forgive, icon, input, steps } from "../dom.js";
import { t } from "../i18n.js";
import { copyButton, hear } from "../overlay.js";
import { changed, put } from "../state.js";
import passkey from "./passkey.js";

export default function link(signal, name) {
	const command = (what, body) => async () => put(await post(pathOf(name, what), body));
	const start = command("start");
	/** Until when the code on the screen works, and how many seconds it had. */
	let life = { until: "", from: 1 };
	/** The code whose picture did not load, by its end. */
	let broken = null;

	const cancel = () => button(".quiet", "", t("cancel"), command("stop"));

	function setBroken(expiry) {
		broken = expiry;
		changed();
	}

	/** The code that is live now, or what there is to do instead. */
	function screen({ state, reason, linking }, live) {
		if (state !== "linking") return startScreen(reason, start);
		if (live && linking.pair_code) return pairScreen(linking.pair_code);
		if (!live || !linking.has_qr) {
			return el(".qr", { "data-key": "wait" }, el("span.spin"), el("p", t("link.wait")));
		}
		const expiry = linking.expires_at;
		if (broken === expiry) return brokenScreen(() => setBroken(null));
		return qrScreen(name, expiry, () => setBroken(expiry));
	}

	async function askForCode({ target }, state) {
		const { phone } = target.elements;
		const digits = phone.value.replace(/[\s()+-]/g, "");
		if (!/^[1-9]\d{6,14}$/.test(digits)) {
			const key = digits.startsWith("0") ? "number.zero" : "number.bad";
			return complain(phone, t(key, { example: `62${digits.slice(1)}` }));
		}
		forgive(phone);
		if (state !== "linking") await start();
		return command("pair-code", { phone: digits })();
	}

	const ticking = setInterval(changed, 1000);
	signal.addEventListener("abort", () => clearInterval(ticking));

	return (device) => {
		const { linking, state, reason } = device;
		if (linking?.passkey) return passkey(linking.passkey, command, cancel());
		const byCode = Boolean(linking?.pair_code);
		const until = byCode ? linking.pair_code_expires_at : linking?.expires_at;
		const left = until ? Math.ceil((Date.parse(until) - now()) / 1000) : 0;
		const live = state === "linking" && left > 0;
		if (until !== life.until) {
			life = { until, from: Math.max(left, 1) };
			if (live && linking.has_qr && !byCode) hear(t("link.ready"));
		}
		return el(
			"section.card.link",
			el(
				".code",
				screen(device, live),
				live && countdown(life.from, left, byCode),
				state === "linking" && cancel(),
			),
			el(
				".stack",
				instructions(byCode),
				!byCode && reason !== "disabled" && numberForm((event) => askForCode(event, state)),
			),
		);
	};
}

const startScreen = (reason, start) =>
	el(
		".qr",
		{ "data-key": "idle" },
		icon("qr", "ghost"),
		el("p", t(reason === "qr_expired" ? "link.expired" : "link.idle")),
		reason !== "disabled" && button(".primary.big", "", "START SESSION", start),
	);

const pairScreen = (code) =>
	el(
		".qr",
		{ "data-key": "pair" },
		el("p", t("link.type")),
		el("p.pair", code.replace(/^(.{4})(.{4})$/, "$1-$2")),
		copyButton(code),
	);

const brokenScreen = (reload) =>
	el(
		".qr",
		{ "data-key": "broken" },
		icon("alert", "ghost"),
		el("p", t("link.failed")),
		button("", "again", t("link.reload"), reload),
	);

function qrScreen(name, expiry, failed) {
	const src = `${pathOf(name, "qr")}?v=${encodeURIComponent(expiry)}`;
	const picture = { src, alt: t("link.qr"), width: 264, height: 264, error: failed };
	return el(".qr.on", { "data-key": "qr" }, el("img", picture));
}

const countdown = (from, left, byCode) => [
	el("progress", { max: from, value: left, "aria-label": t("link.life") }),
	el("p.left.num", { role: "timer" }, t(byCode ? "link.code_left" : "link.left", { n: left })),
];

const instructions = (byCode) => [
	el("h2", t("link.how")),
	steps(
		t("link.s0"),
		["Android: ", t("link.android"), el("br"), "iPhone: ", t("link.ios")],
		t(byCode ? "link.s_code" : "link.s_scan"),
	),
];

function numberForm(submit) {
	const attributes = { inputmode: "numeric", placeholder: "6281234567890" };
	return details(
		t("link.bycode"),
		el(
			"form.stack",
			{ submit, novalidate: true },
			el("p.muted", t("link.bycode_why")),
			input(t("link.phone"), "phone", "tel", attributes),
			el("button", t("link.getcode")),
		),
	);
}
