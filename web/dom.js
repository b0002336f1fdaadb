// Building and filling the page from the templates of index.html. Text only ever enters as text.
import { clock, language, relative, say as word, t } from "./i18n.js";
import { ApiProblem } from "./api.js";

/** @param {string} id @returns {HTMLElement} a copy of a template's element, in the reader's language */
export function clone(id) {
  const from = /** @type {HTMLTemplateElement} */ (document.getElementById(`t-${id}`));
  const element = from.content.firstElementChild.cloneNode(true);
  dress(element);
  return /** @type {HTMLElement} */ (element);
}

/** @param {ParentNode} root puts the words and icons in that its `data-t…` and `data-i` attributes name */
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

/** @param {string} name @returns {SVGElement} */
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

/** @param {string} tag @param {string} look @param {...(Node|string)} inside @returns {HTMLElement} */
export function el(tag, look, ...inside) {
  const element = document.createElement(tag);
  if (look) element.className = look;
  element.append(...inside);
  return element;
}

/** @param {ParentNode} root @param {string} name @returns {any} the element marked `data-f="name"` */
export const field = (root, name) => root.querySelector(`[data-f="${name}"]`);

/**
 * Fills the fields of a copy: text and nodes are shown, `true` shows, anything missing hides.
 * @template {ParentNode} T
 * @param {T} root @param {Record<string, string|number|boolean|Node|null|undefined>} values
 * @returns {T}
 */
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

/**
 * What a button does; while it does it the button is busy, and a failure is told.
 * @param {ParentNode} root @param {string} name @param {(event: Event) => any} action
 */
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

/** @param {unknown} error @returns {string} words for it */
export function explain(error) {
  if (!(error instanceof ApiProblem)) throw error;
  const first = error.errors[0];
  return word("e", error.code, { n: error.retryAfter }) + (first ? ` (${first.path}: ${first.msg})` : "");
}

let hush = 0;
const toast = document.getElementById("say");

/** @param {string} text said once, to eyes and to screen readers @param {boolean} [bad] */
export function tell(text, bad = false) {
  toast.className = bad ? "bad" : "";
  stage().append(toast);
  toast.replaceChildren(icon(bad ? "alert" : "ok"), text);
  clearTimeout(hush);
  hush = setTimeout(() => toast.replaceChildren(), bad ? 9000 : 5000);
}

/** @param {string} text for screen readers alone: who sees the page sees the change itself */
export const hear = (text) => (document.getElementById("hear").textContent = text);

/** What lies outside an open dialog is neither seen nor heard. */
const stage = () => [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;

/** @param {?string} iso @returns {?HTMLElement} a time that keeps itself true */
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

/**
 * Keeps a list's elements in step with its items; an element that stays is only updated.
 * @template T
 * @param {Element} parent @param {T[]} items @param {(item: T) => string} key
 * @param {(item: T) => Element} make @param {(element: any, item: T) => void} [update]
 */
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

/** @param {HTMLElement} dialog @param {(answer: string) => void} closed @returns {HTMLDialogElement} shown, and gone once closed */
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

/**
 * @param {{title: string, body: string, yes: string, danger?: boolean, extra?: Node}} question
 * @returns {Promise<boolean>} whether the person said yes
 */
export function ask({ title, body, yes, danger = false, extra = null }) {
  const root = fill(clone("ask"), { title, body, yes, extra });
  field(root, "yes").className = danger ? "danger solid" : "primary";
  return new Promise((done) => {
    modal(root, (answer) => done(answer === "yes"));
    field(root, "no").focus();
  });
}

/** @param {string} title @param {Node} body @param {() => void} closed @returns {HTMLDialogElement} a form that slides in */
export function drawer(title, body, closed) {
  const root = fill(clone("drawer"), { title, body });
  press(root, "close", () => root.close());
  root.addEventListener("click", (event) => event.target === root && root.close());
  return modal(root, closed);
}

/** @param {string} text @returns {Promise<void>} */
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
