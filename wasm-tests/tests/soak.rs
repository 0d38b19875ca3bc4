//! `make soak` in small.

use anyhow::Result;
use wasm_tests::soak::{self, Scale};

#[tokio::test]
async fn row_38_updates_under_load_fail_no_request() -> Result<()> {
    let scale = Scale { requests: 20_000, good: 50, bad: 10, workers: 2 };
    let figures = soak::run(scale).await?;
    println!("{figures:?}, growth in percent: {:?}", figures.growth());
    assert_eq!(figures.failed, 0);
    assert_eq!(figures.updates, (50, 10));
    assert!(figures.requests > scale.requests, "none during the updates");
    assert_eq!(figures.vms.0, figures.vms.1);
    // So short a run is not quite warm; a VM leaked by each update would be half as much again.
    assert!(figures.growth().iter().all(|percent| *percent < 15.0), "{figures:?}");
    Ok(())
}
