//! `make soak` in small.

use anyhow::Result;
use wasm_tests::soak::{self, Scale};

#[tokio::test]
async fn rows_36_to_38_and_48_under_load() -> Result<()> {
    let scale = Scale { requests: 40_000, good: 50, bad: 10, workers: 8 };
    let figures = soak::run(scale).await?;
    println!("{figures}");
    assert!(figures.is_good(&scale), "{figures}");
    assert!(figures.requests >= scale.requests, "{figures}");
    // So short a run is not quite warm; a VM leaked by each update would be half as much again.
    assert!(figures.greatest_growth() < 15.0, "{figures}");
    Ok(())
}
