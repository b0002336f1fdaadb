//! What businesses write: buttons, lists, templates, carousels, one-time codes. The text is what a person reads, in that
//! order; the details have the ids that a program answers with.

use serde_json::Value;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{
    ButtonsMessage, HighlyStructuredMessage, InteractiveMessage, ListMessage, TemplateMessage,
    buttons_message, interactive_message, template_message,
};

use super::attachment::{document, image, video};
use super::body::{Said, list as list_of};
use crate::model::Body;
use crate::model::detail::{
    Button, Buttons, CarouselCard, FlowButton, Id, Interactive, List, Params, Row, Template,
};
use crate::whatsapp::history::row::MediaRow;

pub(crate) fn business(m: &wa::Message) -> Option<Said> {
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

fn buttons(message: &ButtonsMessage) -> Said {
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
        let text = button.button_text.as_option().and_then(|text| text.display_text.clone());
        Button::Answer { id: button.button_id.clone(), text }
    };
    let buttons = Buttons { buttons: list_of(message.buttons.iter().map(button)) };
    Said::new(Body::Buttons(buttons))
        .lines([title, message.content_text.as_ref(), message.footer_text.as_ref()])
        .with(media)
}

fn list(message: &ListMessage) -> Said {
    let rows = message.sections.iter().flat_map(|section| &section.rows).map(|row| Row {
        id: row.row_id.clone(),
        title: row.title.clone(),
        description: row.description.clone(),
    });
    let sections = message.product_list_info.as_option().map(|info| &info.product_sections);
    let products = sections.into_iter().flatten().flat_map(|section| &section.products);
    let list = List {
        button: message.button_text.clone(),
        rows: list_of(rows),
        products: list_of(products.map(|product| Id { id: product.product_id.clone() })),
    };
    Said::new(Body::List(list)).lines([
        message.title.as_ref(),
        message.description.as_ref(),
        message.footer_text.as_ref(),
    ])
}

fn template(message: &TemplateMessage) -> Said {
    use template_message::Format;
    let id = || message.template_id.clone();
    match &message.format {
        Some(Format::InteractiveMessageTemplate(message)) => {
            let Interactive { buttons, params, cards, shop, collection } = offer(message);
            let params = params.map(Params::Flow);
            let template = Template { buttons, cards, shop, collection, template: id(), params };
            shown(message, Body::Template(template))
        }
        Some(Format::HydratedFourRowTemplate(message)) => {
            hydrated(message, Template { template: id(), ..Template::default() })
        }
        Some(Format::FourRowTemplate(rows)) => {
            let words = |part: &HighlyStructuredMessage| words(part);
            let parts = [rows.content.as_option().map(words), rows.footer.as_option().map(words)];
            let template = Template { template: id(), ..Template::default() };
            Said::new(Body::Template(template)).lines(parts.iter().map(Option::as_ref))
        }
        None => {
            let template = Template { template: id(), ..Template::default() };
            match message.hydrated_template.as_option() {
                Some(message) => hydrated(message, template),
                None => Said::new(Body::Template(template)),
            }
        }
    }
}

/// A template that is filled, with what else is known of it.
fn hydrated(message: &template_message::HydratedFourRowTemplate, template: Template) -> Said {
    use template_message::hydrated_four_row_template::Title;
    use wa::hydrated_template_button::HydratedButton as Kind;
    let (mut title, mut media) = (None, None);
    match &message.title {
        Some(Title::HydratedTitleText(text)) => title = Some(text),
        Some(Title::ImageMessage(file)) => media = image(file),
        Some(Title::VideoMessage(file)) => media = video(file),
        Some(Title::DocumentMessage(file)) => media = document(file),
        Some(Title::LocationMessage(_)) | None => {}
    }
    let button = |button: &wa::HydratedTemplateButton| {
        Some(match button.hydrated_button.as_ref()? {
            Kind::QuickReplyButton(button) => {
                Button::Answer { id: button.id.clone(), text: button.display_text.clone() }
            }
            Kind::UrlButton(button) => {
                Button::Link { text: button.display_text.clone(), url: button.url.clone() }
            }
            Kind::CallButton(button) => Button::Call {
                text: button.display_text.clone(),
                phone: button.phone_number.clone(),
            },
        })
    };
    let buttons = list_of(message.hydrated_buttons.iter().filter_map(button));
    let lines =
        [title, message.hydrated_content_text.as_ref(), message.hydrated_footer_text.as_ref()];
    Said::new(Body::Template(Template { buttons, ..template })).lines(lines).with(media)
}

fn interactive(message: &InteractiveMessage) -> Said {
    shown(message, Body::Interactive(offer(message)))
}

/// What a person sees of it: its own words, then those of its cards.
fn shown(message: &InteractiveMessage, body: Body) -> Said {
    let cards = cards(message);
    let texts = cards.iter().flatten().map(|card| card.text.as_ref());
    Said::new(body).lines(own_lines(message).into_iter().chain(texts)).with(header_file(message))
}

fn own_lines(message: &InteractiveMessage) -> [Option<&String>; 4] {
    let header = message.header.as_option();
    [
        header.and_then(|header| header.title.as_ref()),
        header.and_then(|header| header.subtitle.as_ref()),
        message.body.as_option().and_then(|body| body.text.as_ref()),
        message.footer.as_option().and_then(|footer| footer.text.as_ref()),
    ]
}

fn cards(message: &InteractiveMessage) -> Option<Vec<CarouselCard>> {
    use interactive_message::InteractiveMessage as Kind;
    let Some(Kind::CarouselMessage(carousel)) = &message.interactive_message else { return None };
    list_of(carousel.cards.iter().map(card))
}

/// What a program needs of it.
fn offer(message: &InteractiveMessage) -> Interactive {
    use interactive_message::InteractiveMessage as Kind;
    let mut offer = Interactive::default();
    match &message.interactive_message {
        Some(Kind::NativeFlowMessage(flow)) => {
            offer.buttons = list_of(flow.buttons.iter().map(flow_button));
            let params = flow.message_params_json.as_deref().map(parsed);
            offer.params = params.filter(|params| !params.is_null());
        }
        Some(Kind::CarouselMessage(_)) => offer.cards = cards(message),
        Some(Kind::ShopStorefrontMessage(shop)) => offer.shop.clone_from(&shop.id),
        Some(Kind::CollectionMessage(collection)) => offer.collection.clone_from(&collection.id),
        None => {}
    }
    offer
}

/// A carousel's card. A carousel within a carousel, which no client makes, is not opened.
fn card(card: &InteractiveMessage) -> CarouselCard {
    use interactive_message::InteractiveMessage as Kind;
    if let Some(Kind::CarouselMessage(_)) = &card.interactive_message {
        return CarouselCard::default();
    }
    let said = Said::new(Body::Interactive(Interactive::default())).lines(own_lines(card));
    CarouselCard { text: said.text, shown: offer(card) }
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
fn flow_button(button: &interactive_message::native_flow_message::NativeFlowButton) -> Button {
    let params = button.button_params_json.as_deref().map(parsed).unwrap_or_default();
    let one = |names: &[&str]| {
        names.iter().find_map(|name| params.get(*name)?.as_str()).map(str::to_owned)
    };
    Button::Flow(FlowButton {
        name: button.name.clone(),
        id: one(&["id"]),
        text: one(&["display_text", "title"]),
        url: one(&["url", "merchant_url"]),
        phone: one(&["phone_number"]),
        code: one(&["copy_code", "otp_code", "code"]),
        params,
    })
}

/// The parameters of a flow, which travel as JSON in a text.
pub(crate) fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(json))
}

/// A template that the receiver fills: only its parameters travel, unless the sender filled it too.
fn structured(message: &HighlyStructuredMessage) -> Said {
    let mut said = match message.hydrated_hsm.as_option() {
        Some(filled) => template(filled),
        None => Said::new(Body::Template(Template::default())).lines([Some(&words(message))]),
    };
    if let Body::Template(template) = &mut said.body {
        template.template = message.element_name.clone().or(template.template.take());
        let words = list_of(message.params.iter().cloned());
        template.params = words.map(Params::Words).or(template.params.take());
    }
    said
}

fn words(message: &HighlyStructuredMessage) -> String {
    message.params.join(" ")
}
