// One conversation: its messages, oldest first, and the box for an answer to whoever may write one.
import { button, el, h1, icon } from "../dom.js";
import { phone, t } from "../i18n.js";
import { tell } from "../overlay.js";
import { changed, state } from "../state.js";
import answerForm, { begin, pendingBubble, react } from "./answer.js";
import { bubble, hueOf } from "./bubble.js";
import { KEEP, look, messagesOf, titleOf } from "./chats.js";
import { maySend, mode } from "./history.js";
import { asOf } from "./status.js";

/** So near to the oldest message that is here, older ones are asked for. */
const NEAR = 300;

/** Does something once what changed is drawn. */
const afterDrawing = (what) => requestAnimationFrame(() => requestAnimationFrame(what));

/**
 * @param {import("./chats.js").Chat} chat
 * @param {() => string} back where the list is
 * @param {ReturnType<typeof import("./history.js").default>} kept
 * @param {() => any} further gives what asks for older events, where there is no history
 * @param {string} [wanted] the message that is looked for
 */
export default function talk(chat, back, kept, further, wanted) {
	const drawAnswer = answerForm(chat);
	/** The files that WhatsApp no longer has, by their messages. */
	const gone = new Set();
	let found = "";
	/** The message at which reactions are offered. */
	let reacting = "";
	let reading = false;
	let asked = false;

	function lost(id) {
		gone.add(id);
		changed();
	}

	function answer(message) {
		chat.answered = message;
		changed();
		document.querySelector("textarea")?.focus();
	}
	const again = ({ text, quote }) => begin(chat, text, null, quote ?? null);

	/** Shows the reactions to choose from at a message, or takes them away. */
	function offer(id) {
		reacting = reacting === id ? "" : id;
		changed();
		/** @type {HTMLElement | null} */
		const opener = document.querySelector(`[data-key="${CSS.escape(id)}"] .opener`);
		opener?.focus();
		afterDrawing(() => document.querySelector(".choice")?.scrollIntoView({ block: "nearest" }));
	}
	async function reactTo(message, emoji) {
		await react(chat, message, emoji);
		if (reacting === message.id) offer(message.id);
	}

	/** Shows a message, however far back it is. */
	async function goTo(id) {
		if (!chat.messages.has(id) && !(await kept.reach(id))) return tell(t("inbox.not_here"), true);
		found = id;
		changed();
		afterDrawing(() =>
			document.querySelector(`[data-key="${CSS.escape(id)}"]`)?.scrollIntoView({ block: "center" }),
		);
	}
	if (wanted) goTo(wanted).catch(() => {});

	async function older() {
		if (reading) return;
		reading = true;
		try {
			await kept.older();
		} finally {
			reading = false;
		}
	}

	function scrolled({ target }) {
		const left = target.scrollHeight - target.clientHeight + target.scrollTop;
		if (left < NEAR && mode() === "on") older().catch(() => {});
	}

	async function askPhone() {
		await kept.askPhone();
		asked = true;
		tell(t("inbox.asked"));
		changed();
	}

	/** What is before the oldest message that is here. */
	function beginning(count) {
		if (mode() !== "on") {
			return further() && button(".small", "", t("messages.earlier"), further());
		}
		if (chat.older === undefined || count >= KEEP) return null;
		if (chat.older) return button(".small", "", t("messages.earlier"), older);
		if (asked) return el("span", t("inbox.asked"));
		return button(".small", "clock", t("inbox.ask_phone"), askPhone);
	}

	return () => {
		if (mode() === "on") kept.read();
		else look(chat);
		const all = messagesOf(chat);
		const title = titleOf(chat);
		const { label } = state.devices.get(chat.device) ?? {};
		const isGroup = chat.address.endsWith("@g.us");
		const number = isGroup ? t("messages.group") : phone(chat.address);
		const page = {
			gone,
			lost,
			goTo,
			found,
			answer: maySend() ? answer : null,
			again: maySend() ? again : null,
			reacting,
			offer: maySend() ? offer : null,
			react: reactTo,
		};
		const first = beginning(all.length);
		return el(
			"section.talk",
			{ "data-key": chat.key, "aria-label": title },
			el(
				".head.with",
				el(
					"a.btn.quiet.icon.only-phone",
					{ href: back(), "aria-label": t("nav.messages") },
					icon("back"),
				),
				avatar(title),
				el(
					"div",
					h1(title),
					el(
						"p.muted.cut",
						[number !== title && number, label || chat.device, asOf()].filter(Boolean).join(" · "),
					),
				),
			),
			el(
				".scroll",
				{ tabindex: 0, role: "log", "aria-label": title, scroll: scrolled },
				el(
					"ol.bubbles",
					first && el("li.day", { "data-key": "more" }, first),
					all.map((message, n) => bubble(chat, message, all[n - 1], page)),
					chat.pending.map((one) => pendingBubble(chat, one)),
				),
			),
			maySend() ? drawAnswer() : el("p.answer.hint.row", icon("info"), t("inbox.read_only")),
		);
	};
}

/** The first letter of a name, in place of a picture. */
export const avatar = (title) =>
	el(
		`span.avatar.hue${hueOf(title)}`,
		{ "aria-hidden": "true" },
		/\p{L}/u.exec(title)?.[0].toUpperCase() ?? "#",
	);
