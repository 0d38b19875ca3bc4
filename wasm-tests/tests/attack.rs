//! Random requests over both protocols, which reach and get nothing that no rule gives. `make soak` sends
//! more of them.

use anyhow::Result;
use wasm_tests::attack::{self, Attack};

#[tokio::test]
async fn of_random_requests_none_reaches_or_forges_what_no_rule_gives() -> Result<()> {
    let figures = attack::run(Attack { requests: 6_000, seed: 85 }).await?;
    println!("{figures}");
    let answered: u64 = figures.answered.values().sum();
    // It would be no attack if nothing came through: most requests do, by every rule.
    assert!(answered > 4_500, "{figures}");
    for rule in ["-", "testers", "preview", "kept", "issued", "chosen"] {
        assert!(figures.answered.get(rule).is_some_and(|count| *count > 20), "{rule}: {figures}");
    }
    assert!(figures.believed > 20, "{figures}");
    Ok(())
}
