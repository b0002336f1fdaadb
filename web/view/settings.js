// The form that slides in: + Add Device, and a device's settings. moonwa.toml belongs to the person: the form writes
// the lines, the person pastes them, and moonwa takes them over at the next save.
import { of, post } from "../api.js";
import { ask, clone, copy, drawer, el, field, fill, press } from "../dom.js";
import { t } from "../i18n.js";
import { on, put, state } from "../state.js";

/** @param {string} text @returns {string} a TOML basic string */
const quoted = (text) => JSON.stringify(text).replace(/\u007f/g, "\\u007F");

/** @param {string} label @returns {string} the device's key, proposed from its Session Name */
function keyFrom(label) {
  const plain = label.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  const base = plain.slice(0, 60).replace(/-+$/, "") || "device";
  let key = base;
  for (let n = 2; state.devices.has(key); n++) key = `${base}-${n}`;
  return key;
}

/** @param {?string} name the device to set up; `null` for a new one */
export function settings(name) {
  const root = clone("form");
  const form = /** @type {HTMLFormElement} */ (root);
  const device = name ? state.devices.get(name) : null;
  const fresh = !device;
  form.elements.label.value = device?.label ?? "";
  form.elements.country.value = device?.country_code ?? "";
  for (let n = 1; n <= 4; n++) {
    const input = el("input", "");
    Object.assign(input, { type: "url", name: `url${n}`, autocomplete: "off", value: device?.webhooks[n - 1]?.url ?? "" });
    if (n === 1) input.placeholder = "https://api.domainanda.com/webhook";
    field(root, "urls").append(el("label", "", el("span", "", `Webhook Url ${n}`), input));
  }

  function lines() {
    const key = name ?? keyFrom(form.elements.label.value);
    const urls = [1, 2, 3, 4].map((n) => form.elements[`url${n}`].value.trim()).filter(Boolean);
    const label = form.elements.label.value.trim();
    const country = form.elements.country.value.replace(/\D/g, "");
    return [
      `[device.${key}]`,
      label && `label = ${quoted(label)}`,
      country && `country_code = ${quoted(country)}`,
      urls.length && `webhooks = [\n${urls.map((url) => `  ${quoted(url)},\n`).join("")}]`,
    ].filter(Boolean).join("\n");
  }

  function draw() {
    const key = name ?? keyFrom(form.elements.label.value);
    const ready = !fresh || form.elements.label.value.trim() !== "";
    fill(root, {
      key: t(fresh ? "s.key" : "s.key_fixed", { key }), toml: lines(), keycmd: `moonwa key new ${key}`,
      paste_t: t(fresh ? "s.paste" : "s.change"), paste_why: t(fresh ? "s.paste_why" : "s.change_why"),
      watch: fresh ? t("s.watch") : null,
    });
    root.querySelector(".paste").hidden = !ready;
    field(root, "keybox").hidden = fresh;
  }

  const known = new Set(state.devices.keys());
  const stop = on("devices", () => {
    // The table was pasted and saved: go where the linking is.
    const added = [...state.devices.keys()].find((key) => !known.has(key));
    if (!fresh || !added) return;
    dialog.close();
    location.hash = `#/devices/${added}`;
  });
  form.addEventListener("input", draw);
  form.addEventListener("submit", (event) => event.preventDefault());
  press(root, "copy", () => copy(`${lines()}\n`));
  press(root, "keycopy", () => copy(`moonwa key new ${name}`));
  field(root, "keys").append(...(device?.keys ?? []).map(({ id, scopes }) => el("li", "", el("code", "", id), ` ${scopes.join(", ")}`)));
  draw();
  const dialog = drawer(fresh ? t("add") : t("settings_of", { device: device.label || name }), root, stop);
  form.elements.label.focus();
}

/** @param {string} name unlinks the device, and says what is left to do in the file */
export async function remove(name) {
  const { label, phone } = state.devices.get(name);
  const forget = `moonwa forget ${name}`;
  const yes = await ask({
    title: t("d.delete_q", { device: label || name }), body: t("d.delete_why"), yes: t(phone ? "logout" : "s.copy_cmd"), danger: true,
    extra: el("ol", "steps", el("li", "", t("d.delete_1")), el("li", "", el("span", "", t("d.delete_2"), " ", el("code", "", `[device.${name}]`))),
      el("li", "", el("span", "", t("d.delete_3"), " ", el("code", "", forget)))),
  });
  if (!yes) return;
  if (phone) put(await post(of(name, "logout")));
  else await copy(forget);
}
