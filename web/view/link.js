// START SESSION: the QR and its countdown, the pair code, the passkey steps. A code is a login secret: it is asked for
// when it is shown, and leaves the page the moment it stops working.
import { now, of, post } from "../api.js";
import { clone, copy, field, fill, hear, press, tell } from "../dom.js";
import { t } from "../i18n.js";
import { put } from "../state.js";

const PARTS = ["idle", "wait", "qr", "retry", "pair"];

export function link(name) {
  const box = document.createElement("div");
  const root = box.appendChild(clone("link"));
  const image = root.querySelector("img");
  const form = root.querySelector("form");
  let device = null;
  let shown = "";
  let life = { until: "", from: 0 };
  let passkey = null;

  const start = async () => put(await post(of(name, "start")));
  const cancel = async () => put(await post(of(name, "stop")));
  press(root, "start", start);
  press(root, "cancel", cancel);
  press(root, "reload", () => {
    shown = "";
    draw();
  });
  press(root, "pair_copy", () => copy(device.linking.pair_code));
  press(root, "form", async () => {
    const digits = form.elements.phone.value.replace(/[\s()+-]/g, "");
    const good = /^[1-9]\d{6,14}$/.test(digits);
    form.elements.phone.ariaInvalid = good ? null : "true";
    if (!good) return tell(t(digits.startsWith("0") ? "n.zero" : "n.bad", { example: `62${digits.slice(1)}` }), true);
    if (device.state !== "linking") await start();
    put(await post(of(name, "pair-code"), { phone: digits }));
  });
  image.addEventListener("error", () => image.hasAttribute("src") && only("retry"));

  function only(part) {
    for (const other of PARTS) field(root, other).hidden = other !== part;
    if (part !== "qr") {
      image.removeAttribute("src");
      shown = "";
    }
  }

  function draw() {
    const { linking, reason, state } = device;
    const until = linking?.pair_code ? linking.pair_code_expires_at : linking?.expires_at;
    const left = until ? Math.ceil((Date.parse(until) - now()) / 1000) : 0;
    const live = Boolean(linking && left > 0);
    if (until !== life.until) life = { until, from: Math.max(left, 1) };
    field(root, "left").hidden = !live;
    field(root, "left").style.setProperty("--left", String((100 * left) / life.from));
    fill(root, {
      left_text: live ? t(linking.pair_code ? "l.code_left" : "l.left", { n: left }) : null, cancel: state === "linking",
      last_step: t(linking?.pair_code ? "l.s_code" : "l.s_scan"), bycode: !linking?.pair_code && reason !== "disabled",
      idle_text: t(reason === "qr_expired" ? "l.expired" : "l.idle"), start: reason !== "disabled",
    });
    if (state !== "linking") return only("idle");
    if (live && linking.pair_code) {
      only("pair");
      const code = linking.pair_code;
      return fill(root, { pair_code: code.length === 8 ? `${code.slice(0, 4)}-${code.slice(4)}` : code });
    }
    if (!live || !linking.has_qr) return only("wait");
    if (shown === until) return undefined;
    if (!shown) hear(t("l.ready"));
    shown = until;
    image.src = `${of(name, "qr")}?v=${encodeURIComponent(until)}`;
    return only("qr");
  }

  function update(next) {
    device = next;
    const step = next.linking?.passkey ?? null;
    if (step?.step !== passkey?.dataset.step) {
      passkey?.remove();
      passkey = step && box.appendChild(key(name, step, cancel));
      root.hidden = Boolean(step);
    }
    draw();
  }

  const clock = setInterval(() => device && draw(), 1000);
  return { root: box, update, end: () => { clearInterval(clock); only(""); } };
}

/** WhatsApp's passkey check can only be answered by a browser at its own address: the person carries the question there. */
function key(name, step, cancel) {
  const root = clone("passkey");
  const first = step.step === "request";
  root.dataset.step = step.step;
  fill(root, { text: t(first ? "p.request" : "p.confirm"), request: first, confirm: first ? null : step.code, go: t(first ? "p.send" : "p.match") });
  press(root, "script", () => copy(`copy(JSON.stringify((await navigator.credentials.get({publicKey:` +
    `PublicKeyCredential.parseRequestOptionsFromJSON((o=>o.publicKey??o)(${step.options}))})).toJSON()))`));
  press(root, "cancel", cancel);
  press(root, "go", async () => {
    if (!first) return put(await post(of(name, "passkey/confirm")));
    let assertion;
    try {
      assertion = JSON.parse(root.querySelector("textarea").value);
    } catch {
      return tell(t("p.bad"), true);
    }
    return put(await post(of(name, "passkey"), { assertion, credential_id: assertion.id }));
  });
  return root;
}
