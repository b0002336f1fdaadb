// What lies over the page: what is said once, questions, the form that slides in. And the clipboard, which says
// that it was used.
import { button, el, icon, patch, tool } from "./dom.js";
import { t } from "./i18n.js";

const toast = document.getElementById("say");
const SUCCESS_SHOWS = 4000;
const WARNING_SHOWS = 9000;
let toastTimer = 0;
let toastSince = 0;

/**
 * Says something once, to eyes and to screen readers.
 * @param {string} text
 * @param {boolean} [bad]
 */
export function tell(text, bad = false) {
	toast.className = bad ? "bad" : "";
	// What lies outside an open dialog is neither seen nor heard.
	const dialog = [...document.querySelectorAll("dialog[open]")].pop();
	(dialog ?? document.body).append(toast);
	toast.replaceChildren(icon(bad ? "alert" : "ok"), text);
	clearTimeout(toastTimer);
	toastTimer = setTimeout(clearToast, bad ? WARNING_SHOWS : SUCCESS_SHOWS);
	toastSince = Date.now();
}

function clearToast() {
	toast.replaceChildren();
}

/** Takes away what was said about another view; not what was said on the way here. */
export function leaveToast() {
	if (Date.now() - toastSince > 1000) clearToast();
}

/** For screen readers alone: who sees the page sees the change itself. */
export function hear(text) {
	document.getElementById("hear").textContent = text;
}

/** Shows a dialog, which is gone once closed. */
export function showModal(dialog, closed) {
	dialog.onclose = () => {
		// The toast may have been shown in it.
		document.body.append(toast);
		dialog.remove();
		closed(dialog.returnValue);
	};
	document.body.append(dialog);
	dialog.showModal();
}

/**
 * Asks, and tells whether the person said yes.
 * @param {string} title
 * @param {string} body
 * @param {string} yes what the button says
 * @param {string} look the button's classes
 * @param {any} [extra] what else stands in the dialog
 * @returns {Promise<boolean>}
 */
export function ask(title, body, yes, look, extra) {
	const no = el("button", { value: "" }, t("cancel"));
	const answers = el(".row.end", no, el(`button${look}`, { value: "yes" }, yes));
	const form = el(
		"form.stack",
		{ method: "dialog" },
		el("h2", { id: "asked" }, title),
		el("p", body),
		extra,
		answers,
	);
	return new Promise((resolve) => {
		showModal(el("dialog.ask", { "aria-labelledby": "asked" }, form), (answer) =>
			resolve(answer === "yes"),
		);
		no.focus();
	});
}

/** How to draw the open drawer again. */
let drawDrawer = () => {};

/** Draws what lies over the page again. */
export const redrawDrawer = () => drawDrawer();

/**
 * A form that slides in.
 * @param {string} title
 * @param {() => any} draw says what is in it
 * @param {() => void} closed
 * @param {() => boolean | Promise<boolean>} mayClose asks when something would be lost
 */
export function drawer(title, draw, closed, mayClose) {
	const body = el("div");
	const tryToClose = async () => {
		if (await mayClose()) dialog.close();
	};
	const close = tool("x", t("close"), tryToClose);
	const dialog = el(
		"dialog.drawer",
		{ "aria-label": title, closedby: "none" },
		el(".head", el("h2", title), close),
		body,
	);
	dialog.onmousedown = ({ x }) => {
		if (x < dialog.offsetLeft) tryToClose();
	};
	// A browser lets a page hold back the first Escape only, so moonwa handles the key itself.
	dialog.onkeydown = (event) => {
		if (event.key !== "Escape" || event.defaultPrevented) return;
		event.preventDefault();
		tryToClose();
	};
	dialog.oncancel = (event) => event.preventDefault();
	drawDrawer = () => patch(body, draw());
	drawDrawer();
	showModal(dialog, () => {
		drawDrawer = () => {};
		closed();
	});
	return dialog;
}

export async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		copyWithoutClipboard(text);
	}
	tell(t("copied"));
}

/** Plain http on a home network has no clipboard API, and a browser may refuse it. */
function copyWithoutClipboard(text) {
	const area = el("textarea.sr", text);
	toast.before(area);
	area.select();
	document.execCommand("copy");
	area.remove();
}

export const copyButton = (text, look = ".quiet") =>
	button(look, "copy", t("copy"), () => copy(text));
