// The way in: a token, or a word about the one-time link. Does not know what lies behind.
import { post } from "../api.js";
import { clone, explain, field, fill, press } from "../dom.js";
import { t } from "../i18n.js";

export function login(session, enter) {
  const root = clone("login");
  const form = root.querySelector("form");
  const expired = new URLSearchParams(location.search).get("login") === "expired";
  field(root, "fields").hidden = !session.token_login;
  fill(root, {
    intro: t(session.token_login ? "login.intro" : "login.link_only"),
    error: expired ? t("login.expired") : null,
  });
  press(root, "go", async () => {
    const token = form.elements.token.value.trim();
    let problem = token ? null : t("login.empty");
    try {
      if (token) await enter(await post("login", { token }));
    } catch (error) {
      problem = error.status === 401 ? t("login.wrong") : explain(error);
    }
    fill(root, { error: problem });
    form.elements.token.ariaInvalid = problem ? "true" : null;
    if (problem) form.elements.token.focus();
  });
  return root;
}
