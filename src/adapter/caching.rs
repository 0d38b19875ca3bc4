//! The directives for caches that the filter writes into the headers of a response.

use log::error;
use proxy_wasm::types::MapType;

use super::abi;
use crate::caching::Caching;
use crate::header_map::HeaderMap;

/// Changes the response's headers for caches.
pub(super) fn tell(caching: &Caching, sets_cookie: bool) {
    let map = abi::headers(MapType::HttpResponseHeaders).unwrap_or_else(|status| {
        error!("cannot read the response headers: {status}");
        Vec::new()
    });
    let map = HeaderMap(map);
    let mut fields = Vec::new();
    map.each(|name, value| fields.push((name, value)));
    for (name, value) in caching.changes(sets_cookie, &fields) {
        let name = String::from_utf8_lossy(name);
        let set = abi::set_header(MapType::HttpResponseHeaders, &name, value.as_deref());
        if let Err(status) = set {
            error!("cannot write the response header {name}: {status}");
        }
    }
}
