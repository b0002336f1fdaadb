// The live tail of one device: what came in, what went out and how far it got. Kinds only, until texts are asked for.
import { get, of } from "../api.js";
import { ago, clone, el, field, fill, icon, keyed } from "../dom.js";
import { has, phone, say, t } from "../i18n.js";
import { on } from "../state.js";
import { pick } from "./pick.js";
import { TICK } from "./send.js";
import { EVENTS, kindOf } from "./status.js";

const KEEP = 200;
// A status is shown at the message it belongs to.
const TYPES = EVENTS.filter((type) => type !== "message.status");
const SIGN = { "message.sent": "up", "out": "up", "message.received": "in", "call.offer": "phone", "device.state": "phone" };

export function messages(main, wanted) {
  const root = main.appendChild(clone("messages"));
  const { device, root: choice } = pick("messages", wanted);
  const kind = field(root, "kind");
  const texts = field(root, "texts");
  const rows = new Map();
  fill(root, { pick: choice });
  kind.append(new Option(t("m.all"), ""), ...["out", ...TYPES].map((type) => new Option(kindOf(type), type)));

  function draw() {
    const shown = [...rows.values()].filter(({ type }) => !kind.value || type === kind.value).sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, KEEP);
    fill(root, { list: shown.length > 0,
      empty: shown.length ? null : fill(clone("empty"), { icon: icon("chat"), title: t("m.none"), body: t("m.none_why"), action: null }) });
    keyed(field(root, "list"), shown, ({ key }) => key, () => el("li", ""), (line, row) => {
      const state = `${row.status} ${texts.checked}`;
      if (line.dataset.state === state) return;
      line.dataset.state = state;
      line.replaceChildren(icon(SIGN[row.type] ?? "chat"), el("div", "", el("strong", "", row.who), el("span", "muted", row.what), texts.checked && row.text ? el("p", "said", row.text) : ""),
        el("span", `muted ${row.status ?? ""}`, row.status ? el("span", "row", icon(TICK[row.status]), t(`t.${row.status}`)) : "", ago(row.at)));
    });
  }

  function sent(message) {
    if (message.device !== device?.name) return;
    const why = message.code ? ` · ${say("e", message.code, {}, message.detail)}` : "";
    rows.set(message.id, { key: message.id, type: "out", at: message.created, who: phone(message.to), what: kindWord(message.kind) + why, status: message.status });
    draw();
  }

  function happened({ data: json }) {
    const { id, type, timestamp, data } = JSON.parse(json);
    const from = data.from ?? {};
    const who = from.name ?? phone(from.phone ?? data.chat ?? data.to ?? device.label);
    const what = [kindOf(type), data.kind && kindWord(data.kind), data.group && t("m.group"), data.state].filter(Boolean).join(" · ");
    rows.set(id, { key: id, type, at: timestamp, who, what, text: data.text ?? data.emoji });
    while (rows.size > KEEP * 2) rows.delete(rows.keys().next().value);
    draw();
  }

  const missed = () => device && get(of(device.name, "messages")).then(({ messages }) => messages.forEach(sent), () => {});
  let tail = null;
  if (device) {
    tail = new EventSource(of(device.name, "events"));
    for (const type of TYPES) tail.addEventListener(type, happened);
    missed();
  }
  kind.addEventListener("change", draw);
  texts.addEventListener("change", draw);
  draw();
  const stop = [on("message", sent), on("missed", missed)];
  return () => {
    stop.forEach((end) => end());
    tail?.close();
  };
}

const kindWord = (kind) => (has(`k.${kind}`) ? t(`k.${kind}`) : kind);
