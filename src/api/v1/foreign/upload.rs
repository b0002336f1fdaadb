//! Files of another gateway as they arrive, into a folder that vanishes with the request.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::api::call::Call;
use crate::api::http::multipart::Multipart;
use crate::api::http::problem::{Code, Problem};
use crate::api::http::request::next_piece;
use crate::api::v1::message::upload::failed;
use crate::model::end_of_path;
use crate::store::Folder;

/// The most bytes of all files together.
const MOST: u64 = 256 << 20;
/// The most files: Baileys keeps every pre-key in one.
const MOST_FILES: usize = 4096;
/// How long it may take: 256 MiB at 400 kB/s.
const WHOLE: Duration = Duration::from_mins(12);

/// What the readers know a file of Baileys' by. Databases may be called anything.
const CREDENTIALS: &str = "creds.json";

/// The files in a request: those of a form, or the one that the body is.
pub(super) async fn receive(call: &mut Call) -> Result<Folder, Problem> {
    let spool = call.state.api.store.spool();
    let folder = spool.folder(&call.state.api.tasks).await.map_err(failed)?;
    let mut files = Files { folder, size: 0, names: Vec::new(), start: Vec::new() };
    if call.has_type("multipart/form-data") {
        files.parts(call).await?;
    } else {
        files.whole(call).await?;
    }
    files.done().await
}

struct Files {
    folder: Folder,
    size: u64,
    names: Vec<String>,
    /// The first bytes of the first file.
    start: Vec<u8>,
}

impl Files {
    async fn parts(&mut self, call: &mut Call) -> Result<(), Problem> {
        let content_type = call.header("content-type").unwrap_or_default().to_owned();
        let multipart = Multipart::open(&content_type, call.body()?, WHOLE)?;
        let mut multipart = multipart.with_parts(MOST_FILES);
        while let Some(part) = multipart.next().await? {
            if part.name != "file" {
                return Err(Problem::field(&part.name, "unknown field"));
            }
            let name = part.filename.as_deref().and_then(end_of_path);
            let name = name.filter(|name| !matches!(name.as_str(), "." | ".."));
            let name = name.unwrap_or_else(|| format!("file-{}", self.names.len() + 1));
            let mut file = self.begin(&name).await?;
            while let Some(piece) = multipart.piece().await? {
                self.write(&mut file, &piece).await?;
            }
            self.folder.close(file).await.map_err(failed)?;
        }
        if self.names.is_empty() {
            return Err(Problem::field("file", "required"));
        }
        Ok(())
    }

    async fn whole(&mut self, call: &mut Call) -> Result<(), Problem> {
        let mut body = pin!(call.body()?);
        let deadline = Instant::now() + WHOLE;
        let mut file = self.begin("file").await?;
        while let Some(piece) = next_piece(body.as_mut(), deadline).await? {
            self.write(&mut file, &piece).await?;
        }
        self.folder.close(file).await.map_err(failed)
    }

    async fn begin(&mut self, name: &str) -> Result<tokio::fs::File, Problem> {
        let file = self.folder.file(name).await.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                unreadable(format!("two files are called {name:?}: send those of one session"))
            }
            ErrorKind::InvalidFilename => unreadable(format!("{name:?} is too long for a name")),
            _ => failed(error),
        })?;
        self.names.push(name.to_owned());
        Ok(file)
    }

    async fn write(&mut self, file: &mut tokio::fs::File, piece: &Bytes) -> Result<(), Problem> {
        self.size += piece.len() as u64;
        if self.size > MOST {
            let detail = format!(
                "the files have at most {MOST} bytes here; moonwa adopt, on moonwa's machine, takes larger ones"
            );
            return Err(Problem::new(Code::TooLarge, detail));
        }
        if self.names.len() == 1 {
            self.start.extend(piece.iter().take(64));
        }
        self.folder.write(file, piece).await.map_err(failed)
    }

    /// Of a file that came alone the name says nothing: browsers and phones change it.
    async fn done(self) -> Result<Folder, Problem> {
        if self.size == 0 {
            return Err(unreadable("there is nothing in it".to_owned()));
        }
        if let [name] = self.names.as_slice()
            && self.start.trim_ascii_start().starts_with(b"{")
        {
            self.folder.rename(name, CREDENTIALS).await.map_err(failed)?;
        }
        Ok(self.folder)
    }
}

/// What was sent is no session that can be adopted; why.
pub(super) fn unreadable(why: String) -> Problem {
    Problem::new(Code::SourceUnreadable, why)
}
