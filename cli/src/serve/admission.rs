//! Who may ask: whoever has the token; without one, pages of this program on this machine.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// What a browser can say of itself where it opens a WebSocket: no header, but protocols, one of them with the token.
pub const PROTOCOL: &str = "lipsync";
const TOKEN_PROTOCOL: &str = "token.";

/// Whether a request with such headers may pass.
pub fn is_admitted(headers: &HeaderMap, token: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    // Other sites' pages must not act in the name of whoever looks at them, nor those without a name: what is sandboxed
    // says "null".
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
        origin.is_some_and(|(_, from)| from == host)
    };
    if !origins.all(is_own) {
        return false;
    }
    let Some(token) = token else {
        // Nor where their name has come to lead here.
        return is_loopback(host);
    };
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let protocols = text(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    let mut protocols = protocols.flat_map(|protocols| protocols.split(','));
    let offered = protocols.find_map(|protocol| protocol.trim().strip_prefix(TOKEN_PROTOCOL));
    bearer
        .or(offered)
        .is_some_and(|found| is_same(found.as_bytes(), token.as_bytes()))
}

/// In a time that does not show where they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one
        .iter()
        .zip(other)
        .fold(0, |sum, (one, other)| sum | (one ^ other));
    one.len() == other.len() && differences == 0
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(HeaderName, &'static str)]) -> HeaderMap {
        let all = all.iter().cloned();
        all.map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_this_machines_own_pages_need_no_token() {
        for (host, passes) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("rebound.example:8080", false),
            ("", false),
        ] {
            let found = is_admitted(&headers(&[(header::HOST, host)]), None);
            assert_eq!(found, passes, "{host}");
        }
        for origin in ["https://evil.example", "null", "file://", "127.0.0.1:8080"] {
            let foreign = [(header::HOST, "127.0.0.1:8080"), (header::ORIGIN, origin)];
            assert!(!is_admitted(&headers(&foreign), None), "{origin}");
        }
        let own = [
            (header::HOST, "127.0.0.1:8080"),
            (header::ORIGIN, "http://127.0.0.1:8080"),
        ];
        assert!(is_admitted(&headers(&own), None));
    }

    #[test]
    fn a_token_has_to_be_the_right_one() {
        for (name, value, passes) in [
            (header::AUTHORIZATION, "Bearer 0123456789abcdef", true),
            (header::AUTHORIZATION, "Bearer 0123456789abcdeF", false),
            (header::AUTHORIZATION, "Bearer 0123456789abcde", false),
            (header::AUTHORIZATION, "0123456789abcdef", false),
            (
                header::SEC_WEBSOCKET_PROTOCOL,
                "lipsync, token.0123456789abcdef",
                true,
            ),
            (header::SEC_WEBSOCKET_PROTOCOL, "lipsync", false),
        ] {
            let found = is_admitted(&headers(&[(name, value)]), Some("0123456789abcdef"));
            assert_eq!(found, passes, "{value}");
        }
    }
}
