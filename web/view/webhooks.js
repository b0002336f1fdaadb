// Deliveries: what each webhook of a device is doing, what its receiver answered, what could not be delivered.
import { get, of, post } from "../api.js";
import { ago, ask, clone, el, field, fill, icon, keyed, press, tell } from "../dom.js";
import { t } from "../i18n.js";
import { on, state } from "../state.js";
import { pick } from "./pick.js";
import { attempt, hookState, pill, trouble } from "./status.js";

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

function update(root, hook) {
  const wrong = hook.failing_since && (hook.last_status ? t("w.answered", { status: String(hook.last_status) }) : trouble({ code: hook.last_code, error: hook.last_error }));
  fill(root, {
    url: hook.url, state: hookState(hook), error: wrong, backlog: hook.backlog, delivered: hook.delivered,
    since_box: Boolean(hook.failing_since), since: ago(hook.failing_since), next_box: Boolean(hook.next_try), next: ago(hook.next_try), pause: hook.state === "active", resume: hook.state !== "active",
  });
  root.moved?.(hook);
}

function card(device, n) {
  const root = clone("hook");
  const at = (rest) => of(device, `webhooks/${n}/${rest}`);

  const recent = async () => {
    const { webhooks } = await get(of(device, "webhooks"));
    const lines = webhooks.find((hook) => hook.n === n)?.attempts ?? [];
    field(root, "attempts").replaceChildren(...(lines.length ? lines.map((line) => el("li", "", ...attempt(line))) : [el("li", "muted", t("w.idle"))]));
  };
  field(root, "attempts_box").addEventListener("toggle", ({ target }) => target.open && recent());

  async function dead() {
    const { dead_letters } = await get(at("dead-letters"));
    fill(root, { dead_box: dead_letters.length > 0, dead_t: t("w.dead", { n: dead_letters.length }) });
    field(root, "dead").replaceChildren(...dead_letters.map((letter) => {
      const again = el("button", "", icon("again"), t("w.retry"));
      const line = el("li", "dead", el("div", "", pill("bad", "alert", String(letter.status ?? "–")), " ", ago(letter.parked_at), el("code", "", letter.id),
        el("p", "muted", trouble({ code: letter.code, error: letter.reason }), " ", t("w.tries", { n: letter.tries })), letter.answer ? el("pre", "", el("code", "", letter.answer)) : "", body(letter)), again);
      again.dataset.f = "again";
      press(line, "again", async () => {
        told(await post(at(`dead-letters/${letter.id}/retry`)));
        await dead();
      });
      return line;
    }));
  }
  let parked = 0;
  root.moved = (hook) => {
    if (field(root, "attempts_box").open) recent();
    // The counter says that there were some; whether there still are has to be asked.
    if (hook.parked !== parked) dead();
    parked = hook.parked;
  };

  const told = (result) => fill(root, { answer: el("div", "stack", ...attempt(result, true)) });
  fill(root, { answer: null, dead_box: null });
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

/** The message itself, for whoever opens it. */
function body({ body }) {
  const text = body.startsWith("{") ? JSON.stringify(JSON.parse(body), null, 1) : body;
  return el("details", "", el("summary", "", t("w.body")), el("pre", "", el("code", "", text)));
}
