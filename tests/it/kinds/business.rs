//! What businesses send, and what is bought and paid.

use moonwa_simulator::wa;
use moonwa_simulator::wa::message::interactive_message::{
    Body, CarouselMessage, Footer, Header, InteractiveMessage as Flow, NativeFlowMessage,
    native_flow_message::NativeFlowButton,
};
use moonwa_simulator::wa::message::{
    self, ButtonsMessage, CancelPaymentRequestMessage, DeclinePaymentRequestMessage,
    HighlyStructuredMessage, InteractiveMessage, InvoiceMessage, ListMessage, OrderMessage,
    PaymentInviteMessage, PaymentReminderMessage, ProductMessage, RequestPaymentMessage,
    SendPaymentMessage, SplitPaymentMessage, TemplateMessage,
};

use super::{Sample, image, key, message, says, some, text};

const OTP: &str = r#"{"display_text":"Copy code","id":"otp","copy_code":"246810"}"#;

pub(super) fn all() -> Vec<Sample> {
    [business(), commerce(), payments()].concat()
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

/// What is done about a payment.
fn payments() -> Vec<(&'static str, wa::Message)> {
    let money = || wa::Money { value: Some(1_999), offset: Some(100), currency_code: text("BRL") };
    let payment = SendPaymentMessage {
        note_message: some(says("sudah ya")),
        request_message_key: key("REQUEST"),
        ..Default::default()
    };
    let reminder = PaymentReminderMessage {
        description: text("Iuran"),
        amount: some(money()),
        ..Default::default()
    };
    let split = SplitPaymentMessage {
        description: text("Makan siang"),
        total_amount: some(money()),
        ..Default::default()
    };
    let invite =
        PaymentInviteMessage { expiry_timestamp: Some(1_780_000_000), ..Default::default() };
    let catalog = message::product_message::CatalogSnapshot {
        title: text("Kopi Nusantara"),
        ..Default::default()
    };
    let catalog = ProductMessage {
        catalog: some(catalog),
        body: text("Semua yang ada"),
        ..Default::default()
    };
    vec![
        ("payment", message!(send_payment_message: payment)),
        (
            "payment declined",
            message!(decline_payment_request_message: DeclinePaymentRequestMessage { key: key("REQUEST") }),
        ),
        (
            "payment cancelled",
            message!(cancel_payment_request_message: CancelPaymentRequestMessage { key: key("REQUEST") }),
        ),
        ("payment reminder", message!(payment_reminder_message: reminder)),
        ("payment split", message!(split_payment_message: split)),
        ("payment invite", message!(payment_invite_message: invite)),
        ("catalog", message!(product_message: catalog)),
    ]
}
