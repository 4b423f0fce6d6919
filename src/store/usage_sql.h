// The texts of usage.cc: one shape, for each way to the rows and each database.
//
//   $1-$7   1: group by tenant, key, model, engine, route, status, cache
//   $8      group by 1: hour, 2: day, 3: month
//   $9 $10  from, to (us)         $11 $12  from, to (days)
//   $13-$19 tenant, key, model, engine, route, status, cache; NULL: any
//   $20     at most so many groups, behind the group of $21 (time) and $22-$28
#pragma once

#define PENSTOCK_MONTH_POSTGRES(seconds)         \
  "CAST(extract(year FROM to_timestamp(" seconds \
  ") AT TIME ZONE 'UTC') * 12 + extract(month "  \
  "FROM to_timestamp(" seconds ") AT TIME ZONE 'UTC') - 1 AS bigint)"
#define PENSTOCK_MONTH_SQLITE(seconds) \
  "CAST(strftime('%Y', " seconds       \
  ", 'unixepoch') AS INTEGER) * 12 + " \
  "CAST(strftime('%m', " seconds ", 'unixepoch') AS INTEGER) - 1"

// The columns of a group, by names that stand for nothing else.
#define PENSTOCK_GROUP                                     \
  " CASE WHEN $1 = 1 THEN tenant ELSE '' END AS g_tenant," \
  " CASE WHEN $2 = 1 THEN key ELSE '' END AS g_key,"       \
  " CASE WHEN $3 = 1 THEN model ELSE '' END AS g_model,"   \
  " CASE WHEN $4 = 1 THEN engine ELSE '' END AS g_engine," \
  " CASE WHEN $5 = 1 THEN route ELSE '' END AS g_route,"   \
  " CASE WHEN $6 = 1 THEN status ELSE 0 END AS g_status,"  \
  " CASE WHEN $7 = 1 THEN cache ELSE '' END AS g_cache"
#define PENSTOCK_TIME_OF_ROWS(month)                                                              \
  " CASE CAST($8 AS integer) WHEN 1 THEN time_us / 3600000000 WHEN 2 THEN time_us / 86400000000 " \
  "WHEN 3 "                                                                                       \
  "THEN " month("time_us / 1000000") " ELSE 0 END AS g_time,"
#define PENSTOCK_TIME_OF_DAYS(month)                                                   \
  " CASE CAST($8 AS integer) WHEN 1 THEN day * 24 WHEN 2 THEN day WHEN 3 THEN " month( \
      "day * 86400") " ELSE 0 END AS g_time,"
#define PENSTOCK_NAMES "g_time, g_tenant, g_key, g_model, g_engine, g_route, g_status, g_cache"
#define PENSTOCK_ANY(column, number) \
  "(CAST($" number " AS text) IS NULL OR " column " = CAST($" number " AS text))"
#define PENSTOCK_WHERE \
  PENSTOCK_ANY("tenant", "13") " AND " PENSTOCK_ANY("key", "14") " AND "                      \
  PENSTOCK_ANY("model", "15") " AND " PENSTOCK_ANY("engine", "16") " AND "                    \
  PENSTOCK_ANY("route", "17") " AND "                                                         \
  "(CAST($18 AS integer) IS NULL OR status = CAST($18 AS integer)) AND "                      \
  PENSTOCK_ANY("cache", "19")
#define PENSTOCK_BEHIND                                                             \
  "(" PENSTOCK_NAMES                                                                \
  ") > (CAST($21 AS bigint), CAST($22 AS text), CAST($23 AS text), "                \
  "CAST($24 AS text), CAST($25 AS text), CAST($26 AS text), CAST($27 AS integer), " \
  "CAST($28 AS text))"

// What was answered without an engine of its own: its tokens are those of the kept answer.
#define PENSTOCK_HIT "cache IN ('memory', 'redis', 'semantic', 'coalesced')"
#define PENSTOCK_USED(column) "sum(CASE WHEN " PENSTOCK_HIT " THEN 0 ELSE " column " END)"
#define PENSTOCK_TOKENS                                                    \
  PENSTOCK_USED("tokens_input")                                            \
  " AS t_in, " PENSTOCK_USED("tokens_output") " AS t_out, " PENSTOCK_USED( \
      "tokens_cached_input") " AS t_cached, " PENSTOCK_USED("tokens_reasoning") " AS t_reason, "
#define PENSTOCK_SAVED                                                                           \
  ", sum(CASE WHEN " PENSTOCK_HIT " THEN count ELSE 0 END) AS hits, sum(CASE WHEN " PENSTOCK_HIT \
  " THEN tokens_input + tokens_output ELSE 0 END) AS saved"

// `path`: what an index leads by, as "tenant = $13 AND ".
#define PENSTOCK_SUMS(month, path)                                                                 \
  "WITH parts AS (SELECT" PENSTOCK_TIME_OF_ROWS(month) PENSTOCK_GROUP                              \
      ", sum(count) AS n, sum(CASE WHEN error <> '' THEN count ELSE 0 END) AS "                    \
      "errors, " PENSTOCK_TOKENS                                                                   \
      "sum(cost_nano) AS cost, sum(duration_us) AS "                                               \
      "duration, sum(engine_us) AS engine_time, sum(coalesce(first_token_us, 0)) AS first_token, " \
      "sum(CASE WHEN first_token_us IS NULL THEN 0 ELSE count END) AS firsts" PENSTOCK_SAVED       \
      ", sum(complexity * count) AS hard, "                                                        \
      "sum(CASE WHEN complexity IS NULL THEN 0 ELSE count END) AS judged FROM usage "              \
      "WHERE " path "time_us >= $9 AND time_us < $10 AND " PENSTOCK_WHERE                          \
      " GROUP BY " PENSTOCK_NAMES " UNION ALL SELECT" PENSTOCK_TIME_OF_DAYS(month) PENSTOCK_GROUP  \
      ", sum(count), sum(errors), " PENSTOCK_TOKENS                                                \
      "sum(cost_nano), sum(duration_us), sum(engine_us), "                                         \
      "sum(first_token_us), sum(first_tokens)" PENSTOCK_SAVED                                      \
      ", NULL, 0 FROM usage_days WHERE " path "day >= $11 AND day < $12 AND " PENSTOCK_WHERE       \
      " GROUP BY " PENSTOCK_NAMES                                                                  \
      ") "                                                                                         \
      "SELECT " PENSTOCK_NAMES                                                                     \
      ", sum(n), sum(errors), sum(t_in), sum(t_out), sum(t_cached), "                              \
      "sum(t_reason), sum(cost), sum(duration), sum(engine_time), sum(first_token), sum(firsts), " \
      "sum(hits), sum(saved), sum(hard), sum(judged) "                                             \
      "FROM parts WHERE " PENSTOCK_BEHIND " GROUP BY " PENSTOCK_NAMES " ORDER BY " PENSTOCK_NAMES  \
      " LIMIT $20"

// A sum of several hits counts as so many of their average. The days are of no use to it, and
// PostgreSQL must know of what type they would be.
#define PENSTOCK_PERCENTILES(month, path)                                                     \
  "WITH grouped AS (SELECT" PENSTOCK_TIME_OF_ROWS(month) PENSTOCK_GROUP                       \
      ", count AS n, duration_us / nullif(count, 0) AS took FROM usage WHERE " path           \
      "time_us >= $9 AND time_us < $10 AND " PENSTOCK_WHERE                                   \
      " AND CAST($11 AS bigint) + CAST($12 AS bigint) IS NOT NULL), "                         \
      "ranked AS (SELECT " PENSTOCK_NAMES ", took, sum(n) OVER (PARTITION BY " PENSTOCK_NAMES \
      " ORDER BY took) AS upto, sum(n) OVER (PARTITION BY " PENSTOCK_NAMES                    \
      ") AS whole FROM grouped "                                                              \
      "WHERE took IS NOT NULL) "                                                              \
      "SELECT " PENSTOCK_NAMES                                                                \
      ", min(took) FROM ranked WHERE upto >= 0.95 * whole AND " PENSTOCK_BEHIND               \
      " GROUP BY " PENSTOCK_NAMES " ORDER BY " PENSTOCK_NAMES " LIMIT $20"

#define PENSTOCK_BY_TENANT "tenant = CAST($13 AS text) AND "
#define PENSTOCK_BY_KEY "key = CAST($14 AS text) AND "

#define PENSTOCK_SPEND(path)                                                    \
  "SELECT (SELECT coalesce(sum(cost_nano), 0) FROM usage WHERE " path           \
  "time_us >= $2 AND time_us < $3 AND CAST($1 AS text) IS NOT NULL) + (SELECT " \
  "coalesce(sum(cost_nano), 0) FROM usage_days WHERE " path "day >= $4 AND day < $5)"
