//! The text of a status, and the ground that it stands on.

use wa_rs::buffa::MessageField;
use wa_rs::waproto::whatsapp as wa;
use wa_rs::waproto::whatsapp::message::extended_text_message::FontType;

use crate::model::StatusFont;

/// The colours of a text's ground, unless its caller says another one, and of its letters.
const GROUND: u32 = 0xff1e_6e4f;
const WHITE: u32 = 0xffff_ffff;

/// A text on a ground. Phones write white when nothing is said.
pub(crate) fn text(text: &str, background: Option<u32>, font: Option<StatusFont>) -> wa::Message {
    let message = wa::message::ExtendedTextMessage {
        text: Some(text.to_owned()),
        background_argb: Some(background.unwrap_or(GROUND)),
        text_argb: Some(WHITE),
        font: Some(match font {
            None | Some(StatusFont::System) => FontType::SYSTEM,
            Some(StatusFont::SystemText) => FontType::SYSTEM_TEXT,
            Some(StatusFont::FbScript) => FontType::FB_SCRIPT,
            Some(StatusFont::SystemBold) => FontType::SYSTEM_BOLD,
            Some(StatusFont::Morningbreeze) => FontType::MORNINGBREEZE_REGULAR,
            Some(StatusFont::Calistoga) => FontType::CALISTOGA_REGULAR,
            Some(StatusFont::Exo2) => FontType::EXO2_EXTRABOLD,
            Some(StatusFont::Courierprime) => FontType::COURIERPRIME_BOLD,
        }),
        ..Default::default()
    };
    wa::Message { extended_text_message: MessageField::some(message), ..Default::default() }
}
