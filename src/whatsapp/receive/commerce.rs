//! Products, orders and payments.

use serde_json::{Value, json};
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{OrderMessage, ProductMessage, RequestPaymentMessage};

use super::attachment::image;
use super::body::{Body, note, target};
use crate::model::MessageKind;

pub(crate) fn commerce(m: &wa::Message) -> Option<Body> {
    if let Some(message) = m.product_message.as_option() {
        return Some(product(message));
    }
    if let Some(message) = m.order_message.as_option() {
        return Some(order(message));
    }
    if let Some(invoice) = m.invoice_message.as_option() {
        return Some(Body::new(MessageKind::Invoice).text(invoice.note.as_ref()));
    }
    if let Some(request) = m.request_payment_message.as_option() {
        return Some(payment_request(request));
    }
    if let Some(payment) = m.send_payment_message.as_option() {
        let body = target(Body::new(MessageKind::Payment), payment.request_message_key.as_option());
        return Some(body.text(note(payment.note_message.as_option())));
    }
    if let Some(declined) = m.decline_payment_request_message.as_option() {
        return Some(target(Body::new(MessageKind::PaymentDeclined), declined.key.as_option()));
    }
    if let Some(cancelled) = m.cancel_payment_request_message.as_option() {
        return Some(target(Body::new(MessageKind::PaymentCancelled), cancelled.key.as_option()));
    }
    if let Some(reminder) = m.payment_reminder_message.as_option() {
        let body = Body::new(MessageKind::PaymentReminder)
            .text(reminder.description.as_ref())
            .detail("amount", reminder.amount.as_option().map(money));
        return Some(body);
    }
    if let Some(split) = m.split_payment_message.as_option() {
        let body = Body::new(MessageKind::PaymentSplit)
            .text(split.description.as_ref())
            .detail("amount", split.total_amount.as_option().map(money));
        return Some(body);
    }
    let invite = m.payment_invite_message.as_option()?;
    Some(Body::new(MessageKind::PaymentInvite).detail("expires", invite.expiry_timestamp))
}

fn product(message: &ProductMessage) -> Body {
    let Some(product) = message.product.as_option() else {
        let catalog = message.catalog.as_option();
        let title = catalog.and_then(|catalog| catalog.title.as_ref());
        return Body::new(MessageKind::Catalog).lines([
            title,
            message.body.as_ref(),
            message.footer.as_ref(),
        ]);
    };
    let body = Body::new(MessageKind::Product)
        .lines([
            product.title.as_ref(),
            product.description.as_ref(),
            message.body.as_ref(),
            message.footer.as_ref(),
        ])
        .detail("product", product.product_id.clone())
        .detail("retailer_id", product.retailer_id.clone())
        .detail("price", price(product.price_amount1000, product.currency_code.as_ref()))
        .detail("sale_price", price(product.sale_price_amount1000, product.currency_code.as_ref()))
        .detail("url", product.url.clone())
        .detail("business", message.business_owner_jid.clone());
    Body { media: product.product_image.as_option().and_then(image), ..body }
}

fn order(message: &OrderMessage) -> Body {
    Body::new(MessageKind::Order)
        .lines([message.order_title.as_ref(), message.message.as_ref()])
        .detail("order", message.order_id.clone())
        .detail("items", message.item_count)
        .detail("status", message.status.map(|status| format!("{status:?}").to_lowercase()))
        .detail("price", price(message.total_amount1000, message.total_currency_code.as_ref()))
        .detail("seller", message.seller_jid.clone())
}

fn payment_request(request: &RequestPaymentMessage) -> Body {
    let thousandths = request.amount1000.and_then(|amount| i64::try_from(amount).ok());
    let plain = price(thousandths, request.currency_code_iso4217.as_ref());
    Body::new(MessageKind::PaymentRequest)
        .text(note(request.note_message.as_option()))
        .detail("amount", request.amount.as_option().map(money).or(plain))
        .detail("from", request.request_from.clone())
        .detail("expires", request.expiry_timestamp)
}

/// An amount that travels in thousandths, as people write it.
fn price(thousandths: Option<i64>, currency: Option<&String>) -> Option<Value> {
    Some(json!({ "amount": decimal(thousandths?, 1000), "currency": currency }))
}

fn money(money: &wa::Money) -> Value {
    // A unit is this part of one; none is a mistake of the sender's.
    let parts = money.offset.map_or(1, i64::from).max(1);
    let amount = money.value.map(|value| decimal(value, parts));
    json!({ "amount": amount, "currency": money.currency_code })
}

/// `12500` thousandths are `12.5`.
fn decimal(value: i64, parts: i64) -> String {
    let digits = parts.to_string().len() - 1;
    let (whole, rest) = (value / parts, (value % parts).unsigned_abs());
    let sign = if value < 0 && whole == 0 { "-" } else { "" };
    let text = format!("{sign}{whole}.{rest:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn amounts_are_written_as_people_do() {
        let cases = [
            (12_500, 1000, "12.5"),
            (150_000_000, 1000, "150000"),
            (5, 1000, "0.005"),
            (-500, 1000, "-0.5"),
            (1999, 100, "19.99"),
            (0, 1000, "0"),
            (7, 1, "7"),
            (100, 1, "100"),
        ];
        for (value, parts, text) in cases {
            assert_eq!(decimal(value, parts), text);
        }
    }
}
