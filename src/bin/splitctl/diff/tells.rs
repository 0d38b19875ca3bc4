//! Conditions that tell clients from each other: they read a part in which clients have their key.

use std::net::IpAddr;

use traffic_split::HeaderList;
use traffic_split::config::{Cidr, Condition, ConditionTest, Config, Operator};

/// Whether a condition may be met by one client and not by another one. The two clients here send the
/// same request, each with its key; `made_up` says that all keys are like theirs.
pub fn is_told(config: &Config, clients: [&HeaderList; 2], made_up: bool) -> bool {
    let entries = config.rules.iter().filter_map(|rule| rule.entries.as_ref());
    entries.flatten().flatten().any(|condition| tells(condition, clients, made_up))
}

fn tells(condition: &Condition, [first, second]: [&HeaderList; 2], made_up: bool) -> bool {
    match &condition.test {
        ConditionTest::SourceIp(networks) => {
            first.source != second.source && (!made_up || networks.iter().any(is_among_own))
        }
        ConditionTest::Text { part, operator, .. } => {
            let values = [part.values(first), part.values(second)];
            values[0] != values[1] && !(made_up && is_alike(&values, operator))
        }
    }
}

/// Whether a network has some of the addresses that are made up (RFC 4193).
fn is_among_own(network: &Cidr) -> bool {
    let IpAddr::V6(address) = network.address else { return false };
    network.prefix > 8 && address.octets().starts_with(&[0xfd])
}

/// Whether an operator finds the values of all clients alike, which begin as those of two do.
fn is_alike(values: &[Vec<&[u8]>; 2], operator: &Operator) -> bool {
    let [[first], [second]] = values.each_ref().map(Vec::as_slice) else { return false };
    let common = first.iter().zip(*second).take_while(|(a, b)| a == b).count();
    let common = first.get(..common).unwrap_or_default();
    let is_apart = |operand: &String| {
        let begins = operand.as_bytes().get(..common.len());
        begins.is_none_or(|begins| !begins.eq_ignore_ascii_case(common))
    };
    let is_shorter = |operand: &String| operand.len() <= common.len();
    match operator {
        Operator::Present(_) => true,
        Operator::Exact(operand) => is_apart(operand),
        Operator::In(operands) => operands.iter().all(is_apart),
        Operator::Prefix(operand) => is_apart(operand) || is_shorter(operand),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(condition: &str, value: fn(&str) -> String, made_up: bool) -> bool {
        let json = format!(
            r#"{{ "variantHeader": "v", "variants": {{ "a": {{}} }},
                  "rules": [{{ "name": "r", "to": "a", "match": [ {{ {condition} }} ] }}] }}"#
        );
        let config = Config::parse(json.as_bytes()).unwrap();
        let sent = |key: &str| {
            let address = format!("fd00::{}", key.len()).parse().ok();
            HeaderList::new([("u", value(key)), ("x", "user-0".into())]).with_source(address)
        };
        is_told(&config, [&sent("user-0"), &sent("user-11")], made_up)
    }

    #[test]
    fn conditions_on_a_key_tell_clients_where_keys_are_like_their_operands() {
        for (test, among_made_up) in [
            (r#""exact": "ann""#, false),
            (r#""exact": "user-7""#, true),
            (r#""exact": "USER-7", "ignoreCase": true"#, true),
            (r#""in": ["ann", "bob"]"#, false),
            (r#""in": ["ann", "user-7"], "not": true"#, true),
            (r#""prefix": "user""#, false),
            (r#""prefix": "u""#, false),
            (r#""prefix": "user-""#, false),
            (r#""prefix": "x""#, false),
            (r#""prefix": "user-1""#, true),
            (r#""suffix": "7""#, true),
            (r#""regex": ".*7""#, true),
            (r#""contains": "7""#, true),
            (r#""range": { "start": 0, "end": 9 }"#, true),
            (r#""present": true"#, false),
        ] {
            let on = |header: &str| format!(r#""headers": {{ "{header}": {{ {test} }} }}"#);
            assert_eq!(told(&on("u"), str::to_owned, true), among_made_up, "{test}");
            assert!(told(&on("u"), str::to_owned, false), "{test}");
            assert!(!told(&on("x"), str::to_owned, false), "{test}");
            assert!(!told(&on("absent"), str::to_owned, false), "{test}");
        }
        let hidden = |key: &str| format!("{{\"id\":\"{key}\"}}");
        assert!(!told(r#""headers": { "u": { "prefix": "{" } }"#, hidden, true));
        assert!(told(r#""headers": { "u": { "prefix": "{\"id\":\"user-1" } }"#, hidden, true));
    }

    #[test]
    fn networks_tell_clients_where_addresses_are_like_theirs() {
        for (network, among_made_up) in [
            ("10.0.0.0/8", false),
            ("2001:db8::/32", false),
            ("fd00::/8", false),
            ("fd00::/9", true),
        ] {
            let condition = format!(r#""sourceIp": ["{network}"]"#);
            assert_eq!(told(&condition, str::to_owned, true), among_made_up, "{network}");
            assert!(told(&condition, str::to_owned, false), "{network}");
        }
    }
}
