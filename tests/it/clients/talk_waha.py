"""The PyPI package waha, whose answers have types, and waha-py, which is made of WAHA's own OpenAPI description. Both have
the same name, so the second one lies in a folder of its own.

talk_waha.py talk URL KEY CHAT PICTURE    talk_waha.py generated FOLDER URL KEY CHAT PICTURE
talk_waha.py hear < EVENT                 talk_waha.py read FOLDER < EVENT
"""

import base64
import json
import sys


def talk(url, key, chat, picture):
    import waha
    from waha.types import Base64File

    with open(picture, "rb") as file:
        data = base64.b64encode(file.read()).decode()
    client = waha.WahaClient(base_url=url, api_key=key)
    text = client.messages.send_text(chat_id=chat, text="from waha", session="toko")
    image = client.messages.send_image(
        chat_id=chat, file=Base64File(mimetype="image/png", filename="a.png", data=data), session="toko", caption="a picture"
    )
    return {
        "session": client.sessions.get("toko").status,
        "me": client.sessions.get_me("toko").pushName,
        "sessions": [session.name for session in client.sessions.list()],
        "on_whatsapp": client.contacts.check_exists(phone=chat.split("@")[0], session="toko").numberExists,
        "sent": {"text": text.id if hasattr(text, "id") else text["id"], "image": image["id"]},
    }


def hear():
    import waha

    message = waha.WAMessage.model_validate(json.load(sys.stdin)["payload"])
    return {"id": message.id, "body": message.body, "mine": message.fromMe, "file": message.hasMedia}


def generated(url, key, chat, picture):
    import waha

    with open(picture, "rb") as file:
        data = base64.b64encode(file.read()).decode()

    client = waha.WahaClient(base_url=url, api_key=key)
    to = {"session": "toko", "chatId": chat}
    text = client.chatting.send_text({**to, "text": "from waha-py"})
    poll = {"name": "When?", "options": ["now", "later"], "multipleAnswers": False}
    client.chatting.start_typing(to)
    client.chatting.stop_typing(to)
    reaction = client.chatting.set_reaction({"session": "toko", "messageId": text["id"], "reaction": "👍"})
    file = {"mimetype": "image/png", "filename": "a.png", "data": data}
    return {
        "session": client.sessions.get("toko")["status"],
        "groups": [group["subject"] for group in client.groups.get_groups("toko")],
        "sent": {
            "text": text["id"],
            "image": client.chatting.send_image({**to, "file": file, "caption": "a picture"})["id"],
            "reaction": reaction["id"],
            "poll": client.chatting.send_poll({**to, "poll": poll})["id"],
            "location": client.chatting.send_location({**to, "latitude": -6.2, "longitude": 106.8, "title": "Shop"})["id"],
        },
    }


def read():
    from waha.generated.models import Engine, MeInfo, WAMedia

    event = json.load(sys.stdin)
    payload = event["payload"]
    return {
        "event": event["event"],
        "engine": Engine(event["engine"]).value,
        "me": MeInfo.model_validate(event["me"]).id,
        "from": payload["from"],
        "text": payload["body"],
        "media": payload["media"] and WAMedia.model_validate(payload["media"]).mimetype,
    }


what, rest = sys.argv[1], sys.argv[2:]
if what in ("talk", "hear"):
    answer = talk(*rest) if what == "talk" else hear()
else:
    sys.path.insert(0, rest[0])
    answer = generated(*rest[1:]) if what == "generated" else read()
print(json.dumps(answer))
