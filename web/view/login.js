// The way in: a token, or a word about the one-time link. Does not know what lies behind.
import { post } from "../api.js";
import { el, explain, h1, input, logo } from "../dom.js";
import { t } from "../i18n.js";
import { changed, state } from "../state.js";

const expired = new URLSearchParams(location.search).get("login") === "expired";

/** What is wrong, as a key of words.js or as a sentence. */
let problem = expired ? "login.expired" : null;

export default function login(enter, tools) {
	const byToken = state.session.token_login;

	async function submit({ target }) {
		const field = target.elements.token;
		const token = field.value.trim();
		problem = token ? await signIn(token, enter) : "login.empty";
		if (problem) field.focus();
		changed();
	}

	const attributes = {
		"aria-describedby": "problem",
		"aria-invalid": problem && "true",
		autocomplete: "current-password",
	};
	return el(
		"main.login",
		{ id: "main" },
		el(
			"form.card.stack",
			{ novalidate: true, submit },
			logo(48),
			h1(t("login.title")),
			el("p.muted", t(byToken ? "login.intro" : "login.link_only")),
			problem && el("p.note.bad", { id: "problem" }, t(problem)),
			byToken && input(t("login.token"), "token", "password", attributes),
			byToken && el("button.primary", t("login.go")),
			tools(),
		),
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
