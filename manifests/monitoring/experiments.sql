-- Who saw what, from the access log of ../envoy.yaml or ../istio/mesh.yaml. As it stands this is for
-- DuckDB, in the folder with the log: `duckdb -init experiments.sql`. Everything after the first view
-- is SQL that other databases have as well.

-- The log, one line of JSON for each request. A line that is none of the log's is empty here, so that
-- the views below pass over it.
CREATE OR REPLACE VIEW split_log AS
SELECT "time", path, status, rule, variant, reason, unit, first, generation, analysis
FROM read_json(
  'access*.jsonl*',
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

-- The users to compare: each with the variant that it saw first, whatever followed, as `splitctl
-- analyze` counts them. Those who change sides are seldom like those who stay, so none is left out.
CREATE OR REPLACE VIEW experiment_users AS
SELECT unit, experiment, variant, first_seen, variants > 1 AS saw_another
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY unit, experiment ORDER BY first_seen, variant) AS place,
    COUNT(*) OVER (PARTITION BY unit, experiment) AS variants
  FROM experiment_viewed
) AS viewed
WHERE place = 1;

-- Users by variant, and how many of them saw another variant later.
CREATE OR REPLACE VIEW experiment_counts AS
SELECT
  experiment,
  variant,
  COUNT(*) AS users,
  COUNT(CASE WHEN saw_another THEN 1 END) AS saw_another
FROM experiment_users
GROUP BY experiment, variant;
