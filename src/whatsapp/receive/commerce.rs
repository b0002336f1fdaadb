//! Products, orders and payments.

use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::{OrderMessage, ProductMessage, RequestPaymentMessage};

use super::attachment::image;
use super::body::{Said, note, target, word};
use crate::model::Body;
use crate::model::detail::{Amount, Order, PaymentInvite, PaymentRequest, Price, Product};

pub(crate) fn commerce(m: &wa::Message) -> Option<Said> {
    if let Some(message) = m.product_message.as_option() {
        return Some(product(message));
    }
    if let Some(message) = m.order_message.as_option() {
        return Some(order(message));
    }
    if let Some(invoice) = m.invoice_message.as_option() {
        return Some(Said::new(Body::Invoice).text(invoice.note.as_ref()));
    }
    if let Some(request) = m.request_payment_message.as_option() {
        return Some(payment_request(request));
    }
    if let Some(payment) = m.send_payment_message.as_option() {
        let request = target(payment.request_message_key.as_option());
        let said = Said::new(Body::Payment(request));
        return Some(said.text(note(payment.note_message.as_option())));
    }
    if let Some(declined) = m.decline_payment_request_message.as_option() {
        return Some(Said::new(Body::PaymentDeclined(target(declined.key.as_option()))));
    }
    if let Some(cancelled) = m.cancel_payment_request_message.as_option() {
        return Some(Said::new(Body::PaymentCancelled(target(cancelled.key.as_option()))));
    }
    if let Some(reminder) = m.payment_reminder_message.as_option() {
        let amount = Amount { amount: reminder.amount.as_option().map(money) };
        let said = Said::new(Body::PaymentReminder(amount));
        return Some(said.text(reminder.description.as_ref()));
    }
    if let Some(split) = m.split_payment_message.as_option() {
        let amount = Amount { amount: split.total_amount.as_option().map(money) };
        return Some(Said::new(Body::PaymentSplit(amount)).text(split.description.as_ref()));
    }
    let invite = m.payment_invite_message.as_option()?;
    Some(Said::new(Body::PaymentInvite(PaymentInvite { expires: invite.expiry_timestamp })))
}

fn product(message: &ProductMessage) -> Said {
    let Some(product) = message.product.as_option() else {
        let catalog = message.catalog.as_option();
        let title = catalog.and_then(|catalog| catalog.title.as_ref());
        return Said::new(Body::Catalog).lines([
            title,
            message.body.as_ref(),
            message.footer.as_ref(),
        ]);
    };
    let details = Product {
        product: product.product_id.clone(),
        retailer_id: product.retailer_id.clone(),
        price: price(product.price_amount1000, product.currency_code.as_ref()),
        sale_price: price(product.sale_price_amount1000, product.currency_code.as_ref()),
        url: product.url.clone(),
        business: message.business_owner_jid.clone(),
    };
    Said::new(Body::Product(details))
        .lines([
            product.title.as_ref(),
            product.description.as_ref(),
            message.body.as_ref(),
            message.footer.as_ref(),
        ])
        .with(product.product_image.as_option().and_then(image))
}

fn order(message: &OrderMessage) -> Said {
    let order = Order {
        order: message.order_id.clone(),
        items: message.item_count,
        status: message.status.map(word),
        price: price(message.total_amount1000, message.total_currency_code.as_ref()),
        seller: message.seller_jid.clone(),
    };
    Said::new(Body::Order(order)).lines([message.order_title.as_ref(), message.message.as_ref()])
}

fn payment_request(request: &RequestPaymentMessage) -> Said {
    let thousandths = request.amount1000.and_then(|amount| i64::try_from(amount).ok());
    let plain = price(thousandths, request.currency_code_iso4217.as_ref());
    let details = PaymentRequest {
        amount: request.amount.as_option().map(money).or(plain),
        from: request.request_from.clone(),
        expires: request.expiry_timestamp,
    };
    Said::new(Body::PaymentRequest(details)).text(note(request.note_message.as_option()))
}

/// An amount that travels in thousandths, as people write it.
fn price(thousandths: Option<i64>, currency: Option<&String>) -> Option<Price> {
    Some(Price { amount: Some(decimal(thousandths?, 1000)), currency: currency.cloned() })
}

fn money(money: &wa::Money) -> Price {
    // A unit is this part of one; none is a mistake of the sender's.
    let parts = money.offset.map_or(1, i64::from).max(1);
    let amount = money.value.map(|value| decimal(value, parts));
    Price { amount, currency: money.currency_code.clone() }
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
