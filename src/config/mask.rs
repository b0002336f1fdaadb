//! URLs as people are shown them: user info and query may be credentials.

/// A URL without user info and query.
pub(crate) fn shown_url(url: &str) -> String {
    let (scheme, _, place, _) = url_parts(url);
    format!("{scheme}://{place}")
}

/// What stands for user info and query where they are not shown.
const HIDDEN: &str = "***";

/// A URL for its admin: it says that there are user info and a query, but not which. An edit that has it like this keeps
/// what is in the file.
pub(super) fn masked_url(url: &str) -> String {
    let (scheme, user, place, query) = url_parts(url);
    let user = user.map_or(String::new(), |_| format!("{HIDDEN}@"));
    let query = query.map_or(String::new(), |_| format!("?{HIDDEN}"));
    format!("{scheme}://{user}{place}{query}")
}

/// Whether parts of a URL are not shown in it.
pub(super) fn is_masked_url(url: &str) -> bool {
    let (_, user, _, query) = url_parts(url);
    user == Some(HIDDEN) || query == Some(HIDDEN)
}

/// The scheme, the user info, host and path, and the query.
fn url_parts(url: &str) -> (&str, Option<&str>, String, Option<&str>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, q)| (rest, Some(q)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    (scheme, user, format!("{host}{path}"), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_and_query_are_not_shown() {
        for (url, shown, masked) in [
            ("https://a.example/x", "https://a.example/x", "https://a.example/x"),
            ("https://u:p@a.example/x?k=1#f", "https://a.example/x", "https://***@a.example/x?***"),
            ("https://u@p@a.example", "https://a.example", "https://***@a.example"),
            ("http://[::1]:8080/x@y?", "http://[::1]:8080/x@y", "http://[::1]:8080/x@y?***"),
            ("http://a.example?x=http://b@c", "http://a.example", "http://a.example?***"),
        ] {
            assert_eq!((shown_url(url).as_str(), masked_url(url).as_str()), (shown, masked));
            assert!(!is_masked_url(url));
            assert_eq!(is_masked_url(masked), masked.contains("***"));
            assert_eq!(masked_url(masked), masked);
        }
    }
}
