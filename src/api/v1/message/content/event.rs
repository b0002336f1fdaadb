//! An event, to which people are invited, as callers write it.

use serde::Deserialize;
use serde_json::Number;

use super::issues::Issues;
use crate::model::{Content, EventPlace, UnixMillis, web_url};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventBody {
    name: String,
    description: Option<String>,
    start: String,
    end: Option<String>,
    location: Option<EventLocationBody>,
    link: Option<String>,
}

/// Where it takes place: a name, a point, or both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventLocationBody {
    name: Option<String>,
    address: Option<String>,
    latitude: Option<Number>,
    longitude: Option<Number>,
}

impl EventBody {
    pub(super) fn content(self, issues: &mut Issues) -> Content {
        let Self { name, description, start, end, location, link } = self;
        issues.text("event.name", &name);
        let mut time = |path, text: &str| {
            let time = UnixMillis::parse(text);
            if time.is_none() {
                issues.add(path, "a time with its zone, as in 2026-12-01T19:00:00+07:00");
            }
            time
        };
        let start = time("event.start", &start);
        let end = end.and_then(|end| time("event.end", &end));
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            issues.add("event.end", "not before the start");
        }
        let link = link.map(|link| {
            web_url(&link).unwrap_or_else(|error| {
                issues.add("event.link", error);
                link
            })
        });
        Content::Event {
            name,
            description: description.filter(|text| !text.trim().is_empty()),
            start: start.unwrap_or_default(),
            end,
            place: location.map(|location| location.place(issues)),
            link,
        }
    }
}

impl EventLocationBody {
    fn place(self, issues: &mut Issues) -> EventPlace {
        let Self { name, address, latitude, longitude } = self;
        let degrees = match (latitude, longitude) {
            (Some(latitude), Some(longitude)) => {
                issues.degrees("event.location.latitude", &latitude, 90.0);
                issues.degrees("event.location.longitude", &longitude, 180.0);
                Some((latitude.to_string(), longitude.to_string()))
            }
            (None, None) => {
                if name.as_ref().is_none_or(|name| name.trim().is_empty()) {
                    issues.add("event.location", "give its name, or latitude and longitude");
                }
                None
            }
            _ => {
                issues.add("event.location", "give both latitude and longitude");
                None
            }
        };
        EventPlace { name, address, degrees }
    }
}
