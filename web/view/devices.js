// The Device list: cards on a phone, a table on a desktop.
import { ago, clone, el, field, fill, icon, keyed, press } from "../dom.js";
import { phone, t } from "../i18n.js";
import { on, state } from "../state.js";
import { badge, health, why } from "./status.js";

const MANY = 8;

export function devices(main) {
  const root = main.appendChild(clone("devices"));
  const find = root.querySelector("input");
  const settings = async (device) => (await import("./settings.js")).settings(device);
  press(root, "add", () => settings(null));
  find.addEventListener("input", draw);

  function empty() {
    const box = fill(clone("empty"), { icon: icon("phone"), title: t("devices.none"), body: t("devices.none_why"), action: null });
    return box;
  }

  function row(device) {
    const tr = clone("row");
    press(tr, "gear", () => settings(tr.dataset.key));
    return update(tr, device);
  }

  function update(tr, device) {
    fill(tr, {
      link: device.label || device.name, name: device.name, badge: badge(device), why: proof(device),
      phone: device.phone ? phone(device.phone) : "–", hooks: health(device.webhooks),
      in: labelled("devices.in", device.last_in), out: labelled("devices.out", device.last_out),
    });
    field(tr, "phone").classList.toggle("none", !device.phone);
    field(tr, "hooks").classList.toggle("none", !device.webhooks.length);
    field(tr, "link").href = `#/devices/${device.name}`;
    field(tr, "gear").ariaLabel = t("settings_of", { device: device.label || device.name });
    return tr;
  }

  function draw() {
    const all = [...state.devices.values()];
    const wanted = find.value.trim().toLowerCase();
    const shown = all.filter(({ name, label, phone, status }) => `${name} ${label} ${phone ?? ""} ${status}`.toLowerCase().includes(wanted));
    const up = all.filter(({ status }) => status === "CONNECTED").length;
    fill(root, {
      sum: all.length ? t("devices.sum", { n: all.length, up }) : null,
      find: all.length > MANY || wanted !== "", list: shown.length > 0,
      empty: !state.ready ? loading() : all.length ? (shown.length ? null : el("p", "muted", t("devices.nothing"))) : empty(),
    });
    keyed(field(root, "rows"), shown, ({ name }) => name, row, update);
  }

  draw();
  const stop = [on("devices", draw), on("device", draw)];
  return () => stop.forEach((end) => end());
}

/** What stands there until the first answer. */
export const loading = () => el("p", "center", el("span", "spin"), el("span", "sr", t("loading")));

/** A green badge alone could lie: it carries the age of its proof. */
function proof(device) {
  const reason = why(device);
  return reason || !device.proof_at ? reason : el("span", "", t("devices.proof"), " ", ago(device.proof_at));
}

function labelled(key, iso) {
  return iso ? el("span", "", icon(key === "devices.in" ? "in" : "up"), el("span", "sr", t(key)), " ", ago(iso)) : null;
}
