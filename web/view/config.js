// What moonwa made of moonwa.toml: the last reload, its problems, and a way to ask for another.
import { post } from "../api.js";
import { ago, clone, el, field, fill, icon, press, tell } from "../dom.js";
import { say, t } from "../i18n.js";
import { changed, on, state } from "../state.js";

/** @param {HTMLElement} main @returns {() => void} */
export function config(main) {
  const root = main.appendChild(clone("config"));

  press(root, "reload", async () => {
    state.config = await post("v1/config/reload");
    changed("config");
    tell(t(`c.${state.config.outcome}`), state.config.outcome === "rejected");
  });

  function draw() {
    const report = state.config;
    if (!report) return;
    const bad = report.outcome === "rejected";
    const notes = [...report.problems.map((note) => [note, "alert"]), ...(report.warnings ?? []).map((note) => [note, "info"])];
    fill(root, {
      outcome: el("span", `row ${bad ? "wrong" : "good"}`, icon(bad ? "alert" : "ok"), t(`c.${report.outcome}`)), meaning: t(bad ? "c.kept" : "c.watched"),
      at: ago(report.at), trigger: say("c.by", report.trigger), revision: report.revision.slice(0, 12), version: state.session.version,
      changed: report.changed.join(", ") || "–", problems: notes.length > 0,
    });
    field(root, "problems").replaceChildren(...notes.map(([{ path, line, column, message }, sign]) => el("li", "dead", icon(sign),
      el("div", "", line ? el("strong", "", t("c.line", { line: String(line), column: String(column) })) : "", el("code", "", path), el("p", "", message)))));
  }

  draw();
  return on("config", draw);
}
