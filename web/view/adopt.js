// Add Device, from another gateway: its files are looked at, a session is picked, and goes on here without a QR code.
import { call, pathOf, upload } from "../api.js";
import {
	code,
	complain,
	details,
	el,
	explain,
	forgive,
	input,
	lines,
	muted,
	steps,
} from "../dom.js";
import { clock, phone, t } from "../i18n.js";
import { drawer, redrawDrawer, tell } from "../overlay.js";
import { put } from "../state.js";
import { linesToPaste, nameFrom } from "./settings.js";

export default () => {
	const form = {
		/** The server's answer about the files. */
		found: null,
		looking: false,
		/** The device's name, once it was asked for. */
		name: null,
		/** What a person has to write into moonwa.toml first. */
		toml: null,
		/** What to know of the device that goes on here now. */
		notes: null,
		element: null,
	};
	const nothing = () => {};
	const dialog = drawer(
		t("adopt.open"),
		() => draw(form),
		nothing,
		() => true,
	);
	form.element = dialog.querySelector("form");
	form.element.elements.files.focus();
};

function draw(form) {
	const { found, looking, toml, notes } = form;
	if (notes) {
		const list = lines(notes.map((note) => `${note}.`));
		const go = el("button.primary", t("adopt.go"));
		return el(
			"form.stack",
			{ submit: () => leave(form) },
			el("h3", t("adopt.notes")),
			list,
			el(".save", go),
		);
	}
	const wanted = { multiple: true, hint: t("adopt.files_why"), change: () => look(form) };
	return el(
		"form.stack",
		{ novalidate: true, submit: () => take(form) },
		el("p", t("adopt.why")),
		steps(t("adopt.stop"), t("adopt.choose")),
		input(t("adopt.files"), "files", "file", wanted),
		looking && el("p.muted", { role: "status" }, el("span.spin"), " ", t("adopt.looking")),
		found && sessionsFound(found),
		toml && linesToPaste(toml),
		found?.sessions.some(isFree) && el(".save", el("button.primary", t("adopt.take"))),
	);
}

const isFree = ({ device, problem }) => !device && !problem;

function sessionsFound({ sessions, stop }) {
	const first = sessions.find(isFree);
	return [
		details(t("adopt.how_stop"), lines(stop.map((line) => code(line)))),
		el(
			"fieldset.stack",
			el("legend", t("adopt.sessions")),
			sessions.map((session) => choice(session, session === first)),
		),
		first && input("Session Name", "label", "text", { value: first.push_name }),
	];
}

function choice(session, checked) {
	const { name, number, push_name, linked_at, device, problem, notes, webhooks } = session;
	const when = linked_at && clock(linked_at, { dateStyle: "medium" });
	const about = [
		push_name,
		when && t("adopt.linked", { when }),
		webhooks.length > 0 && t("adopt.hooks", { n: webhooks.length }),
		device && t("adopt.known", { device }),
		problem,
		...notes,
	];
	const disabled = !isFree(session);
	return el(
		"label.check",
		{ "data-key": name },
		el("input", { type: "radio", name: "session", value: name, checked, disabled }),
		el(
			"span",
			el("strong", number ? phone(number) : name),
			el("br"),
			muted(about.filter(Boolean).join(" · ")),
		),
	);
}

/** What is sent: the chosen files, each by its name. */
function filesOf({ element }) {
	const body = new FormData();
	for (const file of element.elements.files.files) body.append("file", file);
	return body;
}

/** Asks what is in the files. */
async function look(form) {
	const field = form.element.elements.files;
	forgive(field);
	Object.assign(form, { found: null, name: null, toml: null, looking: true });
	redrawDrawer();
	try {
		form.found = await send("v1/foreign", form);
	} catch (error) {
		if (error.status !== 401) complain(field, explain(error));
	}
	form.looking = false;
	redrawDrawer();
}

const send = (path, form) => upload(path, filesOf(form), {}, () => {});

async function take(form) {
	const { label, session } = form.element.elements;
	const called = label.value.trim();
	if (!called) return complain(label, t("settings.name_first"));
	form.name ??= nameFrom(called);
	const { name } = form;
	let answer;
	try {
		answer = await send(pathOf(name, `adopt?session=${encodeURIComponent(session.value)}`), form);
	} catch (error) {
		if (error.code !== "config_read_only") form.name = null;
		else form.toml = error.body.toml;
		redrawDrawer();
		throw error;
	}
	// Where moonwa may not write, the person has written the label too, or wants none.
	if (called !== name && !form.toml)
		put(await call("PUT", pathOf(name), { body: { label: called } }));
	tell(t("adopt.done", { device: called }));
	if (!answer.notes.length) return leave(form);
	form.notes = answer.notes;
	redrawDrawer();
}

function leave({ element, name }) {
	element.closest("dialog").close();
	location.hash = `#/devices/${name}`;
}
