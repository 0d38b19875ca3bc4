//! `splitctl link`: a link by which a client forces a variant.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use traffic_split::config::{Config, Mode, parse_duration};
use traffic_split::{Override, Variant, limits};

use crate::check::Checked;
use crate::input::Choice;
use crate::output::Answer;
use crate::rules;
use crate::when::When;

/// Print a link that forces a variant
///
/// A person who opens the link gets the variant, and keeps it until the cookie of the rule's `override`
/// is over, or a link with an empty value ends it. Where `override` has `signing`, the link is signed with
/// the first key of the variable that it names, which has to be set here as in the VM's environment.
#[derive(Args)]
#[command(after_help = "Examples:
  splitctl link -f envoy.yaml --rule rollout --variant canary --url https://shop.example/cart
  SPLIT_COOKIE_KEYS=... splitctl link -f wasm-plugin.yaml --rule rollout --variant canary --expires 1h")]
pub struct Link {
    /// A file, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    file: String,
    #[command(flatten)]
    choice: Choice,
    /// The rule whose requests the link is for
    #[arg(long)]
    rule: String,
    /// The variant to force
    #[arg(long)]
    variant: String,
    /// The time for which a signed link holds, as in 1h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<u64>,
    /// The address of a page that the rule matches [default: the query alone]
    #[arg(long, value_parser = url)]
    url: Option<String>,
    #[command(flatten)]
    when: When,
}

fn duration(text: &str) -> Result<u64, String> {
    let seconds = parse_duration(text).filter(|it| (1..=limits::MAX_AGE).contains(it));
    seconds.ok_or_else(|| "give a duration of at most 400d, as in 1h or 7d".to_owned())
}

fn url(text: &str) -> Result<String, String> {
    let begins = ["http://", "https://", "/"].iter().any(|start| text.starts_with(start));
    match begins && text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err("give an address, as in https://shop.example/cart".to_owned()),
    }
}

impl Link {
    pub fn run(&self) -> Result<Answer> {
        let now = self.when.seconds();
        let checked = self.choice.read_one(&self.file, now)?;
        let overrides = self.overrides(&checked)?;
        let expires = self.expires(overrides, &checked.config)?;
        let unset = signing(&checked.config, &self.rule).filter(|env| checked.lacks(env));
        if let Some(env) = unset {
            bail!(
                "{env} is not set here: the link is signed with the keys that the proxies have in it"
            );
        }
        let link = overrides.link(&self.variant, now, now.saturating_add(expires));
        let link = link.ok_or_else(|| {
            let known: Vec<_> = overrides.variants().map(|it: &Variant| it.name.as_str()).collect();
            let Link { rule, variant, .. } = self;
            anyhow!("`override` of {rule} does not list {variant:?}; it lists {}", known.join(", "))
        })?;
        let url = self.url.as_deref().unwrap_or_default();
        Ok(Answer::good(with_param(url, overrides.query_param(), &link)))
    }

    fn overrides<'c>(&self, checked: &'c Checked) -> Result<&'c Override> {
        let Link { file, rule, .. } = self;
        let found = rules::find(&checked.plan, rule, file)?;
        if let Some(variant) = checked.plan.held() {
            bail!("{file}: `hold: {}` sends everyone there: no link counts", variant.name);
        }
        if found.is_shadow() || checked.config.mode == Mode::Shadow {
            bail!("{file}: {rule} is in shadow: no link counts");
        }
        found.overrides().ok_or_else(|| anyhow!("{file}: {rule} has no `override`: no link counts"))
    }

    /// The seconds for which the link holds.
    fn expires(&self, overrides: &Override, config: &Config) -> Result<u64> {
        match (overrides.is_signed(), self.expires) {
            (true, Some(seconds)) => Ok(seconds),
            (false, None) => Ok(0),
            (true, None) => bail!("a signed link has an end: give --expires, as in --expires 1h"),
            (false, Some(_)) => {
                let at = config.rule(&self.rule).map_or("override", |rule| &rule.path);
                bail!(
                    "an unsigned link has no end: leave --expires out, or add signing to {at}.override"
                )
            }
        }
    }
}

/// The variable with the keys that sign the links of a rule.
fn signing<'c>(config: &'c Config, name: &str) -> Option<&'c String> {
    let cookie = &config.rule(name)?.overrides.as_ref()?.cookie;
    cookie.signing.as_ref().map(|signing| &signing.env)
}

/// An address with this parameter in its query, in place of others of its name.
fn with_param(url: &str, name: &str, value: &str) -> String {
    let (target, fragment) = match url.split_once('#') {
        Some((target, fragment)) => (target, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_other = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(name);
    let mut pairs: Vec<_> = query.split('&').filter(is_other).map(str::to_owned).collect();
    pairs.push(format!("{name}={value}"));
    format!("{path}?{}{fragment}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::with_param;

    #[test]
    fn a_parameter_takes_the_place_of_its_name() {
        for (url, expected) in [
            ("", "?q=v"),
            ("/a", "/a?q=v"),
            ("https://h/a?b=1#c?d", "https://h/a?b=1&q=v#c?d"),
            ("/?q=1&qq=2&q&", "/?qq=2&q=v"),
        ] {
            assert_eq!(with_param(url, "q", "v"), expected);
        }
    }
}
