//! Linking for the faces: their callers ask for a code and want it in the answer, so the linking is begun and waited for.

use std::io::Cursor;
use std::time::Duration;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::{Color, QrCode};
use tokio::time::timeout;

use crate::api::call::Call;
use crate::api::http::problem::{Code, Problem};
use crate::model::{DeviceState, DeviceStatus, Linking, PhoneNumber, Shown, UnixMillis};

/// How long a code may take: a connection has to be made first.
const PATIENCE: Duration = Duration::from_secs(30);
/// The sides of a module, and the width of the quiet zone in modules.
const MODULE: u32 = 8;
const QUIET: u32 = 4;

/// A live QR code of the device, which begins to be linked if need be.
pub(crate) async fn qr(call: &Call) -> Result<Shown, Problem> {
    let handle = call.handle()?;
    if !matches!(handle.status().state, DeviceState::Linking(_)) {
        begin(call).await?;
    }
    code(call, |linking| linking.qr.as_ref().filter(|shown| shown.expires_at > UnixMillis::now()))
        .await
}

/// A pair code for the phone of that number.
pub(crate) async fn pair_code(call: &Call, phone: &PhoneNumber) -> Result<Shown, Problem> {
    call.handle()?.pair_code(phone).await?;
    code(call, |linking| linking.pair_code.as_ref()).await
}

async fn begin(call: &Call) -> Result<(), Problem> {
    let handle = call.handle()?;
    if handle.status().state.can_send() {
        return Err(Code::AlreadyLinked.into());
    }
    Ok(handle.start().await?)
}

/// The first code of its kind that the device shows.
async fn code(call: &Call, of: impl Fn(&Linking) -> Option<&Shown>) -> Result<Shown, Problem> {
    let shown = |status: &DeviceStatus| match &status.state {
        DeviceState::Linking(linking) => of(linking).cloned(),
        _ => None,
    };
    let over = |status: &DeviceStatus| {
        let linked = status.state.can_send();
        linked || matches!(status.state, DeviceState::Pending(_) | DeviceState::Stopped(_))
    };
    let mut watch = call.handle()?.watch();
    let waited = watch.wait_for(|status| shown(status).is_some() || over(status));
    let status = match timeout(PATIENCE, waited).await {
        Ok(Ok(status)) => status.clone(),
        Ok(Err(_)) => return Err(Code::ShuttingDown.into()),
        Err(_) => return Err(Code::WhatsAppTimeout.into()),
    };
    match shown(&status) {
        Some(shown) => Ok(shown),
        None if status.state.can_send() => Err(Code::AlreadyLinked.into()),
        None => Err(Code::NoQr.into()),
    }
}

/// A pair code as people read it: `ABCD-1234`.
pub(crate) fn dashed(code: &str) -> String {
    match code.split_at_checked(4) {
        Some((first, second)) if code.len() == 8 => format!("{first}-{second}"),
        _ => code.to_owned(),
    }
}

/// A QR code as a picture.
pub(crate) fn png(text: &str) -> Result<Vec<u8>, Problem> {
    let failed = |error: String| {
        tracing::error!(%error, "A QR code could not be drawn.");
        Problem::from(Code::Internal)
    };
    let code = QrCode::new(text).map_err(|error| failed(error.to_string()))?;
    let modules = u32::try_from(code.width()).map_err(|error| failed(error.to_string()))?;
    let side = (modules + 2 * QUIET) * MODULE;
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let at = |pixel: u32| (pixel / MODULE).checked_sub(QUIET).filter(|n| *n < modules);
        let dark =
            at(x).zip(at(y)).is_some_and(|(x, y)| code[(x as usize, y as usize)] == Color::Dark);
        Luma([if dark { 0 } else { 255 }])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| failed(error.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_says_what_the_code_says() {
        let text = "2@abc,def,ghi";
        let picture = image::load_from_memory(&png(text).unwrap()).unwrap().to_luma8();
        let code = QrCode::new(text).unwrap();
        let side = (u32::try_from(code.width()).unwrap() + 2 * QUIET) * MODULE;
        assert_eq!(picture.dimensions(), (side, side));
        for y in 0..code.width() {
            for x in 0..code.width() {
                let at = |n: usize| (u32::try_from(n).unwrap() + QUIET) * MODULE + MODULE / 2;
                let dark = picture.get_pixel(at(x), at(y)).0[0] == 0;
                assert_eq!(dark, code[(x, y)] == Color::Dark, "{x},{y}");
            }
        }
        assert_eq!(picture.get_pixel(3, 3).0[0], 255, "the quiet zone");
    }
}
