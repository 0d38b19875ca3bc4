use super::*;
use crate::request::HeaderList;

/// The change of a header with these values by the decision `rollout` for `canary`, if there is one.
fn change(values: &[&str], decided: bool) -> Option<String> {
    written(values, decided, &[], false).map(|written| String::from_utf8(written.value).unwrap())
}

fn written(values: &[&str], decided: bool, earlier: &[&str], overruled: bool) -> Option<Written> {
    let rules = ["rollout", "other.own"].map(Arc::from).into();
    let mut request = HeaderList::new(values.iter().map(|value| (BAGGAGE, *value)));
    request.written_earlier = earlier.iter().map(|name| (*name).to_owned()).collect();
    let member = Member { rule: "rollout", variant: "canary" };
    Baggage { rules }.change(&request, decided.then_some(&member), || overruled)
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
    ] {
        assert_eq!(change(&[forged], false).as_deref(), Some(""), "{forged}");
        let among = format!("a=1,{forged}, b=2");
        assert_eq!(change(&[&among], false).as_deref(), Some("a=1, b=2"), "{forged}");
        let expected = Some("a=1, b=2,split.rollout=canary");
        assert_eq!(change(&[&among], true).as_deref(), expected, "{forged}");
    }
    let long = format!("split.{}=x", "r".repeat(limits::NAME_BYTES + 9));
    for kept in ["Split.rollout=x", "split.rollout2=x", "xsplit.rollout=x", "split=x", &long] {
        assert_eq!(change(&[kept], false), None, "{kept}");
    }
}

#[test]
fn a_member_that_would_make_the_list_too_long_is_not_added() {
    let own = ",split.rollout=canary".len();
    for (bytes, fits) in
        [(limits::BAGGAGE_BYTES - own, true), (limits::BAGGAGE_BYTES - own + 1, false)]
    {
        let value = format!("a={}", "v".repeat(bytes - 2));
        assert_eq!(change(&[&value], true).is_some(), fits, "{bytes}");
        // What a client sent under our name goes all the same.
        let forged = format!("{value},split.rollout=x");
        let left = change(&[&forged], true).unwrap();
        assert_eq!(
            left.strip_prefix(&value),
            Some(if fits { &*",split.rollout=canary" } else { "" })
        );
    }
    for (members, fits) in [(limits::BAGGAGE_MEMBERS - 1, true), (limits::BAGGAGE_MEMBERS, false)] {
        assert_eq!(change(&[&vec!["a=1"; members].join(",")], true).is_some(), fits, "{members}");
    }
}

#[test]
fn malformed_baggage_is_left_as_it_was() {
    for malformed in
        ["a", "=1", "a b=1", "a=\"1\"", "a=1\\", "a=1;", "a=1;=2", "a=1;p=\"2\"", "a=é", "a=1 2"]
    {
        assert_eq!(change(&[malformed], true), None, "{malformed}");
        let forged = format!("{malformed},split.rollout=x");
        assert_eq!(change(&[&forged], true).as_deref(), Some(malformed));
    }
    for good in ["a=", "a=1", " a = 1 ;p; q = 2", "a=%20=", "a=1,,b=2", "", " , "] {
        assert!(change(&[good], true).is_some(), "{good}");
    }
}

#[test]
fn members_of_earlier_filters_stay_where_they_still_decide() {
    let chain = [BAGGAGE, "split.rollout", "split.edge"];
    let value = ["split.edge=a,split.rollout=stable,split.other.own=forged,split.far=b"];
    let of = |decided, overruled| {
        let written = written(&value, decided, &chain, overruled).unwrap();
        (String::from_utf8(written.value).unwrap(), written.key)
    };
    // Another copy of these rules, in shadow or without a match.
    assert_eq!(of(false, false), ("split.edge=a,split.rollout=stable,split.far=b".into(), None));
    let key = Some("split.rollout".to_owned());
    let both = "split.edge=a,split.far=b,split.rollout=canary";
    assert_eq!(of(true, false), (both.into(), key.clone()));
    // It has overruled the filter at the edge of the chain.
    assert_eq!(of(true, true), ("split.far=b,split.rollout=canary".into(), key));
}

#[test]
fn of_very_many_members_few_are_asked_about() {
    let many = vec!["split.rollout=x"; 9000].join(",");
    let written = written(&[&many], false, &[BAGGAGE, "split.rollout"], false).unwrap();
    let kept = written.value.split(|b| *b == b',').count();
    assert_eq!(kept, limits::BAGGAGE_MEMBERS, "an earlier filter wrote one");
}
