use serde_json::json;

use super::*;
use crate::decide::decide;
use crate::request::HeaderList;
use crate::snapshot::Snapshot;
use crate::testing::FixedEnvironment;

/// The change of a header with these values by the decision of `rollout` for `canary`, if there is one.
fn change_of(values: &[&str], decided: bool) -> Option<String> {
    written(values, decided, &[]).map(|written| String::from_utf8(written.value).unwrap())
}

fn written(values: &[&str], decided: bool, earlier: &[&str]) -> Option<Written> {
    let config = json!({
        "variantHeader": "x-v", "baggage": true, "variants": { "canary": {} },
        "rules": [{ "name": "rollout", "to": "canary" }, { "name": "other.own", "to": "canary" },
                  { "name": "with_mark-1", "to": "canary" }]
    });
    let plan = Plan::compile(config.to_string().as_bytes(), &|_| None).unwrap();
    let mut request = HeaderList::new(values.iter().map(|value| (BAGGAGE, *value)));
    request.written_earlier = earlier.iter().map(|name| (*name).to_owned()).collect();
    let snapshot = Snapshot::new(&plan, 0);
    let decision = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default());
    change(&plan, decision.target.filter(|_| decided).map(|target| &**target), &request)
}

/// However a reader of ours could come to a key: by decoding, by dropping blanks, by cutting later.
#[test]
fn a_member_of_an_own_rule_goes_in_every_spelling() {
    for forged in [
        "split.rollout=x",
        " split.rollout = x ",
        "split.rollout",
        "split.rollout=x;p=1",
        "split.rollout;p=1",
        "%73plit.rollout=x",
        "split%2erollout=x",
        "split.rollout%20=x",
        "split.rollout+=x",
        "+split.rollout=x",
        "split.rollout%3Dx",
        "split.rollout%3Bx=y",
        "\u{a0}split.rollout\u{a0}=x",
        "\"split.rollout\"=x",
        "split.other.own=x",
        "split.with_mark-1=x",
    ] {
        assert_eq!(change_of(&[forged], false).as_deref(), Some(""), "{forged}");
        let among = format!("a=1,{forged}, b=2");
        assert_eq!(change_of(&[&among], false).as_deref(), Some("a=1, b=2"), "{forged}");
        let expected = Some("a=1, b=2,split.rollout=canary");
        assert_eq!(change_of(&[&among], true).as_deref(), expected, "{forged}");
    }
    let long = format!("split.{}=x", "r".repeat(limits::NAME_BYTES + 9));
    for kept in ["Split.rollout=x", "split.rollout2=x", "xsplit.rollout=x", "split=x", &long] {
        assert_eq!(change_of(&[kept], false), None, "{kept}");
    }
}

#[test]
fn a_member_that_would_make_the_list_too_long_is_not_added() {
    let own = ",split.rollout=canary".len();
    for (bytes, fits) in
        [(limits::BAGGAGE_BYTES - own, true), (limits::BAGGAGE_BYTES - own + 1, false)]
    {
        let value = format!("a={}", "v".repeat(bytes - 2));
        assert_eq!(change_of(&[&value], true).is_some(), fits, "{bytes}");
        // What a client sent under our name goes all the same.
        let forged = format!("{value},split.rollout=x");
        let left = change_of(&[&forged], true).unwrap();
        assert_eq!(
            left.strip_prefix(&value),
            Some(if fits { ",split.rollout=canary" } else { "" })
        );
    }
    for (members, fits) in [(limits::BAGGAGE_MEMBERS - 1, true), (limits::BAGGAGE_MEMBERS, false)] {
        assert_eq!(
            change_of(&[&vec!["a=1"; members].join(",")], true).is_some(),
            fits,
            "{members}"
        );
    }
}

#[test]
fn malformed_baggage_is_left_as_it_was() {
    for malformed in
        ["a", "=1", "a b=1", "a=\"1\"", "a=1\\", "a=1;", "a=1;=2", "a=1;p=\"2\"", "a=é", "a=1 2"]
    {
        assert_eq!(change_of(&[malformed], true), None, "{malformed}");
        let forged = format!("{malformed},split.rollout=x");
        assert_eq!(change_of(&[&forged], true).as_deref(), Some(malformed));
    }
    for good in ["a=", "a=1", " a = 1 ;p; q = 2", "a=%20=", "a=1,,b=2", "", " , "] {
        assert!(change_of(&[good], true).is_some(), "{good}");
    }
}

#[test]
fn members_of_earlier_filters_stay_where_they_still_decide() {
    let chain = [BAGGAGE, "split.rollout", "split.edge"];
    let value = ["split.edge=a,split.rollout=stable,split.other.own=forged,split.far=b"];
    let of = |decided, earlier: &[&str]| {
        let written = written(&value, decided, earlier).unwrap();
        (String::from_utf8(written.value).unwrap(), written.key)
    };
    // Another copy of these rules, in shadow or without a match.
    assert_eq!(of(false, &chain), ("split.edge=a,split.rollout=stable,split.far=b".into(), None));
    let key = Some("split.rollout".to_owned());
    let both = "split.edge=a,split.far=b,split.rollout=canary";
    assert_eq!(of(true, &chain), (both.into(), key.clone()));
    // It has overruled the filter before it, which writes the same routing header.
    let overruled = [&chain[..], &["x-v"]].concat();
    assert_eq!(of(true, &overruled), ("split.far=b,split.rollout=canary".into(), key));
    assert_eq!(of(false, &overruled).0, "split.edge=a,split.rollout=stable,split.far=b");
}

#[test]
fn of_more_members_than_every_hop_passes_on_none_with_our_prefix_stays() {
    let most = limits::BAGGAGE_MEMBERS;
    let many = vec!["split.far=x"; most + 1000].join(",") + ",a=1";
    let left = change_of(&[&many], false).unwrap();
    assert_eq!(left, vec!["split.far=x"; most].join(",") + ",a=1");
}
