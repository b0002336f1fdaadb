// The first hour: what there is to do, in order; each step ticks itself.
import { button, el, icon } from "../dom.js";
import { t } from "../i18n.js";
import { state } from "../state.js";

/** The steps, as far as they are done. */
function stepsOf(device) {
	const at = device && `#/devices/${device.name}`;
	return [
		{ key: "add", done: Boolean(device), go: null },
		{ key: "scan", done: Boolean(device?.phone), go: at },
		{ key: "test", done: Boolean(device?.last_out), go: device && `#/send/${device.name}` },
		{ key: "hook", done: device?.webhooks.length > 0, go: null },
	];
}

/** The steps, while there is one device at most and something is still to do. */
export default function firstRun(openSettings) {
	if (!state.ready || state.devices.size > 1) return null;
	const [device] = state.devices.values();
	const steps = stepsOf(device);
	const next = steps.find(({ done }) => !done);
	if (!next) return null;
	const act = ({ key, go }) => {
		if (go) return el("a.btn.primary.small", { href: go }, t(`first.${key}_do`));
		const open = () => openSettings(device?.name ?? null);
		return button(".primary.small", "", key === "add" ? "Add Device" : t("settings"), open);
	};
	const line = (step) =>
		el(
			`li${step.done ? ".done" : ""}`,
			{ "aria-current": step === next && "step" },
			el("span.mark", step.done && icon("tick")),
			el(".grow", el("strong", t(`first.${step.key}`)), el("p.muted", t(`first.${step.key}_why`))),
			step === next && act(step),
		);
	return el(
		"section.card.stack.first",
		el("div", el("h2", t("devices.none")), el("p.muted", t("first.why"))),
		el("ol", steps.map(line)),
	);
}
