//! What fuzzing feeds here: the bodies of requests, from whoever has a key.
#![expect(clippy::expect_used, reason = "what must hold is asserted")]

use tokio::runtime::{Builder, Runtime};

use super::compat::error::Kind;
use super::compat::fields::Fields;
use super::compat::send::requests;
use super::http::multipart;
use super::http::problem::Problem;
use super::http::request;
use super::v1::message::content::SendBody;
use crate::model::{Content, MediaSource, SendRequest};

/// What is queued must be read from the store as what was asked for. A file in the body goes into the spool before that.
fn queued(request: &SendRequest) {
    if matches!(request.content, Content::Media { source: MediaSource::Inline(_), .. }) {
        return;
    }
    let row = serde_json::to_vec(request).expect("a request has a row");
    let read: SendRequest = serde_json::from_slice(&row).expect("a row is read again");
    assert_eq!(&read, request, "the store holds another message");
}

/// Whether it was refused with a reason.
fn refused(problem: &Problem) {
    assert!(
        problem.detail.is_some() || !problem.issues.is_empty(),
        "a body is refused for no reason"
    );
}

/// A body of `POST …/messages`.
pub(crate) fn message(bytes: &[u8]) {
    for country_code in [None, Some("62")] {
        let read = request::parse::<SendBody>(bytes).and_then(|body| body.request(country_code));
        match read {
            Ok(wish) => std::iter::once(&wish.request).chain(&wish.files).for_each(queued),
            Err(problem) => refused(&problem),
        }
    }
}

/// A body of `/api`, as JSON and as a form.
pub(crate) fn compat(bytes: &[u8]) {
    for is_form in [false, true] {
        for (kind, country_code) in [(Kind::Message, None), (Kind::Media, Some("62"))] {
            let read = Fields::read(bytes, is_form)
                .and_then(|fields| requests(kind, &fields, country_code));
            match read {
                Ok(requests) => requests.iter().for_each(queued),
                Err(issues) => assert!(!issues.is_empty(), "a body is refused for no reason"),
            }
        }
    }
}

thread_local! {
    /// Bodies are read with a limit of time.
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("a runtime needs no more");
}

/// A multipart body, under the boundary `XX`. Its first byte says in which pieces it arrives.
pub(crate) fn multipart(bytes: &[u8]) {
    let Some((first, body)) = bytes.split_first() else { return };
    let read = |step| RUNTIME.with(|runtime| runtime.block_on(multipart::parts(body, step)));
    let whole = read(body.len().max(1));
    if let Err(problem) = &whole {
        refused(problem);
    }
    let cut = read(usize::from(*first).max(1));
    assert_eq!(cut, whole, "a body is another one when it comes in pieces");
}
