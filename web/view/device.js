// One device: its state, what to do about it, and its details once it is linked.
import { of, post } from "../api.js";
import { ago, ask, clone, el, field, fill, icon, keyed, press, tell } from "../dom.js";
import { phone, t } from "../i18n.js";
import { on, put, state } from "../state.js";
import { loading } from "./devices.js";
import { link } from "./link.js";
import { badge, hookState, why } from "./status.js";

/** Which half of the page a device needs. */
const half = ({ state, phone }) =>
  ["pending", "linking", "logged_out"].includes(state) || (state === "stopped" && !phone) ? "link" : "linked";

export function device(main, name) {
  const root = main.appendChild(clone("device"));
  let panel = null;
  let mode = "";
  const settings = async (which) => (await import("./settings.js")).settings(which);
  press(root, "gear", () => settings(name));
  press(root, "bin", async () => (await import("./settings.js")).remove(name));
  fill(root, { label: name, name });

  function draw() {
    const device = state.devices.get(name);
    if (!device) return missing();
    const next = half(device);
    fill(root, { label: device.label || name, badge: badge(device), why: device.reason ? why(device) : null });
    field(root, "why").className = `note ${{ CONNECTED: "wait", DISCONNECTED: "bad" }[device.status] ?? ""}`;
    for (const part of ["gear", "bin"]) field(root, part).hidden = false;
    document.title = `${device.label || name} · moonwa`;
    if (next !== mode) {
      if (mode === "link") tell(t("d.linked", { device: device.label || name }));
      panel?.end?.();
      mode = next;
      panel = next === "link" ? link(name) : linked(name);
      fill(root, { panel: panel.root });
    }
    panel.update(device);
  }

  function missing() {
    mode = "";
    fill(root, { badge: null, why: null, gear: false, bin: false,
      panel: state.ready ? fill(clone("empty"), { icon: icon("phone"), title: t("d.missing", { device: name }), body: t("d.missing_why"), action: null }) : loading() });
  }

  draw();
  const stop = [on("device", (which) => which.name === name && draw()), on("devices", draw)];
  return () => {
    stop.forEach((end) => end());
    panel?.end?.();
  };
}

function linked(name) {
  const root = clone("linked");
  const command = (what) => async () => put(await post(of(name, what)));
  field(root, "test").href = `#/send/${name}`;
  field(root, "hooklink").href = `#/webhooks/${name}`;
  press(root, "reconnect", command("reconnect"));
  press(root, "stop", command("stop"));
  press(root, "start", command("start"));
  press(root, "logout", async () => {
    const device = state.devices.get(name).label || name;
    const yes = await ask({ title: t("d.logout_q", { device }), body: t("d.logout_why"), yes: t("logout"), danger: true });
    if (yes) await command("logout")();
  });

  function update(device) {
    const up = device.status === "CONNECTED";
    fill(root, {
      phone: device.phone ? phone(device.phone) : "–", account: device.push_name ?? "–", since_t: t(`d.since_${up ? "up" : "down"}`),
      since: ago(device.since), proof: ago(device.proof_at) ?? "–", in: ago(device.last_in) ?? "–", out: ago(device.last_out) ?? "–",
      lidbox: Boolean(device.lid), lid: device.lid,
      test: up, start: device.state === "stopped" && device.reason !== "disabled", reconnect: device.state !== "stopped", stop: device.state !== "stopped",
    });
    const list = field(root, "hooks");
    if (!device.webhooks.length) return list.replaceChildren(el("p", "muted", t("w.none_why")));
    if (!list.querySelector("ul")) list.replaceChildren(el("ul", "plain lines"));
    keyed(list.firstElementChild, device.webhooks, ({ n }) => String(n), () => el("li", ""), (line, hook) =>
      line.replaceChildren(hookState(hook), el("code", "cut", hook.url), el("span", "muted num", hook.backlog ? t("w.waiting", { n: hook.backlog }) : "")));
  }
  return { root, update };
}
