// Building and filling the page from the templates of index.html. Text only ever enters as text.
import { clock, language, relative, say as word, t } from "./i18n.js";
import { ApiProblem } from "./api.js";

/** A copy of a template's element, in the reader's language. */
export function clone(id) {
  const from = document.getElementById(`t-${id}`);
  const element = from.content.firstElementChild.cloneNode(true);
  dress(element);
  return element;
}

/** Puts the words and icons in that its `data-t…` and `data-i` attributes name. */
export function dress(root) {
  const each = (name, put) => root.querySelectorAll(`[data-${name}]`).forEach((el) => put(el, el.getAttribute(`data-${name}`)));
  each("t", (el, key) => (el.textContent = t(key)));
  each("t-label", (el, key) => { el.setAttribute("aria-label", t(key)); el.title = t(key); });
  each("t-ph", (el, key) => (el.placeholder = t(key)));
  each("t-alt", (el, key) => (el.alt = t(key)));
  each("i", (el, name) => {
    el.querySelector(".i")?.remove();
    el.prepend(icon(name));
  });
}

export function icon(name) {
  const make = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
  const svg = make("svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const use = make("use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function el(tag, look, ...inside) {
  const element = document.createElement(tag);
  if (look) element.className = look;
  element.append(...inside);
  return element;
}

/** The element marked `data-f="name"`. */
export const field = (root, name) => root.querySelector(`[data-f="${name}"]`);

/** Fills the fields of a copy: text and nodes are shown, `true` shows, anything missing hides. */
export function fill(root, values) {
  for (const [name, value] of Object.entries(values)) {
    const target = field(root, name);
    target.hidden = value === null || value === undefined || value === false || value === "";
    const text = typeof value === "number" ? value.toLocaleString(language()) : value;
    if (value instanceof Node) target.replaceChildren(value);
    else if (typeof text === "string" && target.textContent !== text) target.textContent = text;
  }
  return root;
}

/** What a button does; while it does it the button is busy, and a failure is told. */
export function press(root, name, action) {
  const button = field(root, name);
  button.addEventListener(button.tagName === "FORM" ? "submit" : "click", async (event) => {
    event.preventDefault();
    if (button.ariaBusy === "true") return;
    button.ariaBusy = "true";
    try {
      await action(event);
    } catch (error) {
      tell(explain(error), true);
    } finally {
      button.ariaBusy = null;
    }
  });
}

/** Words for an error. */
export function explain(error) {
  if (!(error instanceof ApiProblem)) throw error;
  const first = error.errors[0];
  return word("e", error.code, { n: error.retryAfter }) + (first ? ` (${first.path}: ${first.msg})` : "");
}

let hush = 0;
const toast = document.getElementById("say");

/** Says something once, to eyes and to screen readers. */
export function tell(text, bad = false) {
  toast.className = bad ? "bad" : "";
  stage().append(toast);
  toast.replaceChildren(icon(bad ? "alert" : "ok"), text);
  clearTimeout(hush);
  hush = setTimeout(() => toast.replaceChildren(), bad ? 9000 : 5000);
}

/** For screen readers alone: who sees the page sees the change itself. */
export const hear = (text) => (document.getElementById("hear").textContent = text);

/** What lies outside an open dialog is neither seen nor heard. */
const stage = () => [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;

/** A time that keeps itself true. */
export function ago(iso) {
  if (!iso) return null;
  const time = el("time", "num", relative(iso));
  time.setAttribute("datetime", iso);
  time.title = clock(iso);
  return time;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const text = relative(time.getAttribute("datetime"));
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);

/** Keeps a list's elements in step with its items; an element that stays is only updated. */
export function keyed(parent, items, key, make, update = () => {}) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const element = old.get(key(item)) ?? make(item);
    old.delete(key(item));
    element.dataset.key = key(item);
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of old.values()) gone.remove();
}

/** Shows a dialog, which is gone once closed. */
function modal(dialog, closed) {
  dialog.addEventListener("close", () => {
    document.body.append(toast);
    dialog.remove();
    closed(dialog.returnValue);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks, and tells whether the person said yes. */
export function ask({ title, body, yes, danger = false, extra = null }) {
  const root = fill(clone("ask"), { title, body, yes, extra });
  field(root, "yes").className = danger ? "danger solid" : "primary";
  return new Promise((done) => {
    modal(root, (answer) => done(answer === "yes"));
    field(root, "no").focus();
  });
}

/** A form that slides in. */
export function drawer(title, body, closed) {
  const root = fill(clone("drawer"), { title, body });
  press(root, "close", () => root.close());
  root.addEventListener("click", (event) => event.target === root && root.close());
  return modal(root, closed);
}

export async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else {
    // Plain http on a home network has no clipboard API.
    const area = el("textarea", "sr");
    area.value = text;
    stage().append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  tell(t("copied"));
}
