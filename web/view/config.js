// What moonwa made of moonwa.toml: the last reload and its problems, what another would change, and what is in force.
import { get, post } from "../api.js";
import { ago, clone, copy, el, field, fill, icon, press, tell } from "../dom.js";
import { say, t } from "../i18n.js";
import { changed, on, state } from "../state.js";

export function config(main) {
  const root = main.appendChild(clone("config"));
  let shown = "";

  press(root, "reload", async () => {
    state.config = await post("v1/config/reload");
    changed("config");
    fill(root, { plan: null });
    tell(t(`c.${state.config.outcome}`), state.config.outcome === "rejected");
  });
  press(root, "ask", async () => {
    const { problems, lines } = await post("v1/config/plan");
    fill(root, { plan: true, plan_t: t(problems.length ? "c.rejected" : lines.length ? "c.would" : "c.unchanged") });
    field(root, "plan_lines").replaceChildren(...problems.map((one) => line(one, "alert")), ...lines.map((text) => el("li", "", el("code", "", text))));
  });
  press(root, "copy", () => copy(field(root, "running").textContent));

  function draw() {
    const report = state.config;
    if (!report) return;
    const bad = report.outcome === "rejected";
    const notes = [...report.problems.map((one) => line(one, "alert")), ...(report.warnings ?? []).map((one) => line(one, "info"))];
    fill(root, {
      outcome: el("span", `row ${bad ? "wrong" : "good"}`, icon(bad ? "alert" : "ok"), t(`c.${report.outcome}`)), meaning: t(bad ? "c.kept" : "c.watched"),
      at: ago(report.at), trigger: say("c.by", report.trigger), revision: report.revision.slice(0, 12), version: state.session.version,
      changed: report.changed.join(", ") || "–", problems: notes.length > 0,
    });
    field(root, "problems").replaceChildren(...notes);
    if (shown === report.at) return;
    shown = report.at;
    get("v1/config").then(({ config }) => fill(root, { running: toml(config) }), () => {});
  }

  fill(root, { plan: null });
  draw();
  return on("config", draw);
}

function line({ path, line, column, message }, sign) {
  const place = line ? el("strong", "", t("c.line", { line: String(line), column: String(column) })) : "";
  return el("li", "dead", icon(sign), el("div", "", place, el("code", "", path), el("p", "", message)));
}

const HIDDEN = ["secret", "api_key", "token"];
const table = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** A value as moonwa.toml has it. */
function one(value) {
  if (Array.isArray(value)) return value.some(table) ? `[\n${value.map((part) => `  ${one(part)},\n`).join("")}]` : `[${value.map(one).join(", ")}]`;
  if (!table(value)) return JSON.stringify(value);
  return `{ ${rows(value).map(([key, part]) => `${key} = ${one(part)}`).join(", ")} }`;
}

/** What is set; of a secret it is only told that there is one. */
const rows = (of) => Object.entries(of ?? {}).filter(([key, value]) => value !== null && key !== "n" && !(HIDDEN.includes(key) && value === false))
  .map(([key, value]) => [key, HIDDEN.includes(key) ? "•••" : value]);

/** The running configuration as moonwa.toml would have it. */
function toml(all, path = "") {
  const own = rows(all).filter(([, value]) => !table(value)).map(([key, value]) => `${key} = ${one(value)}`);
  const parts = rows(all).filter(([, value]) => table(value)).map(([key, value]) => toml(value, path ? `${path}.${key}` : key === "devices" ? "device" : key));
  return [own.length ? [path && `[${path}]`, ...own].filter(Boolean).join("\n") : "", ...parts].filter(Boolean).join("\n\n");
}
