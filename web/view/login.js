// The way in: a token, or a word about the one-time link. Does not know what lies behind.
import { get, post } from "../api.js";
import { button, complain, el, explain, h1, input, logo, patch } from "../dom.js";
import { t } from "../i18n.js";
import { showModal } from "../overlay.js";
import { changed, news, state } from "../state.js";

const expired = new URLSearchParams(location.search).get("login") === "expired";

/** What is wrong, as a key of words.js or as a sentence. */
let problem = expired ? "login.expired" : null;

/** The page in whose place nothing else is shown. */
export default function login(enter, tools) {
	const words = t(state.session.token_login ? "login.intro" : "login.link_only");
	const head = [logo(48), h1(t("login.title")), el("p.muted", words)];
	return el("main.login", { id: "main" }, form(enter, head, tools()));
}

/** A dialog over a page whose login has ended: what was typed there stays. */
export function loginAgain(enter) {
	const dialog = el("dialog.ask", { "aria-label": t("login.ended"), closedby: "none" });
	const byToken = hasField();
	const words = byToken ? t("login.ended_why") : t("login.link_only");
	const head = () => [el("h2", t("login.ended")), el("p.muted", words)];

	async function entered(session) {
		await enter(session);
		dialog.close();
	}
	/** A login link opened elsewhere has signed this browser in. */
	async function lookAgain({ target }) {
		const session = await get("v1/session");
		if (session.role !== "none") await entered(session);
		else complain(target.closest("button"), t("error.unauthorized"));
	}
	const draw = () =>
		patch(
			dialog,
			form(entered, head(), !byToken && button(".primary", "", t("login.again"), lookAgain)),
		);
	problem = null;
	dialog.oncancel = (event) => event.preventDefault();
	draw();
	const ended = new AbortController();
	news.addEventListener("changed", draw, { signal: ended.signal });
	showModal(dialog, () => ended.abort());
}

/** Whether there is anything to sign in with here. */
const hasField = () => state.session.token_login || state.session.key_login;

function form(enter, head, foot) {
	async function submit({ target }) {
		const field = target.elements.token;
		const token = field.value.trim();
		problem = token ? await signIn(token, enter) : "login.empty";
		if (problem) field.focus();
		changed();
	}
	const byToken = hasField();
	const attributes = {
		"aria-describedby": "problem",
		"aria-invalid": problem && "true",
		autocomplete: "current-password",
	};
	return el(
		"form.card.stack",
		{ novalidate: true, submit },
		head,
		problem && el("p.note.bad", { id: "problem" }, t(problem)),
		byToken && input(t("login.token"), "token", "password", attributes),
		byToken && el("button.primary", t("login.go")),
		foot,
	);
}

/** Signs in; gives what was wrong, or nothing. */
async function signIn(token, enter) {
	try {
		await enter(await post("login", { token }));
		return null;
	} catch (error) {
		return error.status === 401 ? "login.wrong" : explain(error);
	}
}
