// Building the page. Views say what there shall be, and `patch` turns what is there into that: an
// element that stays keeps its focus and what was typed. Text only ever enters as text.
import { ApiProblem } from "./api.js";
import { clock, number, relative, say, t } from "./i18n.js";
import ICONS from "./icons.js";

/**
 * What each element does, by the kind of event.
 * @type {WeakMap<Node, Record<string, (event: any) => any>>}
 */
const actions = new WeakMap();

/**
 * `el("p.muted", { title }, "text", child)`: tag and classes, attributes or listeners, what is inside.
 * @returns {any} the element; which kind of it is, the tag says
 */
export function el(description, ...inside) {
	const [tag, ...classes] = description.split(".");
	const element = document.createElement(tag || "div");
	if (classes.length) element.className = classes.join(" ").trim();
	for (const part of inside.flat(9)) {
		if (part?.constructor === Object) set(element, part);
		else element.append(nodeOf(part));
	}
	return element;
}

/** What is absent leaves an empty text, so that what follows keeps its place. */
function nodeOf(part) {
	if (part instanceof Node) return part;
	return new Text(part === false ? "" : number(part ?? ""));
}

function set(element, attributes) {
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") {
			actions.set(element, { ...actions.get(element), [name]: value });
		} else if (value !== false && value !== null && value !== undefined) {
			element.setAttribute(name, value);
		}
	}
}

const keyOf = (node) => node?.dataset?.key;

/**
 * Notes about what did not work. They stand beside what was pressed, and a redraw passes them over.
 * @type {WeakSet<Node>}
 */
const problems = new WeakSet();

/** That node, or the first after it that a view asked for. */
function drawn(node) {
	let place = node;
	while (place && problems.has(place)) place = place.nextSibling;
	return place ?? null;
}

/** Makes what is inside an element like what is given; `data-key` tells one of many. */
export function patch(parent, ...inside) {
	const wanted = inside.flat(9).map(nodeOf);
	const keys = new Set(wanted.map(keyOf));
	const known = new Map([...parent.children].map((child) => [keyOf(child), child]));
	for (const [key, child] of known) {
		if (key && !keys.has(key)) child.remove();
	}
	let place = drawn(parent.firstChild);
	for (const fresh of wanted) place = patchOne(parent, place, fresh, known);
	while (place) {
		const next = drawn(place.nextSibling);
		place.remove();
		place = next;
	}
}

/** Has `fresh`, or an element made like it, stand at `place`; gives the place after it. */
function patchOne(parent, place, fresh, known) {
	const key = keyOf(fresh);
	// An element with a key is not used for one without.
	const old = key ? known.get(key) : keyOf(place) ? null : place;
	const next = old === place ? drawn(place?.nextSibling) : place;
	if (old && old.nodeName === fresh.nodeName) {
		if (old !== place) parent.insertBefore(old, place);
		update(old, fresh);
	} else if (old) {
		old.replaceWith(fresh);
	} else {
		parent.insertBefore(fresh, place);
	}
	return next;
}

/** What a person or the browser sets on an element is not for a redraw to take away. */
const THEIRS = ["open", "aria-busy"];

function update(old, fresh) {
	if (old instanceof Text) {
		if (old.data !== fresh.data) old.data = fresh.data;
		return;
	}
	const does = actions.get(fresh);
	if (does) actions.set(old, does);
	else actions.delete(old);
	for (const name of old.getAttributeNames()) {
		if (!fresh.hasAttribute(name) && !THEIRS.includes(name)) old.removeAttribute(name);
	}
	for (const name of fresh.getAttributeNames()) {
		const value = fresh.getAttribute(name);
		if (value !== old.getAttribute(name)) old.setAttribute(name, value);
	}
	patch(old, ...fresh.childNodes);
}

// One listener for each kind: what an element does is looked up when it happens.
const KINDS = "click submit input change keydown toggle error scroll contextmenu".split(" ");
for (const kind of KINDS) {
	document.addEventListener(kind, (event) => dispatch(kind, event), true);
}

function dispatch(kind, event) {
	let element = event.target;
	while (element && !actions.get(element)?.[kind]) {
		element = event.bubbles ? element.parentNode : null;
	}
	if (!element) return;
	const action = actions.get(element)[kind];
	if (kind === "click" || kind === "submit") press(element, action, event);
	else action(event);
}

/** What a button does; while it does it the button is busy, and a failure is told beside it. */
async function press(element, action, event) {
	event.preventDefault();
	if (element.ariaBusy) return;
	element.ariaBusy = "true";
	forgive(element);
	try {
		await action(event);
	} catch (error) {
		// Of a login that has ended the login dialog tells.
		if (error.status !== 401) complain(element, explain(error));
	} finally {
		element.ariaBusy = null;
	}
}

/** The note about each thing that did not work. */
const complaints = new WeakMap();

/** Says what did not work, beside the button that was pressed or the field that is wrong. */
export function complain(element, text) {
	forgive(element);
	const note = el("p.note.bad", { role: "alert" }, text);
	problems.add(note);
	complaints.set(element, note);
	if (element instanceof HTMLFormElement) element.append(note);
	else (element.closest("label, .row, .head, .acts") ?? element).after(note);
	note.scrollIntoView({ block: "nearest" });
}

/** Takes back what was said about it. */
export function forgive(element) {
	complaints.get(element)?.remove();
}

/** Words for an error. */
export function explain(error) {
	if (!(error instanceof ApiProblem)) throw error;
	const { errors = [], retry_after: n, detail } = error.body;
	const other = t("error.other", { detail: detail ?? error.code });
	const text = say("error", error.code, { n, host: location.host, detail }, other);
	const [first] = errors;
	return first ? `${text} (${first.path}: ${first.msg})` : text;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} name one of icons.js
 * @param {string} [look] a further class
 */
export function icon(name, look = "") {
	const svg = document.createElementNS(SVG, "svg");
	set(svg, { class: `i ${look}`.trim(), viewBox: "0 0 24 24", "aria-hidden": "true" });
	const path = document.createElementNS(SVG, "path");
	set(path, { d: ICONS[name] });
	svg.append(path);
	return svg;
}

export const logo = (size) => el("img", { src: "icon.svg", alt: "", width: size, height: size });
export const h1 = (...inside) => el("h1", { tabindex: -1 }, inside);
export const code = (...inside) => el("code", inside);
export const muted = (...inside) => el("span.muted", inside);
export const pre = (text) => el("pre", { tabindex: 0 }, code(text));

/** A button; `look` is its classes, `sign` its icon or `""`. */
export const button = (look, sign, words, click) =>
	el(`button${look}`, { type: "button", click }, sign && icon(sign), words);

/** A button with an icon alone. */
export const tool = (sign, label, click) =>
	el("button.quiet.icon", { type: "button", click, "aria-label": label, title: label }, icon(sign));

export const details = (summary, ...inside) => el("details", el("summary", summary), inside);

export const lines = (items) =>
	el(
		"ul.lines",
		items.map((item) => el("li", item)),
	);

export const steps = (...all) =>
	el(
		"ol.steps",
		all.map((one) => el("li", el("span", one))),
	);

/** Names and what they name; a pair without a name is left out. */
export function facts(...pairs) {
	const named = pairs.filter(([name]) => name);
	return el(
		"dl.facts",
		named.map(([name, ...value]) => el("div", el("dt", name), el("dd.num", value))),
	);
}

/** What stands where nothing is yet, and what to do about it. */
export const empty = (sign, title, body) =>
	el(".empty", icon(sign), el("h2", title), el("p", body));

/**
 * A field with its label, and help below.
 * @param {string} label
 * @param {string | null} name
 * @param {string | string[][]} kind an input's type, `long` for a text of several lines, or the choices of a list
 * @param {Record<string, any>} [options] attributes and listeners, `value`, and `hint`
 */
export function input(label, name, kind, { hint, value, ...more } = {}) {
	const attributes = { name, autocomplete: "off", spellcheck: "false", ...more };
	if (kind === "checkbox") {
		const box = el("input", { type: kind, checked: value === true, ...attributes });
		return el("label.check", box, el("span", label));
	}
	return [
		el("label", el("span", label), control(kind, value, attributes)),
		hint && el("p.hint", hint),
	];
}

function control(kind, value, attributes) {
	if (kind === "long") return el("textarea", attributes, value);
	if (typeof kind === "string") return el("input", { type: kind, value, ...attributes });
	const option = ([key, text]) => el("option", { value: key, selected: key === value }, text);
	return el("select", attributes, kind.map(option));
}

/** A time that keeps itself true. */
export const ago = (iso) =>
	iso && el("time.num", { datetime: iso, title: clock(iso) }, relative(iso));

setInterval(() => {
	for (const time of document.querySelectorAll("time")) patch(time, relative(time.dateTime));
}, 1000);
