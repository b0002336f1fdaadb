// Building the page. Views say what there shall be, and `patch` turns what is there into that: an
// element that stays keeps its focus and what was typed. Text only ever enters as text.
import { ApiProblem } from "./api.js";
import { clock, number, relative, say, t } from "./i18n.js";
import ICONS from "./icons.js";

/** `el("p.muted", { title }, "text", child)`: classes, attributes or listeners, what is inside. */
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
		else if (![false, null, undefined].includes(value)) element.setAttribute(name, value);
	}
}

/** Makes what is inside an element like what is given; `data-key` tells one of many. */
export function patch(parent, ...inside) {
	const wanted = inside.flat(9).map(node);
	const key = (child) => child?.dataset?.key;
	const keys = wanted.map(key);
	const known = new Map([...parent.children].map((child) => [key(child), child]));
	for (const [name, child] of known) if (name && !keys.includes(name)) child.remove();
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
	for (const name of [...old.getAttributeNames(), ...fresh.getAttributeNames()]) {
		const value = fresh.getAttribute(name);
		if (value === null) THEIRS.includes(name) || old.removeAttribute(name);
		else if (value !== old.getAttribute(name)) old.setAttribute(name, value);
	}
	patch(old, ...fresh.childNodes);
}

// One listener for each kind: what an element does is looked up when it happens.
for (const kind of ["click", "submit", "input", "change", "toggle", "error"]) {
	document.addEventListener(kind, (event) => {
		let at = event.target;
		while (at && !at.acts?.[kind]) at = event.bubbles ? at.parentNode : null;
		if (!at) return;
		if (kind === "click" || kind === "submit") press(at, event);
		else at.acts[kind](event);
	}, true);
}

/** What a button does; while it does it the button is busy, and a failure is told. */
async function press(element, event) {
	event.preventDefault();
	if (element.ariaBusy) return;
	element.ariaBusy = "true";
	try {
		await element.acts[event.type](event);
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
export const empty = (sign, title, body) =>
	el(".empty", icon(sign), el("h2", title), el("p", body));

/** A field with its label, and help below: an input of a type, `long`, or a list of choices. */
export function input(label, name, kind, { hint, value, ...more } = {}) {
	more = { name, autocomplete: "off", spellcheck: "false", ...more };
	if (kind === "checkbox") {
		const box = el("input", { type: kind, checked: value === true, ...more });
		return el("label.check", box, el("span", label));
	}
	const option = ([key, text]) => el("option", { value: key, selected: key === value }, text);
	const control = kind === "long" ? el("textarea", more, value)
		: kind.map ? el("select", more, kind.map(option)) : el("input", { type: kind, value, ...more });
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
export const ago = (iso) =>
	iso && el("time.num", { datetime: iso, title: clock(iso) }, relative(iso));

setInterval(() => {
	for (const time of document.querySelectorAll("time")) patch(time, relative(time.dateTime));
}, 1000);

/** Shows a dialog, which is gone once closed. */
function modal(dialog, closed) {
	dialog.onclose = () => {
		document.body.append(toast);
		dialog.remove();
		closed(dialog.returnValue);
	};
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
	const close = tool("x", t("close"), () => dialog.close());
	const head = el(".head", el("h2", title), close);
	const dialog = el("dialog.drawer", { "aria-label": title }, head, body);
	dialog.draw = () => patch(body, draw());
	dialog.onmousedown = ({ x }) => x < dialog.offsetLeft && dialog.close();
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
