// One call to one AI engine, whatever it speaks.
//
// An Engine object belongs to one loop, with its connections; what all loops share (an index, a
// queue) is shared inside. A call is cancelled by its deadline: by time, or because nobody wants
// the answer any more; then everything it holds at the engine is given up at once.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadline.h"
#include "base/result.h"
#include "exchange/exchange.h"

namespace penstock::engine {

struct Call {
  const Question& question;
  std::string_view upstream_model;      // replaces the question's model where it differs
  std::span<const HeaderView> headers;  // end-to-end request fields to pass on, lower case
  std::string_view request_id;
  // A streamed answer shall end with its usage, though the client did not ask: stream_options is
  // added to the body, or replaced in it.
  bool ask_usage = false;
  std::string_view traceparent = {};  // whose part the request is; empty: it is not told
};

struct Model {
  std::string id;
  std::string owned_by;
  std::int64_t created = 0;  // Unix seconds
};

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const std::string& name() const = 0;

  // The engine's answer, whatever its status; an Error (source engine) where there is none.
  // A streamed answer is returned when its head has come; `rest` gives the bytes as they come.
  // `call` and what it points to must live until the task ends; `rest` must not outlive the
  // engine or the deadline.
  virtual Task<Result<Answer>> call(const Call& call, Deadline& deadline) = 0;

  // Changes whenever its answers may have changed for a reason other than the question: what was
  // kept of them under another version is not given again.
  virtual std::uint64_t version() const { return 0; }

  // The models that the engine offers now.
  virtual Task<Result<std::vector<Model>>> models(Deadline& deadline) = 0;
};

}  // namespace penstock::engine
