//! What a message has beside its text and its file, kind by kind. The names of the fields are those of the JSON.

#![expect(clippy::struct_field_names, reason = "the names are those of the JSON")]

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cap::{Cap, Part};

macro_rules! structs {
    ($shown:meta: $($(#[$about:meta])* $name:ident { $($(#[$how:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(#[$shown] $(#[$how])* pub $field: $type,)*
        }

        impl Part for $name {
            fn shorten(&mut self, cap: &mut Cap) {
                $(self.$field.shorten(cap);)*
            }
        }
    )*};
}

// What is not known is left out of these.
structs! { serde(skip_serializing_if = "Part::is_left_out"):
    /// The message that this one is about.
    Target {
        message: Option<String>,
        author: Option<String>,
    }

    /// What can be said of a message of any kind: how it is shown, and where it came from.
    Circumstances {
        /// What it edits or answers.
        #[serde(flatten)]
        about: Target,
        view_once: Option<bool>,
        forwarded: Option<bool>,
        group_status: Option<bool>,
        /// The album that it belongs to.
        album: Option<String>,
        comment_on: Option<String>,
        /// WhatsApp's number for a post in a channel, by which it is reacted to.
        post: Option<i32>,
        ad: Option<Ad>,
    }

    /// A press on a button or a list's row, when the text is one.
    Pressed {
        selected: Option<String>,
        flow: Option<String>,
        params: Option<Value>,
    }

    Film {
        seconds: Option<u32>,
        gif: Option<bool>,
    }

    Sound {
        seconds: Option<u32>,
    }

    Place {
        latitude: Option<f64>,
        longitude: Option<f64>,
        name: Option<String>,
        address: Option<String>,
    }

    MovingPlace {
        latitude: Option<f64>,
        longitude: Option<f64>,
        /// In metres.
        accuracy: Option<u32>,
    }

    Contacts {
        contacts: Vec<Card>,
    }

    Poll {
        options: Vec<String>,
        selectable: Option<u32>,
        /// The right answer of a quiz.
        correct: Option<String>,
    }

    PollResult {
        options: Option<Vec<Votes>>,
    }

    PollVote {
        #[serde(flatten)]
        poll: Target,
        /// What was chosen, when the vote could be read.
        options: Option<Vec<String>>,
    }

    EventResponse {
        #[serde(flatten)]
        event: Target,
        /// What was answered, when it could be read.
        response: Option<String>,
        /// Who comes along.
        guests: Option<i32>,
    }

    PollOption {
        #[serde(flatten)]
        poll: Target,
        option: Option<String>,
    }

    Reaction {
        #[serde(flatten)]
        about: Target,
        emoji: String,
    }

    Pin {
        #[serde(flatten)]
        about: Target,
        pinned: bool,
    }

    Keep {
        #[serde(flatten)]
        about: Target,
        kept: bool,
    }

    Album {
        images: Option<u32>,
        videos: Option<u32>,
    }

    StickerPack {
        pack: Option<String>,
        publisher: Option<String>,
        stickers: usize,
    }

    Happening {
        start: Option<i64>,
        end: Option<i64>,
        canceled: Option<bool>,
        join_link: Option<String>,
        location: Option<Venue>,
    }

    EventInvite {
        event: Option<String>,
        start: Option<i64>,
        end: Option<i64>,
    }

    GroupInvite {
        group: Option<String>,
        name: Option<String>,
        code: Option<String>,
        expires: Option<i64>,
    }

    ChannelInvite {
        channel: Option<String>,
        name: Option<String>,
        admin: bool,
    }

    ScheduledCall {
        start_ms: Option<i64>,
        call: Option<String>,
    }

    CallLog {
        video: Option<bool>,
        outcome: Option<String>,
        seconds: Option<i64>,
    }

    Buttons {
        buttons: Option<Vec<Button>>,
    }

    List {
        button: Option<String>,
        rows: Option<Vec<Row>>,
        products: Option<Vec<Id>>,
    }

    Template {
        buttons: Option<Vec<Button>>,
        cards: Option<Vec<CarouselCard>>,
        shop: Option<String>,
        collection: Option<String>,
        template: Option<String>,
        params: Option<Params>,
    }

    Interactive {
        buttons: Option<Vec<Button>>,
        params: Option<Value>,
        cards: Option<Vec<CarouselCard>>,
        shop: Option<String>,
        collection: Option<String>,
    }

    /// A button of a flow: its parameters, and what they say if they are known.
    FlowButton {
        name: Option<String>,
        id: Option<String>,
        text: Option<String>,
        url: Option<String>,
        phone: Option<String>,
        code: Option<String>,
        params: Value,
    }

    Product {
        product: Option<String>,
        retailer_id: Option<String>,
        price: Option<Price>,
        sale_price: Option<Price>,
        url: Option<String>,
        business: Option<String>,
    }

    Order {
        order: Option<String>,
        items: Option<i32>,
        status: Option<String>,
        price: Option<Price>,
        seller: Option<String>,
    }

    PaymentRequest {
        amount: Option<Price>,
        from: Option<String>,
        expires: Option<i64>,
    }

    Amount {
        amount: Option<Price>,
    }

    PaymentInvite {
        expires: Option<i64>,
    }

    Unavailable {
        r#type: String,
    }

    Unsupported {
        r#type: String,
        raw: Option<Value>,
    }
}

// What is not known is null in these.
structs! { serde():
    /// The advertisement that somebody came from.
    Ad {
        source_id: Option<String>,
        ctwa_clid: Option<String>,
        title: Option<String>,
        url: Option<String>,
    }

    Card {
        name: Option<String>,
        vcard: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        phones: Option<Vec<String>>,
    }

    Votes {
        option: Option<String>,
        votes: Option<i64>,
    }

    Venue {
        latitude: Option<f64>,
        longitude: Option<f64>,
        name: Option<String>,
        address: Option<String>,
    }

    Row {
        id: Option<String>,
        title: Option<String>,
        description: Option<String>,
    }

    Id {
        id: Option<String>,
    }

    CarouselCard {
        text: Option<String>,
        #[serde(flatten)]
        shown: Interactive,
    }

    /// An amount as people write it.
    Price {
        amount: Option<String>,
        currency: Option<String>,
    }
}

/// A button that a business sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Button {
    /// One that is answered with its id.
    Answer {
        id: Option<String>,
        text: Option<String>,
    },
    Link {
        text: Option<String>,
        url: Option<String>,
    },
    Call {
        text: Option<String>,
        phone: Option<String>,
    },
    Flow(FlowButton),
}

impl Part for Button {
    fn shorten(&mut self, cap: &mut Cap) {
        match self {
            Self::Answer { id: one, text: other }
            | Self::Link { text: one, url: other }
            | Self::Call { text: one, phone: other } => {
                one.shorten(cap);
                other.shorten(cap);
            }
            Self::Flow(button) => button.shorten(cap),
        }
    }
}

/// What a template is filled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Params {
    Words(Vec<String>),
    Flow(Value),
}

impl Part for Params {
    fn shorten(&mut self, cap: &mut Cap) {
        match self {
            Self::Words(words) => words.shorten(cap),
            Self::Flow(value) => value.shorten(cap),
        }
    }
}
