// Single Send: one message from one device, what it will look like, how far it got, and the same request as curl.
import { get, of, post, upload } from "../api.js";
import { clone, copy, el, explain, field, fill, icon, press, tell } from "../dom.js";
import { clock, phone, say, t } from "../i18n.js";
import { on, state } from "../state.js";
import { pick } from "./pick.js";

const KINDS = {
  text: ["text"], image: ["url", "file", "caption"], video: ["url", "file", "caption"], audio: ["url", "file"], voice: ["url", "file"], document: ["url", "file", "caption"],
  sticker: ["url", "file"], location: ["latitude", "longitude", "name"], contact: ["name", "number"], poll: ["question", "options"], reaction: ["message", "emoji"],
};
const LONG = ["text", "caption", "options"];
const TYPES = { url: "url", file: "file", number: "tel" };
/** The sign of each status a message passes through. */
export const TICK = { queued: "clock", sent: "clock", accepted: "tick", delivered: "ticks", read: "ticks", played: "ticks", failed: "alert" };

/** The number or group id as the server wants it. */
const bare = (text) => text.trim().replace(/^\+/, "").replace(/[\s()[\]-]/g, (found, at, all) => (all.endsWith("@g.us") ? found : ""));

export function send(main, wanted) {
  const root = main.appendChild(clone("send"));
  const form = field(root, "form");
  const { device, root: choice } = pick("send", wanted);
  if (!device) {
    root.replaceChildren(root.querySelector("h1"), fill(clone("empty"), { icon: icon("phone"), title: t("devices.none"), body: t("devices.none_why"), action: null }));
    return () => {};
  }
  const { name } = device;
  let sent = null;
  let asking = new AbortController();
  let later = 0;

  fill(root, { pick: choice, check: null, progress: null, result: null });
  form.elements.kind.append(...Object.keys(KINDS).map((kind) => new Option(t(`k.${kind}`), kind)));
  const value = (key) => form.elements[key]?.value?.trim() ?? "";
  const file = () => form.elements.file?.files?.[0];

  function fields() {
    field(root, "fields").replaceChildren(...KINDS[value("kind")].map((key) => {
      const input = el(LONG.includes(key) ? "textarea" : "input", "");
      Object.assign(input, { name: key, autocomplete: "off", ...(TYPES[key] && { type: TYPES[key] }) });
      if (key.endsWith("tude")) input.inputMode = "decimal";
      return el("label", "", el("span", "", t(`f.${key}`)), input);
    }));
    show();
  }

  function body() {
    const kind = value("kind");
    const all = Object.fromEntries(KINDS[kind].filter((key) => key !== "file" && value(key)).map((key) => [key, value(key)]));
    if (kind === "text") return all;
    if (kind === "location") Object.assign(all, { latitude: Number(all.latitude), longitude: Number(all.longitude) });
    if (kind === "poll") all.options = (all.options ?? "").split("\n").map((line) => line.trim()).filter(Boolean);
    if (kind === "contact") {
      const number = bare(all.number ?? "");
      return { contact: { name: all.name, vcard: `BEGIN:VCARD\nVERSION:3.0\nFN:${all.name}\nTEL;type=CELL;waid=${number}:+${number}\nEND:VCARD` } };
    }
    return { [kind]: all };
  }

  function curl() {
    const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const head = `curl ${quoted(new URL(of(name, "messages"), document.baseURI).href)} \\\n  -H 'Authorization: Bearer API_KEY'`;
    const to = bare(value("to"));
    if (!file()) return `${head} \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify({ to, ...body() }))}`;
    const parts = [`to=${to}`, `kind=${value("kind")}`, value("caption") && `caption=${value("caption")}`, `file=@${file().name}`];
    return [head, ...parts.filter(Boolean).map((part) => `-F ${quoted(part)}`)].join(" \\\n  ");
  }

  function show() {
    const kind = value("kind");
    const { status } = state.devices.get(name) ?? device;
    const text = value("text") || value("caption") || value("question") || value("emoji") || (kind === "text" ? t("x.example") : "");
    const more = kind === "poll" ? body().poll.options.map((option) => `○ ${option}`).join("\n") : [value("name"), value("number")].filter(Boolean).join("\n");
    fill(root, {
      what: kind === "text" ? null : file()?.name ?? (value("url").split("/").pop() || t(`k.${kind}`)), text: [text, more].filter(Boolean).join("\n"),
      time: clock(sent?.created ?? new Date().toISOString(), { timeStyle: "short" }), tick: icon(TICK[sent?.status] ?? "clock"), curl: curl(),
      down: status === "CONNECTED" ? null : t("e.device_not_connected"),
    });
    field(root, "text").classList.toggle("muted", !value("text") && kind === "text");
    field(root, "tick").className = sent?.status ?? "";
  }

  /** Asks WhatsApp about the number once the typing stops. */
  function check() {
    const to = bare(value("to"));
    clearTimeout(later);
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    const zero = to.startsWith("0") && !device.country_code;
    const wrong = zero ? t("n.zero", { example: `62${to.slice(1)}` }) : /^\d{7,15}$|@g\.us$/.test(to) ? null : t("n.bad");
    fill(root, { check: null });
    form.elements.to.ariaInvalid = null;
    if (!to || to.endsWith("@g.us")) return;
    later = setTimeout(async () => {
      let answer = wrong;
      let good = false;
      try {
        const found = wrong ? null : await get(of(name, `contacts/${to}`), signal);
        good = Boolean(found?.on_whatsapp);
        if (found) answer = good ? [t("x.found"), found.name].filter(Boolean).join(" · ") : t("e.not_on_whatsapp");
      } catch (error) {
        if (signal.aborted) return;
        answer = explain(error);
      }
      field(root, "check").className = good ? "good" : "wrong";
      form.elements.to.ariaInvalid = good ? null : "true";
      fill(root, { check: el("span", "row", icon(good ? "ok" : "alert"), answer) });
    }, 600);
  }

  function track(message) {
    if (!sent || message.id !== sent.id) return;
    const trail = field(root, "trail");
    if (!trail.querySelector(`[data-key="${message.status}"]`)) {
      const line = el("li", message.status, icon(TICK[message.status]), el("span", "", t(`t.${message.status}`)), el("span", "muted num", clock(message.updated, { timeStyle: "medium" })));
      line.dataset.key = message.status;
      trail.append(line);
    }
    sent = { ...sent, ...message };
    fill(root, { result: true, outcome: message.status === "failed" ? say("e", message.code ?? "internal", {}, message.detail) : phone(message.to) });
    show();
  }

  form.addEventListener("input", (event) => {
    if (event.target.name === "kind") fields();
    if (event.target.name === "to") check();
    if (event.target.name === "file") thumb(field(root, "thumb"), file());
    show();
  });
  press(root, "copy", () => copy(curl()));
  press(root, "form", async () => {
    const to = bare(value("to"));
    const empty = [...form.querySelectorAll("input, textarea")].find((input) => !input.value.trim() && !["caption", "name", file() ? "url" : "file"].includes(input.name));
    if (empty) {
      empty.focus();
      return tell(t("x.missing"), true);
    }
    if (file()?.size > state.session.max_media) return tell(t("e.too_large"), true);
    // One press is one message, even if the answer is lost and the browser asks again.
    const headers = { "idempotency-key": [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
    let made;
    try {
      made = file() ? await upload(of(name, "messages"), data(to), headers, (part) => { fill(root, { progress: true }); field(root, "progress").value = part; })
        : await post(of(name, "messages"), { to, ...body() }, headers);
    } finally {
      fill(root, { progress: null });
    }
    field(root, "trail").replaceChildren();
    const at = new Date().toISOString();
    sent = { id: made.id, created: at };
    track({ ...made, to, updated: at });
    track(await get(of(name, `messages/${made.id}`)));
  });

  function data(to) {
    const parts = new FormData();
    const caption = value("caption");
    for (const [key, part] of Object.entries({ to, kind: value("kind"), ...(caption && { caption }), file: file() })) parts.append(key, part);
    return parts;
  }

  fields();
  if (device.status === "CONNECTED") {
    get(of(name, "groups")).then(({ groups }) => form.querySelector("datalist").append(...groups.map((group) => new Option(group.name, group.id))), () => {});
  }
  const again = () => sent && get(of(name, `messages/${sent.id}`)).then(track, () => {});
  const stop = [on("message", track), on("missed", again), on("device", (which) => which.name === name && show())];
  return () => {
    stop.forEach((end) => end());
    clearTimeout(later);
    asking.abort();
  };
}

/** A picture's preview is painted, so that the page needs no address for it. */
async function thumb(canvas, file) {
  canvas.hidden = true;
  if (!file?.type.startsWith("image/")) return;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return;
  const scale = Math.min(1, 480 / picture.width);
  canvas.width = picture.width * scale;
  canvas.height = picture.height * scale;
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.hidden = false;
}
