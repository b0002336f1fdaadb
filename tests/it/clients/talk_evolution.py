"""The PyPI package evolutionapi, which was written for Evolution API v2: sends and asks, or reads an event.

talk_evolution.py talk URL KEY PHONE PICTURE    talk_evolution.py read < EVENT
"""

import json
import sys

from evolutionapi.client import EvolutionClient
from evolutionapi.models.chat import Presence
from evolutionapi.models.message import (
    Contact,
    ContactMessage,
    LocationMessage,
    MediaMessage,
    PollMessage,
    ReactionMessage,
    TextMessage,
)


def talk(url, key, phone, picture):
    client = EvolutionClient(url, key)
    messages, device = client.messages, ("toko",)
    image = MediaMessage(number=phone, mediatype="image", mimetype="image/png", caption="a picture", fileName="shirt.png")
    sent = {
        "text": messages.send_text(*device, TextMessage(number=phone, text="from evolutionapi"), key),
        "image": messages.send_media(*device, image, key, picture),
        "sticker": messages.send_sticker(*device, {"number": phone}, key, picture),
        "location": messages.send_location(
            *device, LocationMessage(number=phone, name="Toko", address="Jl. Satu", latitude=-6.2, longitude=106.8), key
        ),
        "contact": messages.send_contact(
            *device,
            ContactMessage(phone, [Contact(fullName="Cid", wuid="628111222333", phoneNumber="+62 811 1222 333")]),
            key,
        ),
        "poll": messages.send_poll(
            *device, PollMessage(number=phone, name="When?", selectableCount=1, values=["now", "later"]), key
        ),
    }
    sent["reaction"] = messages.send_reaction(*device, ReactionMessage(sent["text"]["key"], "👍"), key)
    typing = client.chat.send_presence(*device, Presence(number=phone, delay=1, presence="composing"), key)
    return {
        "state": client.instance_operations.get_connection_state(*device, key)["instance"]["state"],
        "instances": [instance["name"] for instance in client.instances.fetch_instances()],
        "typing": typing,
        "sent": {kind: answer["key"]["id"] for kind, answer in sent.items()},
    }


def read():
    client = EvolutionClient("http://127.0.0.1:1", "none")
    event = json.loads(sys.stdin.buffer.read())
    message = client.convert_message(event)
    return {
        "event": event["event"],
        "from": message.key["remoteJid"],
        "name": message.pushName,
        "text": client.get_message_content(event["data"]),
    }


print(json.dumps(read() if sys.argv[1] == "read" else talk(*sys.argv[2:])))
