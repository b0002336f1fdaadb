//! What a person types to stop another gateway so that it stays stopped, and its phone linked.

use super::session::ForeignSession;
use super::source::Source;

const CONTAINER: &str = "docker update --restart=no CONTAINER && docker stop CONTAINER";

struct Product {
    name: &'static str,
    /// Of which library its sessions are.
    library: &'static str,
    /// A word in the path of its sessions that others do not have.
    path: &'static str,
    stop: &'static str,
}

/// A product whose path fits stands before those that may be it.
const PRODUCTS: [Product; 8] = [
    Product {
        name: "WAHA (GOWS)",
        library: "whatsmeow",
        path: "gows",
        stop: "curl -X POST -H 'X-Api-Key: KEY' http://HOST:3000/api/sessions/NAME/stop",
    },
    Product {
        name: "WAHA (NOWEB)",
        library: "Baileys",
        path: "noweb",
        stop: "curl -X POST -H 'X-Api-Key: KEY' http://HOST:3000/api/sessions/NAME/stop",
    },
    Product { name: "GOWA", library: "whatsmeow", path: "storages", stop: CONTAINER },
    Product { name: "wuzapi", library: "whatsmeow", path: "dbdata", stop: CONTAINER },
    Product { name: "quepasa", library: "whatsmeow", path: "quepasa", stop: CONTAINER },
    Product { name: "Evolution", library: "Baileys", path: "instances", stop: CONTAINER },
    Product {
        name: "a bot with Baileys",
        library: "Baileys",
        path: "auth_info",
        stop: "pm2 stop NAME && pm2 save",
    },
    Product { name: "waxum", library: "whatsapp-rust", path: "whatsapp.db", stop: CONTAINER },
];

/// A line for each product that these sessions may be of.
pub(crate) fn lines(source: &Source, sessions: &[ForeignSession]) -> Vec<String> {
    let place = match source {
        Source::Files(path) => path.display().to_string(),
        Source::Upload(_) | Source::Server(_) => String::new(),
    };
    let is_of = |product: &&Product| {
        sessions
            .iter()
            .any(|session| session.product == product.library || product.name == session.product)
    };
    let is_at = |product: &&Product| {
        let path = |path: &str| path.split('/').any(|part| part.contains(product.path));
        path(&place)
            || sessions
                .iter()
                .flat_map(|session| &session.files)
                .any(|file| path(&file.display().to_string()))
    };
    let possible: Vec<_> = PRODUCTS.iter().filter(is_of).collect();
    let sure: Vec<_> = possible.iter().copied().filter(is_at).collect();
    let named = if sure.is_empty() { possible } else { sure };
    let mut lines: Vec<_> =
        named.iter().map(|product| format!("{}: {}", product.name, product.stop)).collect();
    lines.push("Where systemd runs it: systemctl disable --now SERVICE".to_owned());
    lines.push(
        "Do not log out or delete the session there: that unlinks the phone, and nothing is left to adopt."
            .to_owned(),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_known_by_where_its_sessions_are() {
        for product in &PRODUCTS {
            let source = Source::Files(format!("/srv/{}/x", product.path).into());
            let session = |path: &str| {
                let device = Err(anyhow::anyhow!("unread"));
                let session = ForeignSession::new(product.library, "x".to_owned(), device);
                ForeignSession { files: vec![path.into()], ..session }
            };
            let said = lines(&source, &[session("/x")]);
            assert_eq!(said[0], format!("{}: {}", product.name, product.stop));
            assert!(said[1].starts_with("Where systemd runs it"), "{said:?}");
            // Wherever they are, all that it may be are named.
            let said = lines(&Source::Upload("/x".into()), &[session("/x")]);
            assert!(said.iter().any(|line| line.starts_with(product.name)), "{said:?}");
        }
    }
}
