// The way in: a token, or a word about the one-time link. Does not know what lies behind.
import { post } from "../api.js";
import { el, explain, h1, input, logo } from "../dom.js";
import { t } from "../i18n.js";
import { changed, state } from "../state.js";

const expired = new URLSearchParams(location.search).get("login") === "expired";
let problem = expired ? "login.expired" : null;

export default function login(enter, tools) {
	const { token_login: open } = state.session;
	async function go({ target: { elements: { token } } }) {
		problem = token.value.trim() ? null : "login.empty";
		try {
			if (!problem) await enter(await post("login", { token: token.value.trim() }));
		} catch (error) {
			problem = error.status === 401 ? "login.wrong" : explain(error);
		}
		if (problem) token.focus();
		changed();
	}
	const field = { "aria-describedby": "problem", "aria-invalid": problem && "true",
		autocomplete: "current-password" };
	return el("main.login", { id: "main" }, el("form.card.stack", { novalidate: true, submit: go },
		logo(48), h1(t("login.title")), el("p.muted", t(open ? "login.intro" : "login.link_only")),
		problem && el("p.note.bad", { id: "problem" }, t(problem)),
		open && input(t("login.token"), "token", "password", field),
		open && el("button.primary", t("login.go")), tools()));
}
