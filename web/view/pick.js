// The choice of a device, for the views that show one at a time; the address names it, so a link leads back to it.
import { clone } from "../dom.js";
import { state } from "../state.js";

/** The chosen device and the choice; `best` is shown when none is named. */
export function pick(view, wanted, best = ({ status }) => status === "CONNECTED") {
  const all = [...state.devices.values()];
  const device = state.devices.get(wanted ?? "") ?? all.find(best) ?? all[0];
  if (!device) return { device, root: null };
  const root = clone("pick");
  const select = root.querySelector("select");
  select.append(...all.map(({ name, label }) => new Option(label || name, name, false, name === device.name)));
  select.addEventListener("change", () => (location.hash = `#/${view}/${select.value}`));
  return { device, root };
}
