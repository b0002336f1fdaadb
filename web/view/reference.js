// The API, as openapi.json describes it: one line per request, with everything about it for whoever opens the line.
import { get } from "../api.js";
import { clone, copy, el, field, fill, icon, press } from "../dom.js";
import { t } from "../i18n.js";

const DEEP = 4;

export function reference(main) {
  const root = main.appendChild(clone("reference"));
  const find = root.querySelector("input");
  let all = [];

  function draw() {
    const words = find.value.trim().toLowerCase();
    for (const { text, line, group } of all) {
      line.hidden = !text.includes(words);
      group.hidden = [...group.querySelectorAll("details")].every(({ hidden }) => hidden);
    }
  }

  async function load() {
    const book = await get("openapi.json");
    const groups = new Map();
    for (const [path, methods] of Object.entries(book.paths)) {
      for (const [method, about] of Object.entries(methods)) {
        const tag = about.tags?.[0] ?? "";
        if (!groups.has(tag)) groups.set(tag, el("section", "card ops", el("h2", "", tag)));
        const group = groups.get(tag);
        const verb = method.toUpperCase();
        const line = el("details", "", el("summary", "", el("b", `verb ${method}`, verb), el("code", "", path), el("span", "muted", about.summary)));
        line.addEventListener("toggle", () => line.children.length === 1 && line.append(...whole(book, verb, path, about)), { once: true });
        group.append(line);
        all.push({ text: `${verb} ${path} ${about.summary}`.toLowerCase(), line, group });
      }
    }
    field(root, "list").replaceChildren(...groups.values());
    draw();
  }

  find.addEventListener("input", draw);
  load();
  return () => { all = []; };
}

/** Everything about one request: its parameters, its body, its answers, and how to ask. */
function whole(book, verb, path, { parameters = [], requestBody, responses, security, description }) {
  const target = (value) => (value?.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], book) : value ?? {});
  const name = (schema) => {
    const real = target(schema);
    const type = [real.type ?? (real.properties ? "object" : real.oneOf || real.anyOf ? (real.oneOf ?? real.anyOf).map(name).join(" | ") : "")].flat().join(" | ");
    return real.enum ? real.enum.map((value) => JSON.stringify(value)).join(" | ") : real.items ? `${type} of ${name(real.items)}` : type;
  };
  const entry = (key, schema, needed, depth, text) => {
    const parts = [el("code", "", key), " ", el("span", "muted", `${name(schema)}${needed ? ` · ${t("api.needed")}` : ""}`), " ", text ?? target(schema).description ?? ""];
    return el("li", "", ...parts, ...fields(schema, depth + 1));
  };
  function fields(schema, depth = 0) {
    const real = target(schema);
    const inner = target(real.items ?? real);
    const properties = Object.entries(inner.properties ?? {});
    if (!properties.length || depth > DEEP) return [];
    return [el("ul", "tree", ...properties.map(([key, value]) => entry(key, value, inner.required?.includes(key), depth)))];
  }
  const bodies = (content = {}) => Object.entries(content).flatMap(([type, { schema }]) => [el("p", "", el("code", "", type)), ...fields(schema)]);
  const given = parameters.map(target);
  const json = requestBody?.content?.["application/json"];
  const address = new URL(path.slice(1), document.baseURI).href.replace(/%7B/g, "{").replace(/%7D/g, "}");
  const curl = [`curl -X ${verb} '${address}'`, security?.length === 0 ? "" : "-H 'Authorization: Bearer API_KEY'", json ? "-H 'Content-Type: application/json' -d '{…}'" : ""];
  const tool = el("div", "stack", el("pre", "", el("code", "", curl.filter(Boolean).join(" \\\n  "))), el("button", "quiet", icon("copy"), t("copy")));
  tool.firstChild.tabIndex = 0;
  tool.lastChild.dataset.f = "copy";
  press(tool, "copy", () => copy(tool.firstChild.textContent));
  const part = (title, inside) => (inside.length ? [el("h3", "", title), ...inside] : []);
  return [el("div", "stack op", ...(description ? [el("p", "", description)] : []),
    ...part(t("api.given"), given.length ? [el("ul", "tree", ...given.map((one) => entry(one.name, one.schema, one.required, DEEP, `${one.in}. ${one.description ?? ""}`)))] : []),
    ...part(t("api.body"), bodies(requestBody?.content)),
    ...part(t("api.answers"), Object.entries(responses).flatMap(([status, answer]) => [el("p", "", el("b", "num", status), ` ${target(answer).description ?? ""}`), ...bodies(target(answer).content)])), tool)];
}
