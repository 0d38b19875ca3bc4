-- Who saw what, from the access log of ../envoy.yaml or ../istio/mesh.yaml. As it stands this is for
-- DuckDB, in the folder with the log: `duckdb -init experiments.sql`. Everything after the first view
-- is SQL that other databases have as well.

-- The log, one line of JSON for each request. A line that is none of the log's is passed over.
CREATE OR REPLACE VIEW split_log AS
SELECT "time", path, status, rule, variant, reason, unit, first, generation, analysis
FROM read_json(
  'access*.jsonl',
  format = 'newline_delimited',
  ignore_errors = true,
  columns = {
    "time": 'TIMESTAMP', path: 'VARCHAR', status: 'INTEGER', rule: 'VARCHAR', variant: 'VARCHAR',
    reason: 'VARCHAR', unit: 'VARCHAR', first: 'VARCHAR', generation: 'VARCHAR', analysis: 'VARCHAR'
  }
);

-- The exposures: each unit with the variants that it saw in an experiment, and since when. What is
-- not for analysis is left out, as are requests of nobody in particular.
CREATE OR REPLACE VIEW experiment_viewed AS
SELECT unit, rule AS experiment, variant, MIN("time") AS first_seen
FROM split_log
WHERE analysis = '1' AND unit <> '-' AND variant <> '-'
GROUP BY unit, rule, variant;

-- The users to compare: those who saw one variant.
CREATE OR REPLACE VIEW experiment_users AS
SELECT unit, experiment, MIN(variant) AS variant, MIN(first_seen) AS first_seen
FROM experiment_viewed
GROUP BY unit, experiment
HAVING COUNT(*) = 1;

-- Users by variant, and how many of them saw another variant too.
CREATE OR REPLACE VIEW experiment_counts AS
SELECT
  viewed.experiment,
  viewed.variant,
  COUNT(*) AS users,
  COUNT(*) - COUNT(users.unit) AS saw_another
FROM experiment_viewed AS viewed
LEFT JOIN experiment_users AS users
  ON users.experiment = viewed.experiment AND users.unit = viewed.unit
GROUP BY viewed.experiment, viewed.variant;
