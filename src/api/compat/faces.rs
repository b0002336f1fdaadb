//! All faces, and which of them a request is for. moonwa's own paths always come first, and a face that is off has none.
//!
//! Some paths stand in the API of two products. A request goes to the face whose callers put their key as this one does
//! (see `Face::key`); where that decides nothing, to one that offers the operation; and where two do, to the one that
//! stands first in `server.faces`.

use hyper::Method;
use hyper::http::request::Parts;

use super::face::Face;
use super::{evolution, gowa, waha, wuzapi};
use crate::api::call::PathValues;
use crate::api::http::problem::Problem;
use crate::api::route::{Route, Verb, values};
use crate::config::FaceName;

static ALL: &[&Face] = &[&waha::FACE, &gowa::FACE, &evolution::FACE, &wuzapi::FACE];

/// What a request asks of a face.
pub(crate) struct Asked {
    pub(crate) face: &'static Face,
    /// The operation; none when the product has it, and moonwa does not offer it.
    pub(crate) route: Option<(&'static Route, PathValues)>,
}

/// The tables of all faces as search trees.
pub(crate) struct Faces(Vec<(&'static Face, matchit::Router<Vec<&'static Route>>)>);

impl Faces {
    #[expect(clippy::expect_used, reason = "the tables are constant and a test builds them")]
    pub(crate) fn new() -> Self {
        let tree = |face: &'static Face| {
            let mut router = matchit::Router::new();
            for (place, route) in face.routes.iter().enumerate() {
                if face.routes.iter().take(place).any(|earlier| earlier.path == route.path) {
                    continue;
                }
                let same: Vec<_> =
                    face.routes.iter().filter(|other| other.path == route.path).collect();
                router.insert(route.path, same).expect("paths do not conflict");
            }
            (face, router)
        };
        Self(ALL.iter().copied().map(tree).collect())
    }

    /// The face that a request is for, among those that are on; `path` is below the base path.
    pub(crate) fn find(
        &self,
        on: &[FaceName],
        head: &Parts,
        path: &str,
    ) -> Result<Option<Asked>, Problem> {
        if head.method == Method::OPTIONS {
            return Ok(None);
        }
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        let root = path.split('/').nth(1).unwrap_or_default();
        let mut best: Option<((bool, bool), &'static Face, Option<_>)> = None;
        for name in on {
            let Some((face, router)) = self.0.iter().find(|(face, _)| face.name == *name) else {
                continue;
            };
            let matched = router.at(path).ok();
            let verb = Verb::of(&head.method);
            let found = matched.and_then(|matched| {
                let route = matched.value.iter().find(|route| Some(route.verb) == verb)?;
                Some((*route, matched.params))
            });
            if found.is_none() && !face.roots.contains(&root) {
                continue;
            }
            let rank = ((face.key)(head).is_some(), found.is_some());
            if best.as_ref().is_none_or(|(best, ..)| rank > *best) {
                best = Some((rank, face, found));
            }
        }
        let Some((_, face, found)) = best else { return Ok(None) };
        let route = match found {
            Some((route, params)) => Some((route, values(route, &params)?)),
            None => None,
        };
        Ok(Some(Asked { face, route }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::call::PathName;
    use crate::api::route::{ROUTES, names};

    fn asked(
        on: &[FaceName],
        method: &str,
        path: &str,
    ) -> Option<(FaceName, Option<&'static str>)> {
        let head = hyper::Request::builder().method(method).uri(path).body(()).unwrap();
        let asked = Faces::new().find(on, &head.into_parts().0, path).unwrap()?;
        Some((asked.face.name, asked.route.map(|(route, _)| route.label)))
    }

    #[test]
    fn a_face_that_is_off_has_no_paths() {
        let gowa = FaceName::Gowa;
        assert_eq!(asked(&[], "POST", "/send/message"), None);
        assert_eq!(asked(&[gowa], "POST", "/send/message"), Some((gowa, Some("GowaSendText"))));
        assert_eq!(asked(&[gowa], "POST", "/send/message/"), Some((gowa, Some("GowaSendText"))));
        assert_eq!(asked(&[gowa], "POST", "/send/hologram"), Some((gowa, None)));
        assert_eq!(asked(&[gowa], "GET", "/send/message"), Some((gowa, None)));
        assert_eq!(asked(&[gowa], "GET", "/index.html"), None);
        assert_eq!(asked(&[gowa], "OPTIONS", "/send/message"), None);
    }

    #[test]
    fn a_path_of_two_products_goes_to_the_one_whose_key_it_has() {
        let find = |on: &[FaceName], header: &str| {
            let head = hyper::Request::builder().uri("/ping").header(header, "Basic YTpi");
            let head = head.body(()).unwrap().into_parts().0;
            Faces::new().find(on, &head, "/ping").unwrap().map(|asked| asked.face.name)
        };
        let both = [FaceName::Gowa, FaceName::Waha];
        assert_eq!(find(&both, "x-api-key"), Some(FaceName::Waha));
        // Only WAHA has this path at all.
        assert_eq!(find(&both, "authorization"), Some(FaceName::Waha));
        assert_eq!(find(&both[..1], "x-api-key"), None);
    }

    /// The page for people who come from these products has each operation in a table, and no others.
    #[test]
    fn the_page_for_those_who_move_has_every_operation() {
        let page = include_str!("../../../.github/migrate.md");
        let plain = |path: &str| {
            let steps = path.split('/');
            let steps = steps.map(|step| if step.starts_with('{') { "{}" } else { step });
            steps.collect::<Vec<_>>().join("/")
        };
        for (face, product) in ALL.iter().zip(["WAHA", "GOWA", "Evolution API", "wuzapi"]) {
            let section = page.split("\n## From ").find(|section| section.starts_with(product));
            let rows = section.unwrap().lines().filter(|line| line.starts_with("| "));
            let first = rows.filter_map(|row| row.split(" | ").next());
            let words = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
            let told: BTreeSet<_> = words
                .filter(|word| word.contains(" /"))
                .map(|word| word.split_once(' ').map(|(verb, path)| (verb.to_owned(), plain(path))))
                .collect();
            let offered = face.routes.iter();
            let verb = |route: &Route| format!("{:?}", route.verb).to_uppercase();
            let offered = offered.map(|route| Some((verb(route), plain(route.path))));
            assert_eq!(told, offered.collect(), "{product}");
        }
    }

    #[test]
    fn every_table_is_sound_and_hides_nothing_of_moonwas_own() {
        let mut labels: BTreeSet<&str> = ROUTES.iter().map(|route| route.label).collect();
        let own: BTreeSet<_> = ROUTES.iter().map(|route| (route.verb, route.path)).collect();
        for face in ALL {
            for route in face.routes {
                assert!(labels.insert(route.label), "{} is there twice", route.label);
                assert!(!own.contains(&(route.verb, route.path)), "{}", route.path);
                let root = route.path.split('/').nth(1).unwrap();
                assert!(face.roots.contains(&root), "{} is below no root", route.path);
                let known = names(route.path).all(|name| PathName::parse(name).is_some());
                assert!(known, "{}", route.path);
            }
            // A file of the page has a dot in its name or lies in a folder that no product has.
            for root in face.roots {
                assert!(!root.contains('.') && *root != "view" && *root != "v1", "{root}");
            }
        }
    }
}
