//! The upstream's answer on its way to the client: as it is, without what was said for one connection only.

use http::{HeaderMap, HeaderName, Version, header};
use pingora::http::ResponseHeader;

/// Of one connection, and not always nominated (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 2] =
    [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")];

/// Takes the fields away that are the upstream connection's own, and chunks where the client can't read them.
/// Whether the client's connection has to end with this answer.
pub(super) fn relay(response: &mut ResponseHeader, client: Version) -> bool {
    for name in nominated(&response.headers).into_iter().chain(HOP_BY_HOP) {
        response.remove_header(&name);
    }
    // HTTP/1.0 knows no chunks (RFC 9112 §6.1): the body ends with the connection.
    client == Version::HTTP_10 && response.remove_header(&header::TRANSFER_ENCODING).is_some()
}

/// What `Connection` names, but for what says how the answer itself is framed or whether it upgrades.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| {
            !matches!(
                name.as_str(),
                "close" | "upgrade" | "transfer-encoding" | "content-length" | "connection"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::relay;
    use http::Version;
    use pingora::http::ResponseHeader;

    fn relayed(fields: &[(&'static str, &'static str)], client: Version) -> (Vec<String>, bool) {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        let ends = relay(&mut response, client);
        (response.headers.keys().map(ToString::to_string).collect(), ends)
    }

    #[test]
    fn fields_of_one_connection_end_here() {
        let fields = [
            ("connection", "keep-alive, X-Hop"),
            ("connection", "content-length"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("x-hop", "1"),
            ("content-length", "2"),
            ("x-stays", "1"),
        ];
        let (mut names, ends) = relayed(&fields, Version::HTTP_11);
        names.sort();
        assert_eq!((names.join(" ").as_str(), ends), ("connection content-length x-stays", false));
    }

    #[test]
    fn chunks_are_for_clients_that_know_them() {
        let fields = [("transfer-encoding", "chunked")];
        assert_eq!(relayed(&fields, Version::HTTP_11), (vec!["transfer-encoding".to_owned()], false));
        assert_eq!(relayed(&fields, Version::HTTP_10), (vec![], true));
        assert!(!relayed(&[("content-length", "2")], Version::HTTP_10).1);
    }
}
