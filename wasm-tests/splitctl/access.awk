# An access log as manifests/envoy.yaml writes it: 3,000 users of reviews.yaml with three requests each. A
# tenth of them has the canary, which fails more often; LOST is the share of its users, in percent, who
# never arrive, and GENERATION that of the configuration.
function line(user, path, status, ms, reason, analysis) {
    printf "{\"time\":\"2026-12-01T09:%02d:%02d.000Z\",\"method\":\"GET\",\"path\":\"%s\",\"status\":%d,", \
        user / 60, user % 60, path, status
    printf "\"flags\":\"-\",\"duration_ms\":%d,\"rule\":\"rollout\",\"variant\":\"%s\",", ms, variant
    printf "\"reason\":\"%s\",\"unit\":%s,", reason, unit
    if (GENERATION) printf "\"generation\":\"%s\",", GENERATION
    printf "\"analysis\":\"%s\"}\n", analysis
}
BEGIN {
    print "[info] all listeners are warmed"
    for (user = 0; user < 3000; user++) {
        canary = user % 10 == 3
        variant = canary ? "canary" : "stable"
        unit = "\"unit-" user "\""
        if (canary && user / 10 % 100 < LOST) continue
        fails = user % (canary ? 7 : 97) == 0
        line(user, "/reviews/" user, fails ? 503 : 200, 20 + user % 9, "sticky", 1)
        line(user, "/reviews/" user "?page=2", 200, 30 + user % 8, "sticky", 1)
        if (user % 11 < 4) line(user, "/reviews/" user "/post", 201, 40 + user % 7, "sticky", 1)
    }
    line(1, "/reviews/1", 200, 20, "override", 0)
    unit = "null"
    line(1, "/reviews/1", 200, 20, "sticky", 1)
    print "{\"time\":\"2026-12-01T09:59:59.000Z\",\"path\":\"/\",\"rule\":\"-\"}"
    print "{\"time\":\"2026-12-01T09:5"
}
