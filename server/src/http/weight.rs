//! How much somebody wants what a header of his names (RFC 9110, section 12.4.2).

use axum::http::{HeaderMap, HeaderName};

/// What all headers of that name list, and how much each of it is wanted, in thousandths: all of them unless said otherwise,
/// 0 for not at all.
pub(super) fn listed<'a>(
    request: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, u16)> + use<'a> {
    let lines = request.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    let items = lines.flat_map(|line| line.split(',')).map(|item| (named(item), of(item)));
    items.filter(|(named, _)| !named.is_empty())
}

/// `text/html` of `text/html; level=1;q=0.5`.
fn named(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

/// 500 of `text/html; level=1;q=0.5`; what is no weight counts as none.
fn of(item: &str) -> u16 {
    let weight =
        item.split(';').skip(1).find_map(|part| part.trim().strip_prefix(['q', 'Q'])?.strip_prefix('='));
    let read = |weight: &str| {
        weight.trim().parse().map_or(0, |weight: f32| (weight.clamp(0.0, 1.0) * 1000.0) as u16)
    };
    weight.map_or(1000, read)
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT_ENCODING;

    use super::*;

    #[test]
    fn weights_of_all_lines_are_read() {
        let mut request = HeaderMap::new();
        for line in ["gzip; Q=0.5,br ,, ;q=1", "zstd;x=1; q=0", "*;q=much"] {
            request.append(ACCEPT_ENCODING, line.parse().unwrap());
        }
        let found: Vec<_> = listed(&request, &ACCEPT_ENCODING).collect();
        assert_eq!(found, [("gzip", 500), ("br", 1000), ("zstd", 0), ("*", 0)]);
    }
}
