//! DuckDB (the wheel `duckdb`), installed into `target/`: the database that analysts read logs with, and
//! that reads lines of JSON by itself.

use crate::wheels;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// About 25 MB.
const DUCKDB: &str = "duckdb==1.5.6";

const ASK: &str = "
import duckdb, json, sys
connection = duckdb.connect()
connection.execute(open(sys.argv[1]).read())
print(json.dumps(connection.execute(sys.argv[2]).fetchall(), default=str))
";

/// The rows that a query has after the SQL of a file, which runs in this folder.
pub fn ask(folder: &Path, file: &Path, query: &str) -> Result<Value> {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", wheels::installed("DuckDB", &[DUCKDB])?).current_dir(folder);
    let output = python.args(["-c", ASK]).arg(file).arg(query).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("no rows")
}
