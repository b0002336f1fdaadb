// The form that slides in: + Add Device, and a device's settings. moonwa writes them into moonwa.toml, keeps what else
// stands there, and never writes over an edit made elsewhere. Where it may not write, it answers with the lines to paste.
import { ApiProblem, call, get, of, post } from "../api.js";
import { ask, clone, copy, drawer, el, explain, field, fill, press, tell } from "../dom.js";
import { t } from "../i18n.js";
import { on, put, state } from "../state.js";
import { EVENTS, attempt, kindOf } from "./status.js";

const PLAIN = ["label", "country_code", "pace", "enabled"];

/** The device's name, proposed from its Session Name. */
function nameFrom(label) {
  const plain = label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const base = plain.slice(0, 60).replace(/-+$/, "") || "device";
  let name = base;
  for (let n = 2; state.devices.has(name); n++) name = `${base}-${n}`;
  return name;
}

/** What stands in the file about a device. */
async function load(name) {
  const { revision, editable, config } = await get("v1/config");
  return { revision, editable, saved: config?.devices?.[name] ?? {} };
}

const match = (revision) => ({ headers: { "if-match": `"${revision}"` } });
const picks = (patterns, type) => patterns.some((one) => one === "*" || one === type || (one.endsWith(".*") && type.startsWith(one.slice(0, -1))));

/** Sets a device up; `null` is a new one. */
export async function settings(name) {
  let { revision, editable, saved } = await load(name);
  const root = clone("form");
  const form = root;
  const fresh = !name;
  const rows = [1, 2, 3, 4].map((n) => hook(n));
  let base = {};
  let proposed = true;

  /** One of the four webhooks: its address, and the rest once it has one. */
  function hook(n) {
    const row = clone("url");
    const [url, secret] = row.querySelectorAll("input");
    Object.assign(row, { url, secret, format: row.querySelector("select") });
    url.name = `url${n}`;
    fill(row, { title: `Webhook URL ${n}`, answer: null });
    field(row, "events").append(...EVENTS.map((type) => {
      const box = el("input", "");
      Object.assign(box, { type: "checkbox", value: type });
      return el("label", "check", box, el("span", "", kindOf(type)));
    }));
    press(row, "make", () => {
      secret.value = `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
      delete secret.dataset.gone;
      return copy(secret.value);
    });
    press(row, "unset", () => {
      secret.value = "";
      secret.dataset.gone = "1";
      draw();
    });
    press(row, "test", async () => {
      const address = url.value.trim();
      if ((dirty().length || !row.entry) && !(await save())) return;
      const { webhooks } = await get(of(name, "webhooks"));
      const at = webhooks.findIndex((one, place) => saved.webhooks?.[place]?.url === address || one.url === address);
      const result = await post(of(name, `webhooks/${at < 0 ? n : webhooks[at].n}/test`));
      fill(rows.find((one) => one.url.value.trim() === address) ?? row, { answer: el("div", "stack", ...attempt(result, true)) });
    });
    field(root, "hooks").append(row);
    return row;
  }

  const read = () => {
    const now = Object.fromEntries(PLAIN.map((key) => [key, key === "enabled" ? form.elements[key].checked : form.elements[key].value.trim()]));
    rows.forEach(({ url, secret, format, events }, n) => Object.assign(now, {
      [`url ${n}`]: url.value.trim(), [`secret ${n}`]: secret.dataset.gone ?? secret.value.trim(), [`format ${n}`]: format.value, [`events ${n}`]: events().join(" "),
    }));
    return now;
  };
  const dirty = () => Object.entries(read()).filter(([key, value]) => value !== base[key]).map(([key]) => key);

  /** Shows what stands in the file; of what the person changed, nothing is lost. */
  function show() {
    const kept = Object.keys(base).length ? dirty() : [];
    const take = (key, put) => kept.includes(key) || put();
    for (const key of PLAIN) take(key, () => (key === "enabled" ? (form.elements[key].checked = saved[key] ?? true) : (form.elements[key].value = saved[key] ?? "")));
    rows.forEach((row, n) => {
      const entry = (row.entry = saved.webhooks?.[n]);
      const boxes = [...row.querySelectorAll("[type=checkbox]")];
      row.events = () => boxes.filter((box) => box.checked).map((box) => box.value);
      take(`url ${n}`, () => (row.url.value = entry?.url ?? ""));
      take(`secret ${n}`, () => { row.secret.value = ""; delete row.secret.dataset.gone; });
      take(`format ${n}`, () => (row.format.value = entry?.format ?? "standard"));
      take(`events ${n}`, () => boxes.forEach((box) => (box.checked = picks(entry?.events ?? ["message.received"], box.value))));
    });
    base = read();
    for (const key of kept) base[key] = undefined;
    draw();
  }

  function draw() {
    if (fresh && proposed) form.elements.key.value = form.elements.label.value.trim() && nameFrom(form.elements.label.value);
    for (const row of rows) {
      const kept = row.entry?.secret && !row.secret.dataset.gone;
      fill(row, { rest: row.url.value.trim() !== "", unset: Boolean(kept), test: !fresh });
      row.secret.placeholder = kept ? t("s.secret_kept") : t("s.secret_none");
    }
    fill(root, { save: t(editable ? "s.save" : "s.lines"), readonly: editable ? null : t("s.readonly") });
  }

  /** What is asked for: only what was changed, so that nothing else in the file moves. */
  function wanted() {
    const [now, changed] = [read(), new Set(dirty())];
    const body = Object.fromEntries(PLAIN.filter((key) => changed.has(key)).map((key) => [key, now[key]]));
    if (rows.some((_, n) => ["url", "secret", "format", "events"].some((key) => changed.has(`${key} ${n}`)))) {
      body.webhooks = rows.flatMap((row, n) => {
        if (!now[`url ${n}`]) return [];
        const part = (key, value) => (changed.has(`${key} ${n}`) ? { [key]: value } : {});
        return [{ ...(row.entry && { n: n + 1 }), url: now[`url ${n}`], ...part("secret", row.secret.dataset.gone ? "" : row.secret.value.trim()),
          ...part("format", now[`format ${n}`]), ...part("events", row.events()) }];
      });
    }
    return body;
  }

  /** Tells whether it is in force now. */
  async function save() {
    const key = name ?? form.elements.key.value.trim();
    if (!/^[a-z0-9][a-z0-9_-]{0,63}$/.test(key) || (fresh && state.devices.has(key))) {
      fill(root, { note: t(key ? "s.key_bad" : "s.name_first") });
      (key ? form.elements.key : form.elements.label).focus();
      return false;
    }
    return attempted(async () => {
      const device = await call("PUT", of(key), wanted(), match(revision));
      put(device);
      tell(t("s.saved"));
      if (fresh) {
        dialog.close();
        location.hash = `#/devices/${key}`;
        return;
      }
      base = {};
      ({ revision, saved } = await load(name));
      show();
    });
  }

  /** Does it, or says in the form why it was not done. */
  async function attempted(act) {
    fill(root, { note: null });
    try {
      await act();
      return true;
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      const { toml, key, problems = [] } = error.body;
      fill(root, { note: el("div", "", explain(error), ...problems.map(({ path, message }) => el("p", "", el("code", "", path), ` ${message}`))),
        paste: Boolean(toml), toml: toml ?? "", ...(key && { made: true, key }) });
      if (error.code === "edit_conflict") {
        ({ revision, saved } = await load(name));
        show();
      }
      (toml ? field(root, "paste") : field(root, "note")).scrollIntoView({ block: "nearest" });
      return false;
    }
  }

  press(root, "save", save);
  form.addEventListener("submit", (event) => { event.preventDefault(); field(root, "save").click(); });
  form.addEventListener("input", (event) => {
    if (event.target.name === "key") proposed = false;
    delete event.target.dataset.gone;
    draw();
  });
  press(root, "copy", () => copy(field(root, "toml").textContent));
  press(root, "generate", async () => {
    if (saved.api_key && !(await ask({ title: t("s.generate_q"), body: t("s.generate_why"), yes: "Generate" }))) return;
    await attempted(async () => {
      const made = await call("POST", of(name, "key"), {}, match(revision));
      fill(root, { made: true, key: made.key });
      ({ revision, saved } = await load(name));
    });
  });
  press(root, "keycopy", () => copy(field(root, "key").textContent));
  field(root, "keys").append(...(state.devices.get(name)?.keys ?? []).map(({ id, scopes }) => el("li", "", el("code", "", id), el("span", "muted", scopes.join(", ")))));
  fill(root, { note: null, paste: null, made: null, namebox: fresh, keybox: !fresh });
  show();

  const known = new Set(state.devices.keys());
  const stop = on("devices", () => {
    // The lines were pasted and saved: go where the linking is.
    const added = [...state.devices.keys()].find((key) => !known.has(key));
    if (!fresh || !added || !dialog.open) return;
    dialog.close();
    location.hash = `#/devices/${added}`;
  });
  const dialog = drawer(fresh ? t("add") : t("settings_of", { device: saved.label || name }), root, stop);
  form.elements.label.focus();
}

/** Asks, then unlinks the device and takes its table out of moonwa.toml. */
export async function remove(name) {
  const { revision, editable } = await load(name);
  const device = state.devices.get(name).label || name;
  const steps = [t("d.delete_1"), el("span", "", t("d.delete_2"), " ", el("code", "", `[device.${name}]`)), el("span", "", t("d.delete_3"), " ", el("code", "", `moonwa forget ${name}`))];
  const yes = await ask({
    title: t("d.delete_q", { device }), body: t(editable ? "d.delete_why" : "d.delete_readonly", { device }), yes: t(editable ? "bin" : "logout"), danger: true,
    extra: editable ? null : el("ol", "steps", ...steps.map((step) => el("li", "", step))),
  });
  if (!yes) return;
  if (!editable) return put(await post(of(name, "logout")));
  const { whatsapp } = await call("DELETE", of(name), undefined, match(revision));
  tell(t(whatsapp === "not_told" ? "d.not_told" : "d.deleted", { device }), whatsapp === "not_told");
  location.hash = "#/devices";
}
