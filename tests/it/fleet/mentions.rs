//! Whom a message mentions, as a group's phones understand it.

use super::files::Story;
use super::support::{text_to, to};
use anyhow::{Context as _, Result};
use moonwa::facade::model::{Content, MediaKind, Recipient, SendRequest};
use moonwa_simulator::{Phone, wa};

fn said(message: &wa::Message) -> Result<(String, Vec<String>)> {
    let text = message.extended_text_message.as_option().context("a text")?;
    let context = text.context_info.as_option().context("a context")?;
    let mut mentioned = context.mentioned_jid.clone();
    mentioned.sort();
    Ok((text.text.clone().unwrap_or_default(), mentioned))
}

fn sorted(phones: &[&Phone]) -> Vec<String> {
    let mut lids: Vec<String> = phones.iter().map(|phone| phone.lid()).collect();
    lids.sort();
    lids
}

#[tokio::test]
async fn a_group_by_lid_is_told_of_its_members_by_lid() -> Result<()> {
    let story = Story::begin(14).await?;
    let carl = story.sim.phone("628111000341", "Carl").await;
    let group = story.sim.group("Tim", &[&story.ann, &story.bob, &carl]).await?;
    let (bob, jid) = (&story.bob, group.jid());
    let lid = |phone: &Phone| phone.lid().trim_end_matches("@lid").to_owned();
    let mentions = |who: &[&str]| -> Result<Vec<Recipient>> {
        who.iter().map(|who| Ok(Recipient::parse(who, None)?)).collect()
    };

    let text = format!("@{} dan @{}, ada stok? @628999", bob.number(), lid(&carl));
    let request =
        SendRequest { mentions: mentions(&[bob.number(), &carl.lid()])?, ..text_to(&jid, &text) };
    let (text, mentioned) = said(&story.sent(request).await?.message)?;
    assert_eq!(text, format!("@{} dan @{}, ada stok? @628999", lid(bob), lid(&carl)));
    assert_eq!(mentioned, sorted(&[bob, &carl]));

    let stranger = SendRequest { mentions: mentions(&["628999000111"])?, ..text_to(&jid, "halo") };
    let (_, mentioned) = said(&story.sent(stranger).await?.message)?;
    assert_eq!(mentioned, ["628999000111@s.whatsapp.net"], "nobody whom the group knows");

    let content = Content::Media {
        as_document: false,
        media: MediaKind::Document,
        source: story.gateway.uploaded(b"%PDF-1.7").await?,
        mime: None,
        filename: None,
        caption: Some(format!("untuk @{}", bob.number())),
        thumbnail: None,
    };
    let request = SendRequest { mentions: mentions(&[bob.number()])?, ..to(&jid, content) };
    let got = story.sent(request).await?.message;
    let document = got.document_message.as_option().context("a document")?;
    assert_eq!(document.caption.as_deref(), Some(format!("untuk @{}", lid(bob)).as_str()));

    let person =
        SendRequest { mentions: mentions(&[bob.number()])?, ..text_to(bob.number(), "kamu") };
    let (_, mentioned) = said(&story.sent(person).await?.message)?;
    assert_eq!(mentioned, [bob.jid()], "no group");
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn all_mentions_every_member() -> Result<()> {
    let story = Story::begin(15).await?;
    let carl = story.sim.phone("628111000342", "Carl").await;
    let group = story.sim.group("Tim", &[&story.ann, &story.bob]).await?;
    let everybody = || SendRequest { mention_all: true, ..text_to(&group.jid(), "rapat jam 8") };
    let (text, mentioned) = said(&story.sent(everybody()).await?.message)?;
    assert_eq!(text, "rapat jam 8");
    assert_eq!(mentioned, sorted(&[&story.ann, &story.bob]));
    group.add(&story.ann, &[&carl]).await?;
    story.gateway.expect_change(&group.jid(), "add").await;
    let (_, mentioned) = said(&story.sent(everybody()).await?.message)?;
    assert_eq!(mentioned, sorted(&[&story.ann, &story.bob, &carl]), "who joined later, too");
    story.end().await;
    Ok(())
}
