//! `splitctl explain`: the rule that decides a request, and why the ones before it do not.

mod absent;
mod bucket;
mod chain;
mod explained;
mod flips;
pub mod sent;
mod table;

use std::net::IpAddr;

use anyhow::Result;
use clap::Args;
use traffic_split::HeaderList;

use crate::given;
use crate::input::Choice;
use crate::output::{Answer, Format};
use crate::routes::Routes;
use crate::when::When;
pub use explained::Explained;

/// Say which variant a request gets, and why
///
/// Goes through the rules as the filter does. Give the request as the filter would see it. Where the file
/// has several plugins of one chain, the request goes through all of them, and the answer says which
/// header survives: plugins of Istio by phase and then by priority, filters of Envoy in the order of
/// `http_filters`, and those of Envoy Gateway in the order of `wasm`.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl explain -f envoy.yaml -H 'cookie: uid=7' --path /reviews/1
  splitctl explain -f wasm-plugin.yaml -H 'x-user-group: beta' -o json
  splitctl explain -f wasm-plugin.yaml -f virtual-service.yaml -H 'cookie: uid=7'
  kubectl get wasmplugin -n shop -o yaml | splitctl explain -f - -H 'cookie: uid=7'
  splitctl explain -f - --source-ip 10.1.2.3 < config.json")]
pub struct Explain {
    /// A file, or - for standard input; then files with the routes of `split: route`
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    files: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// A header of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = given::header)]
    headers: Vec<(String, String)>,
    /// The path, with its query
    #[arg(long, default_value = "/")]
    path: String,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The authority (host) [default: that of -H 'host: ...', or none]
    #[arg(long)]
    authority: Option<String>,
    /// A value of dynamic metadata, as in NAMESPACE,NAME=VALUE; may be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = given::metadata)]
    metadata: Vec<(String, String)>,
    /// A value of filter state; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = given::filter_state)]
    filter_state: Vec<(String, String)>,
    /// The client's address, as Envoy would see it
    #[arg(long, value_name = "ADDRESS")]
    source_ip: Option<IpAddr>,
    #[command(flatten)]
    when: When,
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Explain {
    pub fn run(&self) -> Result<Answer> {
        let file = self.files.first().map_or("-", String::as_str);
        let plugins = self.choice.read_chain(file, self.when.seconds())?;
        let routes = Routes::beside(&self.files)?;
        let [(_, checked)] = plugins.as_slice() else {
            let chain = chain::run(&plugins, &self.request(), &routes);
            return Ok(Answer::good(self.output.write(&chain, || chain.table())?));
        };
        let explained = Explained::new(checked, &self.request(), &routes);
        Ok(Answer::good(self.output.write(&explained, || table::table(&explained))?))
    }

    fn request(&self) -> HeaderList {
        let pseudo = [
            (":method", Some(&self.method)),
            (":path", Some(&self.path)),
            (":authority", self.authority.as_ref()),
        ];
        let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut headers: Vec<_> =
            pseudo.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        let properties = self.metadata.iter().chain(&self.filter_state);
        headers.extend(self.headers.iter().chain(properties).cloned());
        HeaderList::new(headers).with_source(self.source_ip)
    }
}
