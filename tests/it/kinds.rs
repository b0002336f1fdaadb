//! Every kind of message that WhatsApp's users and businesses send, through the real protocol: what a webhook is told of
//! it, as a snapshot. `UPDATE_SNAPSHOTS=1 cargo test --test it kinds::` writes it anew.

use std::fmt::Write as _;

use anyhow::Result;
use moonwa_simulator::harness::{Moonwa, WebhookReceiver};
use moonwa_simulator::wa::message::interactive_message::{
    Body, CarouselMessage, Footer, Header, InteractiveMessage as Flow, NativeFlowMessage,
    native_flow_message::NativeFlowButton,
};
use moonwa_simulator::wa::message::{
    self, AlbumMessage, ButtonsMessage, CommentMessage, ContactMessage, EventMessage,
    ExtendedTextMessage, FutureProofMessage, GroupInviteMessage, HighlyStructuredMessage,
    ImageMessage, InteractiveMessage, InteractiveResponseMessage, InvoiceMessage, ListMessage,
    OrderMessage, PinInChatMessage, PollCreationMessage, PollResultSnapshotMessage, ProductMessage,
    RequestPaymentMessage, StickerPackMessage, TemplateMessage, VideoMessage,
};
use moonwa_simulator::{MessageField, Simulator, wa};
use serde_json::{Map, Value, json};

const SNAPSHOT: &str = "tests/it/kinds.snap";
const OTP: &str = r#"{"display_text":"Copy code","id":"otp","copy_code":"246810"}"#;

fn some<T: Default>(value: T) -> MessageField<T> {
    MessageField::some(value)
}

#[expect(clippy::unnecessary_wraps, reason = "every field of the protocol is optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn says(words: &str) -> wa::Message {
    wa::Message { conversation: text(words), ..Default::default() }
}

fn key(id: &str) -> MessageField<wa::MessageKey> {
    some(wa::MessageKey { id: text(id), ..Default::default() })
}

fn wrapped(message: wa::Message) -> MessageField<FutureProofMessage> {
    some(FutureProofMessage { message: some(message) })
}

macro_rules! message {
    ($field:ident: $value:expr) => {
        wa::Message { $field: some($value), ..Default::default() }
    };
}

fn image(caption: &str) -> ImageMessage {
    ImageMessage {
        direct_path: text("/v/t62/picture"),
        mimetype: text("image/jpeg"),
        media_key: Some(vec![7; 32]),
        file_sha256: Some(vec![8; 32]),
        caption: text(caption),
        ..Default::default()
    }
}

fn flow(body: &str, kind: Flow) -> InteractiveMessage {
    InteractiveMessage {
        header: some(Header { title: text("Toko"), ..Default::default() }),
        body: some(Body { text: text(body) }),
        footer: some(Footer { text: text("Terima kasih"), ..Default::default() }),
        interactive_message: Some(kind),
        ..Default::default()
    }
}

fn button(name: &str, params: &str) -> Flow {
    let button = NativeFlowButton { name: text(name), button_params_json: text(params) };
    Flow::NativeFlowMessage(Box::new(NativeFlowMessage {
        buttons: vec![button],
        ..Default::default()
    }))
}

/// What businesses send.
fn business() -> Vec<(&'static str, wa::Message)> {
    use message::buttons_message::{Button, Header as ButtonsHeader, button::ButtonText};
    use message::list_message::{Row, Section};
    use message::template_message::{Format, HydratedFourRowTemplate};
    use wa::hydrated_template_button::{HydratedButton, HydratedURLButton};
    let buttons = ButtonsMessage {
        header: Some(ButtonsHeader::ImageMessage(Box::new(image("unused")))),
        content_text: text("Pilih ukuran"),
        footer_text: text("Stok terbatas"),
        buttons: vec![Button {
            button_id: text("size-l"),
            button_text: some(ButtonText { display_text: text("Besar") }),
            ..Default::default()
        }],
        ..Default::default()
    };
    let row = Row { title: text("Batik"), description: text("Katun"), row_id: text("batik-1") };
    let list = ListMessage {
        title: text("Katalog"),
        description: text("Silakan pilih"),
        button_text: text("Lihat"),
        sections: vec![Section { title: text("Kain"), rows: vec![row] }],
        ..Default::default()
    };
    let link = HydratedURLButton {
        display_text: text("Lacak"),
        url: text("https://toko.example/7"),
        ..Default::default()
    };
    let filled = HydratedFourRowTemplate {
        hydrated_content_text: text("Pesanan dikirim"),
        hydrated_buttons: vec![wa::HydratedTemplateButton {
            hydrated_button: Some(HydratedButton::UrlButton(Box::new(link))),
            ..Default::default()
        }],
        ..Default::default()
    };
    let template = TemplateMessage {
        template_id: text("shipped"),
        format: Some(Format::HydratedFourRowTemplate(Box::new(filled))),
        ..Default::default()
    };
    let carousel = Flow::CarouselMessage(Box::new(CarouselMessage {
        cards: vec![flow(
            "Kartu satu",
            button("quick_reply", r#"{"display_text":"Beli","id":"buy-1"}"#),
        )],
        ..Default::default()
    }));
    let structured = HighlyStructuredMessage {
        element_name: text("otp"),
        params: vec!["135790".to_owned()],
        ..Default::default()
    };
    vec![
        ("buttons", message!(buttons_message: buttons)),
        ("list", message!(list_message: list)),
        ("template", message!(template_message: template)),
        (
            "one-time code",
            message!(interactive_message: flow("Kode Anda", button("cta_copy", OTP))),
        ),
        ("carousel", message!(interactive_message: flow("Promo", carousel))),
        ("structured", message!(highly_structured_message: structured)),
    ]
}

/// What is bought and paid.
fn commerce() -> Vec<(&'static str, wa::Message)> {
    let product = message::product_message::ProductSnapshot {
        product_image: some(image("unused")),
        product_id: text("p-1"),
        title: text("Kopi"),
        description: text("250 g"),
        currency_code: text("IDR"),
        price_amount1000: Some(45_000_000),
        ..Default::default()
    };
    let order = OrderMessage {
        order_id: text("o-1"),
        order_title: text("Pesanan"),
        message: text("Mohon diproses"),
        item_count: Some(2),
        total_amount1000: Some(90_500_000),
        total_currency_code: text("IDR"),
        token: text("opens the order"),
        ..Default::default()
    };
    let request = RequestPaymentMessage {
        note_message: some(says("untuk kopi")),
        currency_code_iso4217: text("INR"),
        amount1000: Some(12_500),
        ..Default::default()
    };
    vec![
        (
            "product",
            message!(product_message: ProductMessage { product: some(product), ..Default::default() }),
        ),
        ("order", message!(order_message: order)),
        (
            "invoice",
            message!(invoice_message: InvoiceMessage { note: text("Lunas"), ..Default::default() }),
        ),
        ("payment request", message!(request_payment_message: request)),
    ]
}

/// What people plan and share.
fn shared() -> Vec<(&'static str, wa::Message)> {
    let event = EventMessage {
        name: text("Arisan"),
        description: text("di rumah Bob"),
        start_time: Some(1_780_000_000),
        ..Default::default()
    };
    let pack =
        StickerPackMessage { name: text("Kucing"), publisher: text("Ann"), ..Default::default() };
    let poll = PollCreationMessage {
        name: text("Jam berapa?"),
        options: vec![message::poll_creation_message::Option {
            option_name: text("8"),
            ..Default::default()
        }],
        ..Default::default()
    };
    let result = PollResultSnapshotMessage {
        name: text("Jam berapa?"),
        poll_votes: vec![message::poll_result_snapshot_message::PollVote {
            option_name: text("8"),
            option_vote_count: Some(3),
        }],
        ..Default::default()
    };
    let invite = GroupInviteMessage {
        group_jid: text("1203@g.us"),
        group_name: text("Tim"),
        caption: text("Gabung ya"),
        ..Default::default()
    };
    vec![
        ("event", message!(event_message: event)),
        ("sticker pack", message!(sticker_pack_message: pack)),
        ("poll, newest form", message!(poll_creation_message_v6: poll)),
        ("poll's result", message!(poll_result_snapshot_message: result)),
        ("group invite", message!(group_invite_message: invite)),
    ]
}

/// What people say about something else.
fn people() -> Vec<(&'static str, wa::Message)> {
    let comment = CommentMessage { message: some(says("setuju")), target_message_key: key("POST") };
    let pin = PinInChatMessage {
        key: key("PINNED"),
        r#type: Some(message::pin_in_chat_message::Type::PIN_FOR_ALL),
        ..Default::default()
    };
    let gif =
        VideoMessage { gif_playback: Some(true), caption: text("lucu"), ..Default::default() };
    let vcard = "BEGIN:VCARD\nFN:Cid\nitem1.TEL;waid=628123456789:+62 812-3456-789\nTEL;TYPE=HOME:(021) 555 01\nEND:VCARD";
    let contact =
        ContactMessage { display_name: text("Cid"), vcard: text(vcard), ..Default::default() };
    let mut child = message!(image_message: image("satu dari dua"));
    child.message_context_info = some(wa::MessageContextInfo {
        message_association: some(wa::MessageAssociation {
            association_type: Some(wa::message_association::AssociationType::MEDIA_ALBUM),
            parent_message_key: key("ALBUM"),
            ..Default::default()
        }),
        ..Default::default()
    });
    let album = AlbumMessage { expected_image_count: Some(2), ..Default::default() };
    let chat = message::Chat { id: text("7"), ..Default::default() };
    vec![
        ("comment", message!(comment_message: comment)),
        ("pin", message!(pin_in_chat_message: pin)),
        ("gif", message!(video_message: gif)),
        ("contact", message!(contact_message: contact)),
        ("album", message!(album_message: album)),
        ("picture of an album", child),
        (
            "group status",
            wa::Message {
                group_status_message_v2: wrapped(says("buka jam 8")),
                ..Default::default()
            },
        ),
        (
            "forwarded by a bot",
            wa::Message { bot_forwarded_message: wrapped(says("jawaban")), ..Default::default() },
        ),
        ("not understood", message!(chat: chat)),
    ]
}

/// What is said in answer to something.
fn answers() -> Vec<(&'static str, wa::Message)> {
    use message::interactive_response_message::{
        Body as Pressed, InteractiveResponseMessage as Response, NativeFlowResponseMessage,
    };
    use wa::context_info::ExternalAdReplyInfo;
    let ad = ExternalAdReplyInfo {
        title: text("Diskon"),
        source_id: text("ad-7"),
        ctwa_clid: text("click-7"),
        source_url: text("https://fb.example/ad"),
        ..Default::default()
    };
    let context = |context: wa::ContextInfo, words: &str| ExtendedTextMessage {
        text: text(words),
        context_info: some(context),
        ..Default::default()
    };
    let from_ad = wa::ContextInfo {
        external_ad_reply: some(ad),
        expiration: Some(86_400),
        ..Default::default()
    };
    let quoted = message!(image_message: image("bukti transfer"));
    let reply = wa::ContextInfo {
        stanza_id: text("QUOTED"),
        quoted_message: some(quoted),
        mentioned_jid: vec!["628555000112@s.whatsapp.net".to_owned()],
        ..Default::default()
    };
    let pressed = InteractiveResponseMessage {
        body: some(Pressed { text: text("Beli"), ..Default::default() }),
        interactive_response_message: Some(Response::NativeFlowResponseMessage(Box::new(
            NativeFlowResponseMessage {
                name: text("quick_reply"),
                params_json: text(r#"{"id":"buy-1","note":"x"}"#),
                ..Default::default()
            },
        ))),
        ..Default::default()
    };
    vec![
        ("from an advertisement", message!(extended_text_message: context(from_ad, "masih ada?"))),
        ("answer to a picture", message!(extended_text_message: context(reply, "sudah"))),
        ("press", message!(interactive_response_message: pressed)),
    ]
}

/// What is told of a message, without what differs each time.
fn told(event: &Value) -> Value {
    let data = &event["data"];
    let mut kept = Map::new();
    for name in ["kind", "text", "mentions", "mentioned", "reply_to", "disappears_after", "details"]
    {
        let value = &data[name];
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    if data["media"].is_object() {
        kept.insert("media".to_owned(), data["media"]["mime"].clone());
    }
    Value::Object(kept)
}

#[tokio::test]
async fn every_kind_is_told_in_full() -> Result<()> {
    let sim = Simulator::start().await?;
    let (ann, bob) =
        (sim.phone("628555000111", "Ann").await, sim.phone("628555000112", "Bob").await);
    let hook = WebhookReceiver::start().await?;
    let moonwa = Moonwa::builder(env!("CARGO_BIN_EXE_moonwa"))
        .whatsapp(&sim)
        .device("toko", &[hook.url()])
        .start()
        .await?;
    moonwa.link("toko", &ann).await?;
    let mut found = String::new();
    for (name, message) in [business(), commerce(), shared(), people(), answers()].concat() {
        let id = bob.send(&ann, message).await?;
        let post = hook.expect(name, |post| post.json()["data"]["id"] == json!(id)).await;
        let shown = serde_json::to_string_pretty(&told(&post.json()))?;
        // A LID differs each time.
        let shown = shown.replace(bob.lid().trim_end_matches("@lid"), "BOB");
        writeln!(found, "{name}: {shown}")?;
    }
    sim.assert_no_violations();
    moonwa.stop().await?;
    let snapshot = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&snapshot, &found)?;
    }
    assert_eq!(std::fs::read_to_string(&snapshot).unwrap_or_default(), found);
    Ok(())
}
