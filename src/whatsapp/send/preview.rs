//! The preview of a link in a text: the page's title, description and picture, as the sender's phone would have fetched
//! them. Both are fetched under the same policy as callers' files. Of the page only the head is read.

use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::web_url;
use crate::task::Tasks;
use crate::whatsapp::context::Context;
use crate::whatsapp::media::fetch::Fetcher;
use crate::whatsapp::media::picture::thumbnail;
use crate::whatsapp::media::transfer::THREAD;

/// A text does not wait long for its preview, picture and all.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many bytes of a page are read.
const HEAD: usize = 256 << 10;
/// As in `#x10FFFF`, with a few zeros.
const LONGEST_ENTITY: usize = 12;
const TITLE: usize = 200;
const DESCRIPTION: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preview {
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    /// Where the page says that its picture is.
    picture: Option<String>,
    /// The picture, as a small JPEG.
    pub(crate) thumbnail: Option<Vec<u8>>,
}

/// The preview of the first link in a text; `None` when its page has no title.
pub(crate) async fn of(context: &Arc<Context>, text: &str) -> Option<Preview> {
    let end = Instant::now() + PATIENCE;
    let (url, fetcher) = (link(text)?.to_owned(), context.fetcher.clone());
    let mut preview =
        Tasks::on_thread(THREAD, move || fetch(&fetcher, &url)).await.ok().flatten()?;
    if let Some(url) = preview.picture.take() {
        let picture = tokio::time::timeout_at(end, picture(context, url, end)).await;
        preview.thumbnail = picture.ok().flatten();
    }
    Some(preview)
}

/// The small form of a picture; `None` when it cannot be had before `end`.
async fn picture(context: &Arc<Context>, url: String, end: Instant) -> Option<Vec<u8>> {
    let place = context.places.download().await;
    let worker = Arc::clone(context);
    let fetched = Tasks::on_thread(THREAD, move || {
        let _place = place;
        let mut file = worker.store.spool().scratch(&worker.name).ok()?;
        let patience = end.saturating_duration_since(Instant::now());
        worker.fetcher.fetch_within(patience, &url, &mut file).ok()?;
        Some(file)
    });
    let mut file = fetched.await.ok().flatten()?;
    let place = context.places.conversion().await;
    let small = Tasks::on_thread(THREAD, move || {
        let _place = place;
        thumbnail(&mut file).map(|small| small.jpeg)
    });
    small.await.ok().flatten()
}

/// The first link in a text.
pub(crate) fn link(text: &str) -> Option<&str> {
    let word = text.split_whitespace().find(|word| web_url(word).is_ok())?;
    let link = word.trim_end_matches(['.', ',', '!', '?', ')', ']', '"', '\'', ';', ':']);
    link.split_once("://").filter(|(_, rest)| !rest.is_empty()).map(|_| link)
}

/// Fetches the page and reads its head. `None` when there is nothing to show. Blocks.
fn fetch(fetcher: &Fetcher, url: &str) -> Option<Preview> {
    let mut head = Head(Vec::new());
    // Whatever was read before a failure is enough; usually the failure is that `Head` is full.
    drop(fetcher.fetch_within(PATIENCE, url, &mut head));
    read(url, &String::from_utf8_lossy(&head.0))
}

/// A sink that takes the beginning of a page and refuses the rest.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = HEAD - self.0.len();
        if room == 0 {
            return Err(Error::from(ErrorKind::WriteZero));
        }
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn read(url: &str, page: &str) -> Option<Preview> {
    let metas: Vec<(String, String)> = page.split('<').filter_map(meta).collect();
    let find = |names: &[&str]| {
        names.iter().find_map(|wanted| {
            let (_, content) = metas.iter().find(|(name, _)| name == wanted)?;
            Some(content.clone()).filter(|content| !content.is_empty())
        })
    };
    let title = find(&["og:title", "twitter:title"]).or_else(|| title(page))?;
    let description = find(&["og:description", "twitter:description", "description"]);
    let picture = find(&["og:image:secure_url", "og:image", "og:image:url", "twitter:image"]);
    Some(Preview {
        url: url.to_owned(),
        title: title.chars().take(TITLE).collect(),
        description: description.map(|text| text.chars().take(DESCRIPTION).collect()),
        picture: picture.and_then(|picture| absolute(url, &picture)),
        thumbnail: None,
    })
}

/// Where a link in a page leads to.
fn absolute(page: &str, link: &str) -> Option<String> {
    let (scheme, rest) = page.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let full = if link.contains("://") {
        link.to_owned()
    } else if let Some(other) = link.strip_prefix("//") {
        format!("{scheme}://{other}")
    } else if link.starts_with('/') {
        format!("{scheme}://{host}{link}")
    } else {
        let folder = rest.rsplit_once('/').map_or(rest, |(folder, _)| folder);
        format!("{scheme}://{folder}/{link}")
    };
    web_url(&full).ok()
}

/// Name and content of a `<meta>` (what follows its `<`).
fn meta(tag: &str) -> Option<(String, String)> {
    let rest = tag.get(..5).filter(|name| name.eq_ignore_ascii_case("meta "))?;
    let mut rest = tag.get(rest.len()..)?;
    let (mut name, mut content) = (None, None);
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim().rsplit([' ', '\n', '\t']).next()?.to_ascii_lowercase();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, left) = match quote {
            Some(quote) => after.get(1..)?.split_once(quote)?,
            None => after.split_once([' ', '>']).unwrap_or((after, "")),
        };
        match key.as_str() {
            "property" | "name" => name = Some(value.trim().to_ascii_lowercase()),
            "content" => content = Some(plain(value)),
            _ => {}
        }
        rest = left;
    }
    Some((name?, content?))
}

fn title(page: &str) -> Option<String> {
    let (_, after) = page
        .char_indices()
        .filter(|(_, c)| *c == '<')
        .filter_map(|(at, _)| page.get(at..)?.split_at_checked(6))
        .find(|(tag, _)| tag.eq_ignore_ascii_case("<title"))?;
    let (_, text) = after.split_once('>')?;
    let (text, _) = text.split_once('<')?;
    Some(plain(text)).filter(|text| !text.is_empty())
}

/// Text without entities, on one line.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        // Looked for nearby only: else a page of ampersands would be read once for each of them.
        let end = after.bytes().take(LONGEST_ENTITY + 1).position(|byte| byte == b';');
        let name = end.and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)));
        let known = name.and_then(|(name, left)| Some((entity(name)?, left)));
        match known {
            Some((c, left)) => {
                text.push(c);
                rest = left;
            }
            None => {
                text.push('&');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|w| !w.is_empty())
        .collect();
    words.join(" ")
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_link_is_found() {
        assert_eq!(
            link("lihat https://toko.example/a?b=1, ya"),
            Some("https://toko.example/a?b=1")
        );
        assert_eq!(link("(http://x.example)."), None, "it does not begin the word");
        assert_eq!(link("https://"), None);
        assert_eq!(link("tanpa tautan"), None);
    }

    #[test]
    fn a_page_says_what_it_is() {
        let page =
            "<html><head><TITLE>\n Toko &amp; Kopi </TITLE><meta name=description content='Buka'>";
        let shown = read("https://x.example", page).unwrap();
        assert_eq!(shown.title, "Toko & Kopi");
        assert_eq!(shown.description.as_deref(), Some("Buka"));
        let page = "<meta property=\"og:title\" content=\"Kopi &#x2615; &quot;Gayo&quot;\"/><title>x</title>\
                    <meta content=\"250 g\" property='og:description'>";
        let shown = read("https://x.example", page).unwrap();
        assert_eq!(shown.title, "Kopi ☕ \"Gayo\"");
        assert_eq!(shown.description.as_deref(), Some("250 g"));
        for (link, expected) in [
            ("https://cdn.example/a b.png", Some("https://cdn.example/a%20b.png")),
            ("//cdn.example/b.png", Some("https://cdn.example/b.png")),
            ("/c.png?v=1&amp;w=2", Some("https://x.example/c.png?v=1&w=2")),
            ("d.png", Some("https://x.example/p/d.png")),
            ("ftp://x.example/e.png", None),
        ] {
            let page = format!("<meta property='og:image' content='{link}'><title>x</title>");
            let shown = read("https://x.example/p/q?r=/s/", &page).unwrap();
            assert_eq!(shown.picture.as_deref(), expected);
        }
        assert_eq!(read("https://x.example", "\x7fELF no page"), None);
        let page = "<title>&amp;&&nbsp;x &unknown; &#x1F44B; é&é; &;</title>";
        assert_eq!(read("https://x.example", page).unwrap().title, "&& x &unknown; 👋 é&é; &;");
        let page = format!("<title>{}</title>", "&".repeat(HEAD));
        assert_eq!(read("https://x.example", &page).unwrap().title, "&".repeat(TITLE));
    }

    proptest! {
        #[test]
        fn nothing_breaks_on_garbage(parts in proptest::collection::vec(0usize..8, 0..20), noise: String) {
            let words = ["<meta ", "content=", "\"", "'", "<title", ">", "&#", "property=og:title"];
            let page = parts.iter().flat_map(|part| [words[*part], &noise]).collect::<String>();
            let _ = read("https://x.example", &page);
            let _ = link(&page);
        }
    }
}
