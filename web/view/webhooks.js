// Deliveries: what each webhook of a device is doing, what its receiver answered, what could not be delivered.
import { get, of, post } from "../api.js";
import { ago, ask, clone, el, field, fill, icon, keyed, press, tell } from "../dom.js";
import { say, t } from "../i18n.js";
import { on, state } from "../state.js";
import { pick } from "./pick.js";
import { hookState, pill } from "./status.js";

/** @param {HTMLElement} main @param {string} [wanted] @returns {() => void} */
export function webhooks(main, wanted) {
  const root = main.appendChild(clone("webhooks"));
  const { device, root: choice } = pick("webhooks", wanted, ({ webhooks }) => webhooks.some(({ failing_since }) => failing_since));
  fill(root, { pick: choice, empty: null });

  function draw() {
    const hooks = state.devices.get(device?.name)?.webhooks ?? [];
    keyed(field(root, "list"), hooks, ({ n }) => String(n), ({ n }) => card(device.name, n), update);
    fill(root, { empty: hooks.length ? null : fill(clone("empty"), { icon: icon("hook"), title: t("w.none_t"), body: t("w.none_why"), action: null }) });
  }

  draw();
  return on("device", (which) => which.name === device?.name && draw());
}

/** @param {HTMLElement} root @param {import("../state.js").Webhook} hook */
function update(root, hook) {
  const wrong = hook.failing_since && (hook.last_status ? t("w.answered", { status: String(hook.last_status) }) : say("a", hook.last_error ?? "none"));
  fill(root, {
    url: hook.url, state: hookState(hook), error: wrong, backlog: hook.backlog, delivered: hook.delivered,
    since_box: Boolean(hook.failing_since), since: ago(hook.failing_since), next_box: Boolean(hook.next_try), next: ago(hook.next_try), pause: hook.state === "active", resume: hook.state !== "active",
    dead_box: hook.parked > 0, dead_t: t("w.dead", { n: hook.parked }),
  });
}

/** @param {string} device @param {number} n @returns {HTMLElement} */
function card(device, n) {
  const root = clone("hook");
  const at = (rest) => of(device, `webhooks/${n}/${rest}`);
  const opened = (name, load) => field(root, name).addEventListener("toggle", (event) => event.target.open && load());

  opened("attempts_box", async () => {
    const { webhooks } = await get(of(device, "webhooks"));
    const lines = webhooks.find((hook) => hook.n === n)?.attempts ?? [];
    field(root, "attempts").replaceChildren(...(lines.length ? lines.map((line) => el("li", "", ...attempt(line))) : [el("li", "muted", t("w.idle"))]));
  });

  async function dead() {
    const { dead_letters } = await get(at("dead-letters"));
    field(root, "dead").replaceChildren(...dead_letters.map((letter) => {
      const again = el("button", "", icon("again"), t("w.retry"));
      const line = el("li", "dead", el("div", "", pill("bad", "alert", String(letter.status ?? "–")), " ", ago(letter.parked_at), el("code", "", letter.id),
        el("p", "muted", say("a", letter.reason), " ", t("w.tries", { n: letter.tries })), letter.answer ? el("pre", "", el("code", "", letter.answer)) : ""), again);
      again.dataset.f = "again";
      press(line, "again", async () => {
        told(await post(at(`dead-letters/${letter.id}/retry`)));
        await dead();
      });
      return line;
    }));
  }
  opened("dead_box", dead);

  const told = (result) => fill(root, { answer: el("span", "row", ...attempt(result)) });
  fill(root, { answer: null });
  press(root, "test", async () => told(await post(at("test"))));
  press(root, "pause", () => post(at("pause")));
  press(root, "resume", () => post(at("resume")));
  press(root, "replay", async () => {
    const input = el("input", "");
    Object.assign(input, { type: "datetime-local", value: new Date(Date.now() - 36e5 - new Date().getTimezoneOffset() * 6e4).toISOString().slice(0, 16) });
    const yes = await ask({ title: t("w.replay"), body: t("w.replay_why"), yes: t("w.replay"), extra: el("label", "", el("span", "", t("w.from")), input) });
    if (!yes || !input.value) return;
    await post(at("replay"), { from: new Date(input.value).toISOString() });
    tell(t("w.replaying"));
  });
  return root;
}

/** @returns {Node[]} what came of one request, for a line */
function attempt({ class: result, status, error, at, took_ms, answer }) {
  const good = result === "delivered";
  return [
    pill(good ? "ok" : "bad", good ? "ok" : "alert", status ? String(status) : say("a", error ?? "none")), ago(at), el("span", "muted num", t("w.ms", { n: took_ms })),
    ...(answer ? [el("code", "cut", answer)] : []),
  ];
}
