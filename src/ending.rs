//! The ends of streams, as Envoy's attributes `response.code_details`, `response.code` and
//! `response.flags` tell of them: by them a response is counted once, as its client got it.

use crate::metrics::Class;
use crate::request::{Request, trim};

/// The kind of a response, by its request: each has an end of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It ends with its body.
    Plain,
    /// gRPC over HTTP/2: it ends with `grpc-status`, in the trailers or in the headers.
    Grpc,
    /// gRPC-Web as the client sends it: a `grpc-status` may be in the headers, or in the body.
    GrpcWeb,
    /// Server-sent events: they go on until the client leaves.
    Events,
    /// An upgrade, such as to WebSocket: once it is accepted, either side may end it.
    Upgrade,
    /// The tunnel of a CONNECT: once it is accepted, either side may end it.
    Connect,
}

impl Kind {
    /// The kind of the response to a request.
    pub(crate) fn of(request: &impl Request) -> Self {
        // `:method` is as long as `upgrade`.
        const LENGTHS: u64 = 1 << "accept".len() | 1 << "upgrade".len() | 1 << "content-type".len();
        let kind = |name: &[u8], value: &[u8]| match name {
            b"content-type" => grpc(value),
            b"accept" => accepts_events(value).then_some(Kind::Events),
            b"upgrade" => Some(Kind::Upgrade),
            b":method" => (value == b"CONNECT").then_some(Kind::Connect),
            _ => None,
        };
        request.find_field_of_lengths(LENGTHS, kind).unwrap_or(Kind::Plain)
    }

    /// The first bytes of the status that opens a tunnel, of which no end is an error.
    pub(crate) fn opens_with(self) -> Option<&'static [u8]> {
        match self {
            Kind::Upgrade => Some(b"101"),
            Kind::Connect => Some(b"2"),
            Kind::Plain | Kind::Grpc | Kind::GrpcWeb | Kind::Events => None,
        }
    }

    /// Whether the response's headers may say how a call went.
    pub(crate) fn is_grpc(self) -> bool {
        matches!(self, Kind::Grpc | Kind::GrpcWeb)
    }
}

/// The kind of a call, by its content type: `application/grpc`, with or without an encoding.
fn grpc(content_type: &[u8]) -> Option<Kind> {
    match content_type.strip_prefix(b"application/grpc")? {
        [] | [b'+' | b';', ..] => Some(Kind::Grpc),
        [b'-', ..] => Some(Kind::GrpcWeb),
        _ => None,
    }
}

/// Whether one of the types in an `accept` header is that of server-sent events.
fn accepts_events(value: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|part| trim(part).starts_with(b"text/event-stream"))
}

/// The `grpc-status` in a header or trailer; one that is no number means UNKNOWN.
pub(crate) fn grpc_status(value: &[u8]) -> u16 {
    const UNKNOWN: u16 = 2;
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(UNKNOWN)
}

/// `response.code_details` of a stream that Envoy runs again, whatever the reason.
pub(crate) const RERUN: &[u8] = b"internal_redirect";

/// `response.code_details` of most complete responses.
pub(crate) const COMPLETE: &[u8] = b"via_upstream";

/// The end of a stream that is not run again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'d> {
    /// `response.code_details`, empty if there are none.
    pub(crate) details: &'d [u8],
    /// `response.code`; `None` if no response headers were sent to the client.
    pub(crate) code: Option<u16>,
    /// `response.flags`; 0 will do where the details say that the response is complete.
    pub(crate) flags: u64,
    /// The `grpc-status` of a call.
    pub(crate) grpc_status: Option<u16>,
}

/// A flag of Envoy's `CoreResponseFlag`, by its number.
const fn flag(number: u32) -> u64 {
    1 << number
}

/// DC and DR: the client went away, or reset its stream.
const CLIENT_LEFT: u64 = flag(14) | flag(28);

/// LR, UR, UF, UC, UPE and OM. Behind an error they are the reason for Envoy's own response, which is
/// complete; behind any other status they ended the response.
const BROKEN_OFF: u64 = flag(3) | flag(4) | flag(5) | flag(6) | flag(23) | flag(25);

/// UT, SI, DPE, UMSDR and DT. Behind a status that is no error they ended the response as well, but its
/// client can be the reason: by reading so slowly that a time runs out, or by what it sent.
const ENDED_BY_EITHER: u64 = flag(2) | flag(16) | flag(18) | flag(21) | flag(22);

impl Ending<'_> {
    /// The class of the response; `None` where its client may have ended it, which tells nothing of the
    /// variant.
    pub(crate) fn class(&self, kind: Kind) -> Option<Class> {
        let left = self.flags & CLIENT_LEFT != 0;
        let Some(code) = self.code else { return (!left).then_some(Class::Reset) };
        if self.details != COMPLETE && self.grpc_status.is_none() {
            if self.details.starts_with(b"upstream_reset_after_response_started") {
                return Some(Class::Reset);
            }
            // Of an error the status alone says enough.
            if left && kind != Kind::Events && code < 500
                || code < 400 && self.flags & ENDED_BY_EITHER != 0
            {
                return None;
            }
            if code < 400 && self.flags & BROKEN_OFF != 0 {
                return Some(Class::Reset);
            }
        }
        Some(match (kind, self.grpc_status) {
            (_, Some(status)) => Class::of(code, Some(status)),
            // The stream of a call ended without a status.
            (Kind::Grpc, None) if code == 200 => Class::Reset,
            (_, None) => Class::of(code, None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeaderList;

    /// The details and flags are those of Envoy 1.40.0.
    #[test]
    fn a_response_is_counted_as_its_client_got_it() {
        let after = "upstream_reset_after_response_started{protocol_error}";
        let before = "upstream_reset_before_response_started{connection_termination}";
        let left = "downstream_remote_disconnect";
        for (details, code, flags, kind, expected) in [
            ("via_upstream", Some(200), 0, Kind::Plain, Class::Success),
            ("via_upstream", Some(302), 0, Kind::Plain, Class::Redirect),
            ("via_upstream", Some(404), 0, Kind::Plain, Class::ClientError),
            ("direct_response", Some(200), 0, Kind::Plain, Class::Success),
            ("cluster_not_found", Some(503), 1 << 24, Kind::Plain, Class::ServerError),
            (before, Some(503), 1 << 6, Kind::Plain, Class::ServerError),
            ("stream_idle_timeout", Some(504), 1 << 16, Kind::Plain, Class::ServerError),
            ("stream_idle_timeout", Some(408), 1 << 16, Kind::Plain, Class::ClientError),
            (after, Some(200), 1 << 23, Kind::Plain, Class::Reset),
            (after, Some(404), 1 << 6, Kind::Plain, Class::Reset),
            (after, Some(200), 1 << 6, Kind::Events, Class::Reset),
            (left, Some(503), 1 << 14, Kind::Plain, Class::ServerError),
            (left, Some(200), 1 << 14, Kind::Events, Class::Success),
            (left, Some(503), 1 << 14, Kind::Events, Class::ServerError),
            ("", None, 0, Kind::Plain, Class::Reset),
            ("via_upstream", Some(503), 0, Kind::Grpc, Class::ServerError),
            ("via_upstream", Some(200), 0, Kind::Grpc, Class::Reset),
            ("via_upstream", Some(200), 0, Kind::GrpcWeb, Class::Success),
            ("via_upstream", Some(403), 0, Kind::Upgrade, Class::ClientError),
        ] {
            let details_ = details.as_bytes();
            let ending = Ending { details: details_, code, flags, grpc_status: None };
            assert_eq!(ending.class(kind), Some(expected), "{details} {code:?} {kind:?}");
        }
    }

    /// It may have left, read too slowly, or sent what is no request: nothing is known of the upstream.
    #[test]
    fn what_a_client_can_end_tells_nothing() {
        let left = "downstream_remote_disconnect";
        for (details, code, flags, kind) in [
            (left, None, 1 << 14, Kind::Plain),
            (left, None, 1 << 14, Kind::Events),
            (left, Some(200), 1 << 14, Kind::Plain),
            (left, Some(404), 1 << 14, Kind::Plain),
            ("http2.remote_reset", None, 1 << 28, Kind::Plain),
            ("http2.remote_reset", Some(200), 1 << 28, Kind::Grpc),
            ("stream_idle_timeout", Some(200), 1 << 16, Kind::Plain),
            ("stream_idle_timeout", Some(200), 1 << 16, Kind::Events),
            ("response_timeout", Some(200), 1 << 2, Kind::Plain),
            ("max_duration_timeout", Some(200), 1 << 22, Kind::Grpc),
            ("http1.codec_error", Some(200), 1 << 18, Kind::Plain),
        ] {
            let ending = Ending { details: details.as_bytes(), code, flags, grpc_status: None };
            assert_eq!(ending.class(kind), None, "{details} {code:?} {kind:?}");
        }
    }

    #[test]
    fn a_call_is_counted_by_its_status() {
        let status = |details: &[u8], flags, grpc_status| {
            let grpc_status = Some(grpc_status);
            Ending { details, code: Some(200), flags, grpc_status }.class(Kind::Grpc).unwrap()
        };
        assert_eq!(status(COMPLETE, 0, 0), Class::Success);
        assert_eq!(status(COMPLETE, 0, 5), Class::ClientError);
        assert_eq!(status(COMPLETE, 0, 14), Class::ServerError);
        // Envoy's own answer to a call: 200, and the status in the headers.
        assert_eq!(
            status(b"upstream_reset_before_response_started{}", 1 << 5, 14),
            Class::ServerError
        );
        for (text, expected) in [("0", 0), ("14", 14), ("x", 2), ("", 2), ("70000", 2)] {
            assert_eq!(grpc_status(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_response_has_the_kind_that_its_request_asks_for() {
        for (name, value, expected) in [
            ("content-type", "application/grpc", Kind::Grpc),
            ("content-type", "application/grpc+proto", Kind::Grpc),
            ("content-type", "application/grpc;v=1", Kind::Grpc),
            ("content-type", "application/grpc-web+proto", Kind::GrpcWeb),
            ("content-type", "application/grpcx", Kind::Plain),
            ("content-type", "application/json", Kind::Plain),
            ("accept", "text/event-stream", Kind::Events),
            ("accept", "application/json, text/event-stream", Kind::Events),
            ("accept", "*/*", Kind::Plain),
            ("upgrade", "websocket", Kind::Upgrade),
            (":method", "CONNECT", Kind::Connect),
            (":method", "GET", Kind::Plain),
        ] {
            let request = HeaderList::new([("x", "y"), (name, value)]);
            assert_eq!(Kind::of(&request), expected, "{name}: {value}");
        }
    }
}
