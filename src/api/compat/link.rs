//! Linking for the faces: their callers ask for a code and want it in the answer, so the linking is begun and waited for.

use std::time::Duration;

use tokio::time::timeout;

use crate::api::call::Call;
use crate::api::http::problem::{Code, Problem};
use crate::hooks::qr_png;
use crate::model::{DeviceState, DeviceStatus, Linking, PhoneNumber, Shown, UnixMillis};

/// How long a code may take: a connection has to be made first.
const PATIENCE: Duration = Duration::from_secs(30);

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
    qr_png(text).map_err(|error| {
        tracing::error!(%error, "A QR code could not be drawn.");
        Problem::from(Code::Internal)
    })
}
