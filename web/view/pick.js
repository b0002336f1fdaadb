// The choice of a device, for the views that show one at a time; the address names it, so a link leads back to it.
import { input } from "../dom.js";
import { t } from "../i18n.js";
import { state } from "../state.js";

/** The device that the address names, else the first good one. */
export function chosen(name, good = ({ status }) => status === "CONNECTED") {
	const all = [...state.devices.values()];
	return state.devices.get(name) ?? all.find(good) ?? all[0];
}

/** The choice; `every` is offered as well when given. */
export function pick(view, name = "", every) {
	const names = [...state.devices.values()].map(({ name, label }) => [name, label || name]);
	const go = ({ target }) => (location.hash = `#/${view}/${target.value}`);
	const choices = every ? [["", every], ...names] : names;
	return input(t("nav.devices"), null, choices, { value: name, change: go });
}
