-- wrk's side of the comparison: asks the questions of one file in the order of another, both
-- written by run.py, so that every server gets the same bytes.
--   wrk -s questions.lua URL -- BODIES ORDER KEY
-- BODIES holds a request body a line, ORDER a line number (from 1) a line.

local requests = {}
local order = {}
local at = 0

function init(args)
  local headers = { ["content-type"] = "application/json", ["authorization"] = "Bearer " .. args[3] }
  for body in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", "/v1/chat/completions", headers, body)
  end
  for line in io.lines(args[2]) do
    order[#order + 1] = tonumber(line)
  end
end

function request()
  at = at + 1
  if at > #order then at = 1 end
  return requests[order[at]]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
