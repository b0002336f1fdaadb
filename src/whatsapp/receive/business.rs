//! What businesses write: buttons, lists, templates, carousels, one-time codes. The text is what a person reads, in that
//! order; the details have the ids that a program answers with.

use serde_json::{Map, Value, json};
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{
    ButtonsMessage, HighlyStructuredMessage, InteractiveMessage, ListMessage, TemplateMessage,
    buttons_message, interactive_message, template_message,
};

use super::attachment::{document, image, video};
use super::body::Body;
use crate::model::MessageKind;
use crate::whatsapp::history::row::MediaRow;

pub(crate) fn business(m: &wa::Message) -> Option<Body> {
    if let Some(message) = m.buttons_message.as_option() {
        return Some(buttons(message));
    }
    if let Some(message) = m.list_message.as_option() {
        return Some(list(message));
    }
    if let Some(message) = m.template_message.as_option() {
        return Some(template(message));
    }
    if let Some(message) = m.interactive_message.as_option() {
        return Some(interactive(message));
    }
    m.highly_structured_message.as_option().map(structured)
}

fn buttons(message: &ButtonsMessage) -> Body {
    use buttons_message::Header;
    let (mut title, mut media) = (None, None);
    match &message.header {
        Some(Header::Text(text)) => title = Some(text),
        Some(Header::ImageMessage(file)) => media = image(file),
        Some(Header::VideoMessage(file)) => media = video(file),
        Some(Header::DocumentMessage(file)) => media = document(file),
        Some(Header::LocationMessage(_)) | None => {}
    }
    let button = |button: &buttons_message::Button| {
        let text = button.button_text.as_option().and_then(|text| text.display_text.as_ref());
        json!({ "id": button.button_id, "text": text })
    };
    let body = Body::new(MessageKind::Buttons)
        .lines([title, message.content_text.as_ref(), message.footer_text.as_ref()])
        .list("buttons", message.buttons.iter().map(button));
    Body { media, ..body }
}

fn list(message: &ListMessage) -> Body {
    let rows =
        message.sections.iter().flat_map(|section| &section.rows).map(
            |row| json!({ "id": row.row_id, "title": row.title, "description": row.description }),
        );
    let sections = message.product_list_info.as_option().map(|info| &info.product_sections);
    let products = sections.into_iter().flatten().flat_map(|section| &section.products);
    Body::new(MessageKind::List)
        .lines([message.title.as_ref(), message.description.as_ref(), message.footer_text.as_ref()])
        .detail("button", message.button_text.clone())
        .list("rows", rows)
        .list("products", products.map(|product| json!({ "id": product.product_id })))
}

fn template(message: &TemplateMessage) -> Body {
    use template_message::Format;
    let body = match &message.format {
        Some(Format::InteractiveMessageTemplate(message)) => interactive(message),
        Some(Format::HydratedFourRowTemplate(filled)) => hydrated(filled),
        Some(Format::FourRowTemplate(rows)) => {
            let words = |part: &HighlyStructuredMessage| words(part);
            let parts = [rows.content.as_option().map(words), rows.footer.as_option().map(words)];
            Body::new(MessageKind::Template).lines(parts.iter().map(Option::as_ref))
        }
        None => message
            .hydrated_template
            .as_option()
            .map_or_else(|| Body::new(MessageKind::Template), hydrated),
    };
    let body = Body { kind: MessageKind::Template, ..body };
    body.detail("template", message.template_id.clone())
}

fn hydrated(filled: &template_message::HydratedFourRowTemplate) -> Body {
    use template_message::hydrated_four_row_template::Title;
    use wa::hydrated_template_button::HydratedButton as Kind;
    let (mut title, mut media) = (None, None);
    match &filled.title {
        Some(Title::HydratedTitleText(text)) => title = Some(text),
        Some(Title::ImageMessage(file)) => media = image(file),
        Some(Title::VideoMessage(file)) => media = video(file),
        Some(Title::DocumentMessage(file)) => media = document(file),
        Some(Title::LocationMessage(_)) | None => {}
    }
    let button = |button: &wa::HydratedTemplateButton| {
        Some(match button.hydrated_button.as_ref()? {
            Kind::QuickReplyButton(button) => {
                json!({ "id": button.id, "text": button.display_text })
            }
            Kind::UrlButton(button) => json!({ "text": button.display_text, "url": button.url }),
            Kind::CallButton(button) => {
                json!({ "text": button.display_text, "phone": button.phone_number })
            }
        })
    };
    let body = Body::new(MessageKind::Template)
        .lines([title, filled.hydrated_content_text.as_ref(), filled.hydrated_footer_text.as_ref()])
        .list("buttons", filled.hydrated_buttons.iter().filter_map(button));
    Body { media, ..body }
}

fn interactive(message: &InteractiveMessage) -> Body {
    use interactive_message::InteractiveMessage as Kind;
    let body = Body::new(MessageKind::Interactive).lines([
        message.header.as_option().and_then(|header| header.title.as_ref()),
        message.header.as_option().and_then(|header| header.subtitle.as_ref()),
        message.body.as_option().and_then(|body| body.text.as_ref()),
        message.footer.as_option().and_then(|footer| footer.text.as_ref()),
    ]);
    let body = match &message.interactive_message {
        Some(Kind::NativeFlowMessage(flow)) => body
            .list("buttons", flow.buttons.iter().map(flow_button))
            .detail("params", flow.message_params_json.as_deref().map(parsed)),
        Some(Kind::CarouselMessage(carousel)) => {
            let cards: Vec<Body> = carousel.cards.iter().map(card).collect();
            let texts: Vec<Option<String>> = std::iter::once(body.text.clone())
                .chain(cards.iter().map(|card| card.text.clone()))
                .collect();
            let shown = cards.iter().map(|card| {
                let mut shown = Map::from_iter([("text".to_owned(), json!(card.text))]);
                shown.extend(card.details.clone());
                Value::Object(shown)
            });
            body.lines(texts.iter().map(Option::as_ref)).list("cards", shown)
        }
        Some(Kind::ShopStorefrontMessage(shop)) => body.detail("shop", shop.id.clone()),
        Some(Kind::CollectionMessage(collection)) => {
            body.detail("collection", collection.id.clone())
        }
        None => body,
    };
    Body { media: header_file(message), ..body }
}

/// A carousel's card. A carousel within a carousel, which no client makes, is not opened.
fn card(card: &InteractiveMessage) -> Body {
    use interactive_message::InteractiveMessage as Kind;
    match &card.interactive_message {
        Some(Kind::CarouselMessage(_)) => Body::new(MessageKind::Interactive),
        _ => interactive(card),
    }
}

fn header_file(message: &InteractiveMessage) -> Option<MediaRow> {
    use interactive_message::header::Media;
    match message.header.as_option()?.media.as_ref()? {
        Media::ImageMessage(file) => image(file),
        Media::VideoMessage(file) => video(file),
        Media::DocumentMessage(file) => document(file),
        Media::JpegThumbnail(_) | Media::LocationMessage(_) | Media::ProductMessage(_) => None,
    }
}

/// A button of a flow, with what it does and for what: a code to copy, a link to open, an answer's id.
fn flow_button(button: &interactive_message::native_flow_message::NativeFlowButton) -> Value {
    let params = button.button_params_json.as_deref().map(parsed).unwrap_or_default();
    let one = |names: &[&str]| {
        names.iter().find_map(|name| params.get(*name)?.as_str()).map(str::to_owned)
    };
    let mut shown = Map::new();
    let values = [
        ("name", button.name.clone()),
        ("id", one(&["id"])),
        ("text", one(&["display_text", "title"])),
        ("url", one(&["url", "merchant_url"])),
        ("phone", one(&["phone_number"])),
        ("code", one(&["copy_code", "otp_code", "code"])),
    ];
    for (name, value) in values {
        shown.extend(value.map(|value| (name.to_owned(), Value::from(value))));
    }
    shown.insert("params".to_owned(), params);
    Value::Object(shown)
}

/// The parameters of a flow, which travel as JSON in a text.
pub(crate) fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
}

/// A template that the receiver fills: only its parameters travel, unless the sender filled it too.
fn structured(message: &HighlyStructuredMessage) -> Body {
    let body = match message.hydrated_hsm.as_option() {
        Some(filled) => template(filled),
        None => Body::new(MessageKind::Template).lines([Some(&words(message))]),
    };
    body.detail("template", message.element_name.clone())
        .list("params", message.params.iter().map(|param| param.as_str().into()))
}

fn words(message: &HighlyStructuredMessage) -> String {
    message.params.join(" ")
}
