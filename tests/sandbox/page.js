// The sandbox's page: it asks for the state twice a second and shows it; every button is one POST.

const $ = (id) => document.getElementById(id);
const read = new Set();
const LOOKS = { CONNECTED: "ok", PENDING: "", DISCONNECTED: "bad" };
const TICKS = { sent: "✓", delivered: "✓✓", read: "✓✓" };

function element(tag, className, ...inside) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...inside);
  return made;
}

async function call(path, body) {
  $("error").textContent = "";
  const reply = await fetch(path, { method: "POST", body: JSON.stringify(body ?? {}) });
  const answer = await reply.json();
  if (!reply.ok) { $("error").textContent = answer.error; throw new Error(answer.error); }
  return answer;
}

const number = (digits) => `+${digits.slice(0, 2)} ${digits.slice(2, 5)}-${digits.slice(5, 9)}-${digits.slice(9)}`.replace(/-$/, "");

function line({ id, mine, text, status }) {
  let item = document.getElementById(id);
  if (!item) {
    const bubble = element("div", "bubble", element("span", "said", text ?? "(no text)"), " ", element("span", "tick muted"));
    item = element("li", mine ? "turn mine" : "turn", bubble);
    item.id = id;
    $("chat").append(item);
  }
  const tick = item.querySelector(".tick");
  if (tick.title === (status ?? "")) return;
  tick.textContent = TICKS[status];
  tick.title = status;
  tick.className = `tick ${status === "read" ? "read" : "muted"}`;
}

function post({ id, body, answered }) {
  if (document.getElementById(id)) return;
  const summary = element("summary", "", element("strong", "", body.type), element("span", "cut", body.data?.text ?? ""), element("span", "answered hint", `answered ${answered}`));
  const details = element("details", "", summary, element("pre", "", JSON.stringify(body, null, 2)));
  for (const other of $("posts").querySelectorAll("details")) other.open = false;
  details.open = true;
  const item = element("li", "", details);
  item.id = id;
  $("posts").prepend(item);
}

function show(state) {
  const { device } = state;
  $("shop-number").textContent = number(state.shop);
  $("customer-number").textContent = number(state.customer);
  const said = `moonwa says: ${device.status}`;
  if ($("link-state").textContent !== said) $("link-state").textContent = said;
  $("link-state").className = `pill ${LOOKS[device.status] ?? "wait"}`;
  $("qr-note").hidden = !state.has_qr;
  $("scan").disabled = device.status === "CONNECTED";
  $("unlink").disabled = state.linked === 0;
  $("curl").textContent = state.curl;
  $("no-chat").hidden = state.chat.length > 0;
  $("no-posts").hidden = state.posts.length > 0;
  state.chat.forEach(line);
  state.posts.reverse().forEach(post);
  for (const { id, mine } of state.chat) {
    // The customer looks at the chat, so what is on it has been read.
    if (mine || read.has(id)) continue;
    read.add(id);
    call("/read", { id }).catch(() => read.delete(id));
  }
}

async function follow() {
  try {
    const reply = await fetch("/state");
    if (reply.ok) show(await reply.json());
  } catch {
    $("error").textContent = "The sandbox has ended. Start it again.";
  }
  setTimeout(follow, 500);
}

$("scan").addEventListener("click", async () => {
  $("scan").disabled = true;
  await call("/scan").catch(() => {});
});
$("unlink").addEventListener("click", () => call("/unlink").catch(() => {}));
$("admin").addEventListener("click", async () => {
  const { url } = await call("/login");
  window.open(url, "_blank", "noopener");
});
$("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value;
  $("text").value = "";
  await call("/write", { text }).catch(() => {});
});
$("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("answer").value;
  $("answer").value = "";
  await call("/reply", { text }).catch(() => {});
});
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("curl").textContent);
  $("copy").textContent = "Copied";
});
follow();
