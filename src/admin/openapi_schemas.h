// The schemas of keys, tenants and the audit log, for the OpenAPI document: the rest of the object
// that kSchemas of openapi.cc begins.
#pragma once

#include <string_view>

namespace penstock::admin {

inline constexpr std::string_view kRecordSchemas = R"(,
"Rate":{"type":"string","pattern":"^(none|0|[0-9]+/[smhd])$",
  "description":"600/m lets 600 through at once, then one each 100 ms; none is no limit, 0 refuses all."},
"Amount":{"description":"In the currency of the prices; none is no limit.",
  "oneOf":[{"type":"number","minimum":0},{"const":"none"}]},
"Number":{"oneOf":[{"type":"integer","minimum":0},{"const":"none"}]},
"Limits":{"type":"object","additionalProperties":false,
  "description":"What is absent is not decided here.",
  "properties":{
    "requests":{"$ref":"#/components/schemas/Rate"},
    "tokens":{"$ref":"#/components/schemas/Rate"},
    "inflight":{"$ref":"#/components/schemas/Number"},
    "spend":{"type":"object","additionalProperties":false,"properties":{
      "day":{"$ref":"#/components/schemas/Amount"},
      "month":{"$ref":"#/components/schemas/Amount"}}}}},
"LimitsChange":{"type":"object","additionalProperties":false,
  "description":"null takes a limit back; what is absent stays.",
  "properties":{
    "requests":{"oneOf":[{"$ref":"#/components/schemas/Rate"},{"type":"null"}]},
    "tokens":{"oneOf":[{"$ref":"#/components/schemas/Rate"},{"type":"null"}]},
    "inflight":{"oneOf":[{"$ref":"#/components/schemas/Number"},{"type":"null"}]},
    "spend":{"type":"object","additionalProperties":false,"properties":{
      "day":{"oneOf":[{"$ref":"#/components/schemas/Amount"},{"type":"null"}]},
      "month":{"oneOf":[{"$ref":"#/components/schemas/Amount"},{"type":"null"}]}}}}},
"Names":{"type":"array","items":{"type":"string"},"description":"Empty: all."},
"Priority":{"enum":["interactive","batch"]},
"Scope":{"enum":["key","tenant","shared",null],"description":"null: as whoever stands behind decides."},
"Moment":{"type":["string","null"],"description":"Of UTC, as 2027-01-31T12:00:00Z."},
"Key":{"type":"object",
  "required":["id","prefix","name","tenant","state","models","limits","priority","cache_scope",
    "created","created_by","expires","revoked","replaced_by","grace_until"],
  "properties":{
    "id":{"type":"string"},
    "prefix":{"type":"string","description":"How the key begins."},
    "name":{"type":"string"},
    "tenant":{"type":"string"},
    "state":{"enum":["good","expired","revoked","replaced"]},
    "models":{"$ref":"#/components/schemas/Names"},
    "limits":{"$ref":"#/components/schemas/Limits"},
    "priority":{"$ref":"#/components/schemas/Priority"},
    "cache_scope":{"$ref":"#/components/schemas/Scope"},
    "created":{"$ref":"#/components/schemas/Moment"},
    "created_by":{"type":"string"},
    "expires":{"$ref":"#/components/schemas/Moment"},
    "revoked":{"$ref":"#/components/schemas/Moment"},
    "replaced_by":{"type":["string","null"]},
    "grace_until":{"$ref":"#/components/schemas/Moment"}}},
"NewKey":{"allOf":[{"$ref":"#/components/schemas/Key"},{"type":"object","required":["key"],
  "properties":{"key":{"type":"string","pattern":"^pk_[0-9A-Za-z]{49}$"}}}]},
"Keys":{"type":"object","required":["keys","more"],"properties":{
  "keys":{"type":"array","items":{"$ref":"#/components/schemas/Key"}},
  "more":{"type":["string","null"],"description":"`after` of the next page; null: that is all."}}},
"KeyToBe":{"type":"object","required":["tenant","name"],"additionalProperties":false,"properties":{
  "tenant":{"type":"string"},
  "name":{"type":"string"},
  "models":{"$ref":"#/components/schemas/Names"},
  "limits":{"$ref":"#/components/schemas/LimitsChange"},
  "priority":{"$ref":"#/components/schemas/Priority"},
  "cache_scope":{"$ref":"#/components/schemas/Scope"},
  "expires":{"type":["string","null"],"description":"30d from now, 2027-01-31, or never."}}},
"KeyChange":{"type":"object","additionalProperties":false,"properties":{
  "name":{"type":"string"},
  "models":{"$ref":"#/components/schemas/Names"},
  "limits":{"$ref":"#/components/schemas/LimitsChange"},
  "priority":{"$ref":"#/components/schemas/Priority"},
  "cache_scope":{"$ref":"#/components/schemas/Scope"},
  "expires":{"type":["string","null"]}}},
"Rotation":{"type":"object","additionalProperties":false,"properties":{
  "grace":{"type":"string","description":"How long the old key is good yet; 1h if it is absent."}}},
"Tenant":{"type":"object","required":["name","models","limits","cache_scope","created"],
  "properties":{
    "name":{"type":"string"},
    "models":{"$ref":"#/components/schemas/Names"},
    "limits":{"$ref":"#/components/schemas/Limits"},
    "cache_scope":{"$ref":"#/components/schemas/Scope"},
    "created":{"$ref":"#/components/schemas/Moment"}}},
"Tenants":{"type":"object","required":["tenants","more"],"properties":{
  "tenants":{"type":"array","items":{"$ref":"#/components/schemas/Tenant"}},
  "more":{"type":["string","null"]}}},
"TenantToBe":{"type":"object","required":["name"],"additionalProperties":false,"properties":{
  "name":{"type":"string","pattern":"^[0-9A-Za-z][0-9A-Za-z._@-]{0,63}$"},
  "models":{"$ref":"#/components/schemas/Names"},
  "limits":{"$ref":"#/components/schemas/LimitsChange"},
  "cache_scope":{"$ref":"#/components/schemas/Scope"}}},
"TenantChange":{"type":"object","additionalProperties":false,"properties":{
  "models":{"$ref":"#/components/schemas/Names"},
  "limits":{"$ref":"#/components/schemas/LimitsChange"},
  "cache_scope":{"$ref":"#/components/schemas/Scope"}}},
"Purge":{"type":"object","minProperties":1,"maxProperties":1,"additionalProperties":false,
  "properties":{
    "tag":{"type":"string"},
    "model":{"type":"string"},
    "tenant":{"type":"string"},
    "key":{"type":"string","description":"The id of a key whose answers are its own."},
    "entry":{"type":"string","pattern":"^[0-9a-f]{64}$"},
    "all":{"const":true}}},
"Purged":{"type":"object","required":["purged","entries","told","reason"],"properties":{
  "purged":{"type":"object","properties":{"what":{"type":"string"},"name":{"type":"string"}}},
  "entries":{"type":"integer","description":"That left this node's memory."},
  "told":{"type":"boolean","description":"The other nodes know, or there are none."},
  "reason":{"type":["string","null"],"description":"Why they do not know yet."}}},
"Entries":{"type":"object","required":["entries","more"],"properties":{
  "entries":{"type":"array","items":{"type":"object","properties":{
    "entry":{"type":"string"},
    "model":{"type":"string"},
    "engine":{"type":"string"},
    "scope":{"type":"string"},
    "tags":{"type":"array","items":{"type":"string"}},
    "status":{"type":"integer"},
    "age_seconds":{"type":"integer"},
    "fresh_seconds":{"type":"integer","description":"Negative: it is past its time."},
    "bytes":{"type":"integer"},
    "shared":{"type":"boolean","description":"It was read from Redis."}}}},
  "more":{"type":"boolean"}}},
"Warm":{"type":"object","required":["lines"],"additionalProperties":false,"properties":{
  "lines":{"type":"array","items":{"type":"string","minLength":1},
    "description":"Requests as JSON, lines of OpenAI's Batch API, or questions in words."},
  "model":{"type":"string","description":"Of questions in words."},
  "tenant":{"type":"string","description":"Whose answers they are, where a line names none."},
  "source":{"type":"string","description":"Where they come from, for the log."},
  "concurrency":{"type":"integer","minimum":1,"maximum":256},
  "rate":{"type":"number","minimum":0,"description":"Questions a second; 0: no bound."},
  "warming":{"type":"string","description":"The one that they are added to."},
  "more":{"type":"boolean","description":"Others are to come, within a minute."}}},
"Warming":{"type":"object","required":["warming","source","running","questions","done","kept",
    "known","refused","failed","left_out","full","stopped","seconds","reasons"],
  "properties":{
    "warming":{"type":["string","null"]},
    "source":{"type":"string"},
    "running":{"type":"boolean"},
    "questions":{"type":"integer"},
    "done":{"type":"integer"},
    "kept":{"type":"integer","description":"An engine was asked."},
    "known":{"type":"integer","description":"The answer was kept already."},
    "refused":{"type":"integer","description":"It cannot be asked, or its answer cannot be kept."},
    "failed":{"type":"integer"},
    "left_out":{"type":"integer","description":"There was no room, or it was stopped."},
    "full":{"type":"boolean"},
    "stopped":{"type":"boolean"},
    "seconds":{"type":"number"},
    "reasons":{"type":"array","items":{"type":"string"},"description":"The first twenty."}}},
"Features":{"type":"object","required":["features"],"properties":{
  "features":{"type":"object","additionalProperties":{"type":"object",
    "required":["enabled","configured","set"],"properties":{
      "enabled":{"type":"boolean"},
      "configured":{"type":"boolean"},
      "set":{"type":["boolean","null"],"description":"By this API; null: as it is configured."}}}}}},
"FeatureChange":{"type":"object","required":["enabled"],"additionalProperties":false,
  "properties":{"enabled":{"type":["boolean","null"]}}},
"Changes":{"type":"object","required":["changes","more"],"properties":{
  "changes":{"type":"array","items":{"type":"object",
    "required":["id","time","who","action","object","detail","node"],
    "properties":{
      "id":{"type":"string"},
      "time":{"$ref":"#/components/schemas/Moment"},
      "who":{"type":"string"},
      "action":{"enum":["key.create","key.update","key.rotate","key.revoke","tenant.create",
        "tenant.update","tenant.delete","cache.purge","feature.set"]},
      "object":{"type":"string","description":"The key's id, the tenant's name, what was purged."},
      "detail":{"type":"object","description":"What is new."},
      "node":{"type":"string"}}}},
  "more":{"type":["string","null"],"description":"`before` of the next page."}}},
"Usage":{"type":["object","string"],"required":["from","to","by","groups","more"],"properties":{
  "from":{"$ref":"#/components/schemas/Moment"},
  "to":{"$ref":"#/components/schemas/Moment"},
  "by":{"type":"array","items":{
    "enum":["tenant","key","model","engine","route","status","cache","hour","day","month"]}},
  "groups":{"type":"array","items":{"type":"object",
    "required":["requests","errors","hits","tokens","cost","duration_ms","engine_ms","first_token_ms"],
    "properties":{
      "requests":{"type":"integer"},
      "errors":{"type":"integer"},
      "hits":{"type":"integer","description":"Of the requests, those answered out of the cache."},
      "tokens":{"type":"object","required":["input","output","cached_input","reasoning","saved"],
        "properties":{"input":{"type":"integer"},"output":{"type":"integer"},
          "cached_input":{"type":"integer"},"reasoning":{"type":"integer"},
          "saved":{"type":"integer","description":"Of the answers that the hits were given."}}},
      "cost":{"type":"number","description":"In the currency of the prices."},
      "duration_ms":{"type":"number","description":"On average, as the next two."},
      "engine_ms":{"type":"number"},
      "first_token_ms":{"type":["number","null"]},
      "duration_p95_ms":{"type":["number","null"]}}}},
  "more":{"type":["string","null"],"description":"`after` of the next page; null: that is all."}}},
"Engagement":{"type":["object","string"],"required":["from","to","sums"],"properties":{
  "from":{"$ref":"#/components/schemas/Moment"},
  "to":{"$ref":"#/components/schemas/Moment"},
  "sums":{"type":"array","items":{"type":"object",
    "required":["day","users","sessions","questions","in_sessions","abandoned","up","down"],
    "properties":{
      "day":{"type":["string","null"],"description":"null: all of the time."},
      "users":{"type":"integer"},"sessions":{"type":"integer"},"questions":{"type":"integer"},
      "in_sessions":{"type":"integer"},"abandoned":{"type":"integer"},
      "up":{"type":"integer"},"down":{"type":"integer"}}}}}}
})";

}  // namespace penstock::admin
