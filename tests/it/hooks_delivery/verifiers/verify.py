"""What receivers written in Python do. Reads claims, one JSON object a line; prints `accepted` or `refused` for each."""

import hashlib
import hmac
import json
import sys
import time

from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def standard(claim):
    secret = claim["secret"]
    webhook = Webhook(secret if secret.startswith("whsec_") else secret.encode())
    try:
        return webhook.verify(claim["body"].encode(), claim["headers"]) == json.loads(claim["body"])
    except WebhookVerificationError:
        return False


def waha(claim):
    headers = claim["headers"]
    wanted = hmac.new(claim["secret"].encode(), claim["body"].encode(), hashlib.sha512).hexdigest()
    return (
        headers["x-webhook-hmac-algorithm"] == "sha512"
        and hmac.compare_digest(wanted, headers["x-webhook-hmac"])
        and abs(time.time() * 1000 - int(headers["x-webhook-timestamp"])) < 300_000
        and headers["x-webhook-request-id"] == headers["webhook-id"]
    )


def gowa(claim):
    wanted = hmac.new(claim["secret"].encode(), claim["body"].encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest("sha256=" + wanted, claim["headers"]["x-hub-signature-256"])


for line in sys.stdin:
    claim = json.loads(line)
    verify = {"standard": standard, "waha": waha, "gowa": gowa}[claim["scheme"]]
    print("accepted" if verify(claim) else "refused")
