//! A decision allocates nothing.

use allocation_counter::measure;
use anyhow::{Result, anyhow};
use traffic_split::testing::FixedEnvironment;
use traffic_split::{Plan, Snapshot, decide};
use wasm_tests::native;
use wasm_tests::standard::Standard;

#[test]
fn none_inside_decide() -> Result<()> {
    let standard = Standard::read()?;
    let request = standard.message();
    let request = native::request(&request);
    let engines = standard.engines().into_iter().map(|(_, configuration)| configuration);
    let standards = [standard.configuration.clone(), standard.rules(1000), standard.list(10_000)];
    for configuration in standards.into_iter().chain(engines) {
        let plan = Plan::compile(configuration.to_string().as_bytes(), &|_| None);
        let plan = plan.map_err(|errors| anyhow!("{errors}"))?;
        let snapshot = Snapshot::new(&plan, 0);
        let mut rule = None;
        let counted = measure(|| {
            rule = decide(&plan, &snapshot, &request, &mut FixedEnvironment::default()).rule()
        });
        assert_eq!(rule, Some("rollout"));
        assert_eq!(counted.count_total, 0, "{} bytes", counted.bytes_total);
    }
    Ok(())
}
