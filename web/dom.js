// Building the page. Views say what there shall be, and `patch` changes what is there into that: an element that stays
// keeps its focus, what was typed into it, and whether it is open. Text only ever enters as text.
import { ApiProblem } from "./api.js";
import { clock, number, relative, say, t } from "./i18n.js";
import ICONS from "./icons.js";

/** `el("p.muted", { title }, "text", child)`: a tag with classes, attributes, listeners, and what is inside. */
export function el(tag, ...inside) {
	const [name, ...looks] = tag.split(".");
	const element = document.createElement(name || "div");
	if (looks.length) element.className = looks.join(" ").trim();
	for (const part of inside.flat(9)) {
		if (part?.constructor === Object) set(element, part);
		else element.append(node(part));
	}
	return element;
}

// What is absent leaves an empty text, so that what follows keeps its place.
const node = (part) =>
	part instanceof Node ? part : new Text(part === false ? "" : number(part ?? ""));

function set(element, attributes) {
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") element.acts = { ...element.acts, [name]: value };
		else if (![false, null, undefined].includes(value)) {
			element.setAttribute(name, value === true ? "" : value);
		}
	}
}

/** Makes what is inside an element like what is given. `data-key` tells one of many from the others. */
export function patch(parent, ...inside) {
	const wanted = inside.flat(9).map(node);
	const key = (child) => child?.dataset?.key;
	const keys = new Set(wanted.map(key));
	for (const child of [...parent.children]) if (!keys.has(key(child))) child.remove();
	const known = new Map([...parent.children].map((child) => [key(child), child]));
	let place = parent.firstChild;
	for (const fresh of wanted) {
		const old = key(fresh) ? known.get(key(fresh)) : key(place) ? null : place;
		const next = old === place ? place?.nextSibling : place;
		if (old?.nodeName === fresh.nodeName) {
			if (old !== place) parent.insertBefore(old, place);
			update(old, fresh);
		} else if (old) old.replaceWith(fresh);
		else parent.insertBefore(fresh, place);
		place = next ?? null;
	}
	while (place) {
		const gone = place;
		place = gone.nextSibling;
		gone.remove();
	}
}

// What a person or the browser sets on an element is not for a redraw to take away.
const THEIRS = ["open", "aria-busy"];

function update(old, fresh) {
	if (old instanceof Text) {
		if (old.data !== fresh.data) old.data = fresh.data;
		return;
	}
	old.acts = fresh.acts;
	for (const { name } of [...old.attributes]) {
		if (!fresh.hasAttribute(name) && !THEIRS.includes(name)) old.removeAttribute(name);
	}
	for (const { name, value } of fresh.attributes) {
		if (old.getAttribute(name) !== value) old.setAttribute(name, value);
	}
	patch(old, ...fresh.childNodes);
}

for (const kind of ["click", "submit", "input", "change", "toggle", "error"]) {
	const heard = (event) => {
		let at = event.target;
		while (at && !at.acts?.[kind]) at = event.bubbles ? at.parentNode : null;
		if (at) (kind === "click" || kind === "submit" ? press : take)(at, event);
	};
	document.addEventListener(kind, heard, true);
}

const take = (element, event) => element.acts[event.type](event);

/** What a button does; while it does it the button is busy, and a failure is told. */
async function press(element, event) {
	event.preventDefault();
	if (element.ariaBusy) return;
	element.ariaBusy = "true";
	try {
		await take(element, event);
	} catch (error) {
		tell(explain(error), true);
	} finally {
		element.ariaBusy = null;
	}
}

/** Words for an error. */
export function explain(error) {
	if (!(error instanceof ApiProblem)) throw error;
	const { errors: [first] = [], retry_after: n, detail } = error.body;
	const text = say("e", error.code, { n }, t("e.other", { detail: detail ?? error.code }));
	return first ? `${text} (${first.path}: ${first.msg})` : text;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name, look = "") {
	const svg = document.createElementNS(SVG, "svg");
	set(svg, { class: `i ${look}`.trim(), viewBox: "0 0 24 24", "aria-hidden": "true" });
	set(svg.appendChild(document.createElementNS(SVG, "path")), { d: ICONS[name] });
	return svg;
}

export const logo = (size) => el("img", { src: "icon.svg", alt: "", width: size, height: size });
export const h1 = (...inside) => el("h1", { tabindex: -1 }, inside);
export const code = (...inside) => el("code", inside);
export const muted = (...inside) => el("span.muted", inside);
export const pre = (text) => el("pre", { tabindex: 0 }, code(text));

export const button = (look, sign, words, click) =>
	el(`button${look}`, { type: "button", click }, sign && icon(sign), words);

/** A button with a sign alone. */
export const tool = (sign, label, click) =>
	el("button.quiet.icon", { type: "button", click, "aria-label": label, title: label }, icon(sign));

export const copies = (text, look = ".quiet") => button(look, "copy", t("copy"), () => copy(text));
export const details = (summary, ...inside) => el("details", el("summary", summary), inside);
export const lines = (items, tag = "ul") => el(`${tag}.lines`, items.map((item) => el("li", item)));

export const steps = (...all) => el("ol.steps", all.map((one) => el("li", el("span", one))));

/** Names and what they name; a pair without a name is left out. */
export const facts = (...pairs) => el("dl.facts", pairs.filter(([name]) => name)
	.map(([name, ...value]) => el("div", el("dt", name), el("dd.num", value))));

/** What stands where nothing is yet, and what to do about it. */
export const empty = (sign, title, body) => el(".empty", icon(sign), el("h2", title), el("p", body));

/**
 * A field with its label: `kind` is the type of an input, `long`, or a list of choices; `more` its attributes, with what
 * it holds as `value` and a word of help as `hint`.
 */
export function input(label, name, kind, { hint, value, ...more } = {}) {
	const attributes = { name, autocomplete: "off", spellcheck: "false", ...more };
	const option = ([key, text]) => el("option", { value: key, selected: key === value }, text);
	if (kind === "checkbox") {
		const box = el("input", { type: kind, ...attributes, checked: value === true });
		return el("label.check", box, el("span", label));
	}
	const control = Array.isArray(kind) ? el("select", attributes, kind.map(option))
		: kind === "long" ? el("textarea", attributes, value)
			: el("input", { type: kind, value, ...attributes });
	return [el("label", el("span", label), control), hint && el("p.hint", hint)];
}

let hush = 0;
const toast = document.getElementById("say");

/** Says something once, to eyes and to screen readers. */
export function tell(text, bad = false) {
	toast.className = bad ? "bad" : "";
	// What lies outside an open dialog is neither seen nor heard.
	([...document.querySelectorAll("dialog[open]")].pop() ?? document.body).append(toast);
	toast.replaceChildren(icon(bad ? "alert" : "ok"), text);
	clearTimeout(hush);
	hush = setTimeout(() => toast.replaceChildren(), bad ? 9000 : 5000);
}

/** For screen readers alone: who sees the page sees the change itself. */
export const hear = (text) => (document.getElementById("hear").textContent = text);

/** A time that keeps itself true. */
export const ago = (iso) => iso
	&& el("time.num", { datetime: iso, title: clock(iso) }, relative(iso));

setInterval(() => {
	for (const time of document.querySelectorAll("time")) patch(time, relative(time.dateTime));
}, 1000);

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
export function ask(title, body, yes, look, extra) {
	const no = el("button", { value: "" }, t("cancel"));
	const dialog = el("dialog.ask", { "aria-labelledby": "asked" },
		el("form.stack", { method: "dialog" }, el("h2", { id: "asked" }, title), el("p", body), extra,
			el(".row.end", no, el(`button${look}`, { value: "yes" }, yes))));
	return new Promise((done) => {
		modal(dialog, (answer) => done(answer === "yes"));
		no.focus();
	});
}

/** A form that slides in; `draw` says what is in it. */
export function drawer(title, draw, closed) {
	const body = el("");
	const dialog = el("dialog.drawer", { "aria-label": title },
		el(".head", el("h2", title), tool("x", t("close"), () => dialog.close())), body);
	dialog.draw = () => patch(body, draw());
	dialog.addEventListener("mousedown", ({ x }) => x < dialog.offsetLeft && dialog.close());
	dialog.draw();
	return modal(dialog, closed);
}

export async function copy(text) {
	if (navigator.clipboard) await navigator.clipboard.writeText(text);
	else {
		// Plain http on a home network has no clipboard API.
		const area = el("textarea.sr", text);
		toast.before(area);
		area.select();
		document.execCommand("copy");
		area.remove();
	}
	tell(t("copied"));
}
