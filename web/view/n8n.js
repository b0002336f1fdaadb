// A workflow for n8n, ready to paste.
import { copy } from "../overlay.js";

/** Copies it with this device and this gateway in it. */
export async function copyWorkflow(device) {
	const file = await fetch("n8n.json");
	const gateway = new URL(".", location.href).href.replace(/\/$/, "");
	const workflow = await file.text();
	await copy(workflow.replaceAll("DEVICE", device).replaceAll("MOONWA", gateway));
}
