// What receivers written in JavaScript do. Reads claims, one JSON object a line; prints `accepted` or `refused` for
// each.

const { createHmac, timingSafeEqual } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const hex = (algorithm, claim) => createHmac(algorithm, claim.secret).update(claim.body).digest("hex");
const same = (one, two) => one.length === two.length && timingSafeEqual(Buffer.from(one), Buffer.from(two));

const schemes = {
  standard({ secret, headers, body }) {
    const webhook = new Webhook(secret, { format: secret.startsWith("whsec_") ? undefined : "raw" });
    try {
      return JSON.stringify(webhook.verify(Buffer.from(body), headers)) === JSON.stringify(JSON.parse(body));
    } catch (error) {
      if (error instanceof WebhookVerificationError) return false;
      throw error;
    }
  },
  waha(claim) {
    const { headers } = claim;
    return (
      headers["x-webhook-hmac-algorithm"] === "sha512" &&
      same(hex("sha512", claim), headers["x-webhook-hmac"]) &&
      Math.abs(Date.now() - Number(headers["x-webhook-timestamp"])) < 300_000 &&
      headers["x-webhook-request-id"] === headers["webhook-id"]
    );
  },
  gowa(claim) {
    return same(`sha256=${hex("sha256", claim)}`, claim.headers["x-hub-signature-256"]);
  },
};

for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const claim = JSON.parse(line);
  console.log(schemes[claim.scheme](claim) ? "accepted" : "refused");
}
