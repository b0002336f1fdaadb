// The sandbox's page: it asks for the state once a second and shows it; every button is one POST.

const $ = (id) => document.getElementById(id);
const written = [];

async function call(path, body) {
  $("error").textContent = "";
  const reply = await fetch(path, { method: "POST", body: JSON.stringify(body ?? {}) });
  const answer = await reply.json();
  if (!reply.ok) { $("error").textContent = answer.error; throw new Error(answer.error); }
  return answer;
}

function line(list, key, className, text) {
  let item = [...list.children].find((child) => child.dataset.key === key);
  if (!item) {
    item = document.createElement("li");
    item.dataset.key = key;
    list.append(item);
    list.scrollTop = list.scrollHeight;
  }
  item.className = className;
  item.textContent = text;
}

function show(state) {
  const device = state.device;
  $("shop-number").textContent = "+" + state.shop.number;
  $("customer-number").textContent = "+" + state.customer.number;
  $("link-state").textContent = "moonwa says: " + device.status + " (" + device.state + ")"
    + (state.has_qr ? ". A QR code is on the admin page." : "");
  $("scan").disabled = device.status === "CONNECTED";
  $("unlink").disabled = state.linked === 0;
  $("curl").textContent = state.curl;
  for (const text of state.customer.texts) {
    line($("chat"), text.id, text.from_me ? "mine" : "", text.text);
    if (!text.from_me && !written.includes(text.id)) {
      written.push(text.id);
      call("/read", { id: text.id }).catch(() => {});
    }
  }
  $("no-posts").hidden = state.posts.length > 0;
  for (const post of [...state.posts].reverse()) {
    if ([...$("posts").children].some((child) => child.dataset.key === post.id)) continue;
    const item = document.createElement("li");
    item.dataset.key = post.id;
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `${post.body.type}  ·  ${post.body.data?.text ?? ""}`;
    const body = document.createElement("pre");
    body.textContent = JSON.stringify(post.body, null, 2);
    details.append(summary, body);
    details.open = true;
    item.append(details);
    for (const other of $("posts").querySelectorAll("details")) other.open = false;
    $("posts").prepend(item);
  }
}

async function follow() {
  try {
    const reply = await fetch("/state");
    if (reply.ok) show(await reply.json());
  } catch {
    $("error").textContent = "The sandbox has ended.";
  }
  setTimeout(follow, 1000);
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
  await call("/write", { text }).then(() => line($("chat"), "mine-" + Date.now(), "mine", text)).catch(() => {});
});
$("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("answer").value;
  $("answer").value = "";
  await call("/reply", { text }).catch(() => {});
});
follow();
