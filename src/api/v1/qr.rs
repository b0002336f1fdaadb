//! The QR code of a device that is being linked: as a picture, as text for a terminal, or as the data in it. It is a
//! login secret, so it is never cached, never logged, and gone when it expires.

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use qrcode::QrCode;
use qrcode::render::{svg, unicode};
use serde_json::json;

use crate::api::call::{Answer, Call};
use crate::api::http::problem::{Code, Problem};
use crate::api::http::response::{self, Response};
use crate::model::{DeviceState, Shown, UnixMillis};

/// `GET …/qr`.
pub(crate) fn show(call: &Call) -> Answer {
    let DeviceState::Linking(linking) = call.handle()?.status().state else {
        return Err(Code::NoQr.into());
    };
    let shown = linking.qr.filter(|shown| shown.expires_at > UnixMillis::now());
    let shown = shown.ok_or(Code::NoQr)?;
    let mut response = render(call, &shown)?;
    if let Ok(expires) = HeaderValue::from_str(&shown.expires_at.to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-expires-at"), expires);
    }
    Ok(response)
}

fn render(call: &Call, shown: &Shown) -> Result<Response, Problem> {
    let text = shown.code.expose();
    if call.accepts("application/json") {
        return Ok(response::ok(&json!({ "qr": text, "expires_at": shown.expires_at })));
    }
    let code = QrCode::new(text).map_err(|error| {
        tracing::error!(%error, "A QR code could not be drawn.");
        Code::Internal
    })?;
    Ok(if call.accepts("text/plain") && !call.accepts("image/svg+xml") {
        response::bytes_of(StatusCode::OK, "text/plain; charset=utf-8", half_blocks(&code))
    } else {
        response::bytes_of(StatusCode::OK, "image/svg+xml", picture(&code))
    })
}

/// Any text as a picture of its code.
pub(crate) fn drawn(text: &str) -> Result<String, Problem> {
    let code = QrCode::new(text).map_err(|error| {
        tracing::error!(%error, "A QR code could not be drawn.");
        Code::Internal
    })?;
    Ok(picture(&code))
}

fn picture(code: &QrCode) -> String {
    code.render::<svg::Color<'_>>().min_dimensions(264, 264).build()
}

/// Two rows of modules in a line of text. The light modules are the drawn ones, because most terminals are dark, and
/// few phones read a code whose light and dark are swapped.
fn half_blocks(code: &QrCode) -> String {
    let mut text = code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use qrcode::Color;

    use super::*;

    #[test]
    fn half_blocks_say_what_the_code_says() {
        let code = QrCode::new("2@abc,def,ghi").unwrap();
        let text = half_blocks(&code);
        let quiet = 4;
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        for y in 0..code.width() {
            for x in 0..code.width() {
                let cell = lines[usize::midpoint(y, quiet)][x + quiet];
                let drawn = match cell {
                    '█' => true,
                    '▀' => (y + quiet).is_multiple_of(2),
                    '▄' => !(y + quiet).is_multiple_of(2),
                    _ => false,
                };
                assert_eq!(drawn, code[(x, y)] == Color::Light, "{x},{y}");
            }
        }
        assert!(lines[0].iter().all(|cell| *cell == '█'), "the quiet zone is light");
    }

    #[test]
    fn the_picture_has_no_script_and_no_link() {
        let picture = picture(&QrCode::new("2@abc").unwrap());
        assert!(
            picture.contains("<svg") && !picture.contains("href") && !picture.contains("script")
        );
    }
}
