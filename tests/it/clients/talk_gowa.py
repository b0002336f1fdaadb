"""The PyPI package gowa, which was written for go-whatsapp-web-multidevice: sends and asks, or reads an event.

talk_gowa.py talk URL KEY PHONE PICTURE    talk_gowa.py read < EVENT
"""

import asyncio
import json
import sys

import gowa_sdk
from gowa_sdk.models import (
    SendChatPresenceRequest,
    SendContactRequest,
    SendFileRequest,
    SendImageRequest,
    SendLocationRequest,
    SendMessageRequest,
    SendPollRequest,
)
from gowa_sdk.webhooks import WebhookMessagePayload, parse_webhook


async def talk(url, key, phone, picture):
    with open(picture, "rb") as file:
        picture = file.read()
    async with gowa_sdk.GoWaClient(url, "anybody", key, device_id="toko") as client:
        status = await client.get_status()
        groups = await client.get_user_groups()
        check = await client.check_user(phone)
        sent = {
            "text": await client.send_message(SendMessageRequest(phone=phone, message="from gowa")),
            "image": await client.send_image(SendImageRequest(phone=phone, caption="a picture"), picture),
            "file": await client.send_file(SendFileRequest(phone=phone), b"nota", filename="nota.txt"),
            "contact": await client.send_contact(
                SendContactRequest(phone=phone, contact_name="Cid", contact_phone="628111222333")
            ),
            "location": await client.send_location(SendLocationRequest(phone=phone, latitude=-6.2, longitude=106.8)),
            "poll": await client.send_poll(
                SendPollRequest(phone=phone, question="When?", options=["now", "later"], max_answer=1)
            ),
        }
        await client.send_chat_presence(SendChatPresenceRequest(phone=phone, action="start"))
        first = sent["text"].results.message_id
        await client.react_to_message(first, phone, "👍")
        await client.update_message(first, phone, "from gowa, corrected")
    return {
        "connected": status.results["is_connected"],
        "groups": [group.name for group in groups.results.data],
        "on_whatsapp": check.results["is_on_whatsapp"],
        "sent": {kind: answer.results.message_id for kind, answer in sent.items()},
    }


def read():
    event = parse_webhook(sys.stdin.buffer.read())
    message = event.parse_payload(WebhookMessagePayload)
    return {"event": event.event, "device": event.device_id, "from": message.from_, "text": message.text}


print(json.dumps(read() if sys.argv[1] == "read" else asyncio.run(talk(*sys.argv[2:]))))
