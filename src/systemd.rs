//! What systemd is told: ready, reloading, stopping, one line of status, and that the watchdog may be content. Without
//! a notify socket every call does nothing.

use std::net::SocketAddr;

use sd_notify::NotifyState;

/// The listener is bound and the configuration is in force. WhatsApp need not be reachable for that.
pub(crate) fn ready(address: SocketAddr, status: &str) {
    let status = format!("listening on {address}; {status}");
    send(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// One line for `systemctl status`.
pub(crate) fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

/// A reload begins. systemd wants the monotonic time in the same datagram.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "The monotonic clock could not be read."),
    }
}

/// A reload is over, whatever came of it.
pub(crate) fn reloaded(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The program is alive.
pub(crate) fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear `watchdog`, when it does.
pub(crate) fn watchdog_interval() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled()
}

/// Whether nothing of systemd's started this process.
pub(crate) fn is_absent() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_none()
}

/// A command as a person must type it to act as the user of this service.
pub(crate) fn as_its_user(command: &str) -> String {
    match std::env::var("USER") {
        Ok(user) if !is_absent() => format!("sudo -u {user} {command}"),
        _ => command.to_owned(),
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told.");
    }
}
