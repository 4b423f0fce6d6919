// One call to one engine, measured and watched.
#pragma once

#include <memory>

#include "dialect/stream.h"
#include "gateway/bill.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

// Counts one call from its begin to its end, whichever way it ends.
class CallRecord {
 public:
  // `its_end`: until when the engine may take; a deadline before it is the client's own.
  CallRecord(std::shared_ptr<EngineMetrics> metrics, BillPtr bill, const Question& question,
             Time begun, Time its_end);
  CallRecord(const CallRecord&) = delete;
  CallRecord& operator=(const CallRecord&) = delete;
  ~CallRecord();  // not ended yet: cancelled

  void first_byte(Time now);
  // The answer is none that helps, though it may come to its end.
  void fail(Outcome outcome) { failed_ = outcome; }
  void end(Outcome outcome, Time now);
  void end(const Error& error, const Deadline& deadline);
  void usage(const Usage& usage);
  // No usage will come: so many tokens of output were seen.
  void usage_about(std::uint64_t output) { bill_->used_about(output); }
  // The engine's own.
  void status(int status);
  // Whose part the request to the engine is; empty: it is told nothing.
  std::string_view traceparent() const {
    return traceparent_ ? trace::text(*traceparent_) : std::string_view();
  }

 private:
  void count(Outcome outcome, Time now);

  std::shared_ptr<EngineMetrics> metrics_;
  GenAiMetrics& gen_ai_;  // of them
  BillPtr bill_;          // whose call it is
  Time begun_;
  Time its_end_;
  Time first_{};
  std::uint64_t output_tokens_ = 0;
  bool ended_ = false;
  Outcome failed_ = Outcome::success;
  std::uint8_t operation_ = trace::kRoot;  // its steps in the bill's trace
  std::uint8_t attempt_ = trace::kRoot;
  std::optional<trace::Traceparent> traceparent_;
};

// The error of a call so that it names the engine, and what ran out where the time for the whole
// call did: `total_ends` is when timeout.total does, else it was the client's own patience.
Error told(Error error, std::string_view engine, const Deadline& deadline, Time total_ends);

Outcome outcome_of(const Error& error);
Outcome outcome_of(int status);

// The stream of an engine's answer as it is passed on: measured, watched for its proper end, and
// without the usage that the client did not ask for.
//
// A chat stream that ends without `[DONE]` is an Error: it never looks complete. One with it ends
// there, whatever the engine still sends and however long its connection stays open.
class WatchedFlow final : public Flow {
 public:
  WatchedFlow(std::unique_ptr<Flow> inner, bool events, bool strip_usage)
      : inner_(std::move(inner)), events_(events), stream_(strip_usage) {}
  WatchedFlow(const WatchedFlow&) = delete;
  WatchedFlow& operator=(const WatchedFlow&) = delete;
  ~WatchedFlow() override;  // not ended yet: cancelled

  // The flow is the engine's own: it is recorded, and its end is awaited elsewhere.
  void own(std::shared_ptr<engine::Engine> engine, std::unique_ptr<CallRecord> record, Loop& loop);

  std::optional<Result<std::string_view>> poll() override;
  Task<Result<void>> wait(Deadline& deadline) override;
  // After the end: what the stream was.
  const dialect::StreamReader& stream() const { return stream_; }

 private:
  Result<std::string_view> done();
  Result<std::string_view> ended();
  Result<std::string_view> failed(Error error);  // its stream is not what it should be
  void settle(Outcome outcome);                  // once; what comes after it is not recorded
  std::unique_ptr<CallRecord> take_record();  // with the usage that has come; null: it is settled

  std::shared_ptr<engine::Engine> engine_;  // outlives inner_
  std::unique_ptr<Flow> inner_;
  std::unique_ptr<CallRecord> record_;
  Loop* loop_ = nullptr;
  bool events_;
  bool begun_ = false;
  bool open_ = false;  // [DONE] came without the empty line that makes it an event
  dialect::StreamReader stream_;
};

// Calls, and makes sure that the call is counted whatever becomes of it. `strip_usage`: the usage
// of a stream is taken out. `its_end` is as in CallRecord.
Task<Result<Answer>> measured_call(std::shared_ptr<engine::Engine> engine, const engine::Call& call,
                                   std::shared_ptr<EngineMetrics> metrics, BillPtr bill,
                                   bool strip_usage, Time its_end, Deadline& deadline);

// The gateway needs the usage of a stream for its figures, and of one that is shared or kept for
// whoever asks for it: then the answer cannot depend on one client's stream_options.
bool ask_usage(const Question& question, bool shared);

// The client of a stream did not ask for its usage: none is passed on, whoever asked for it, or
// though nobody did.
bool unwanted_usage(const Question& question);

}  // namespace penstock::gateway
