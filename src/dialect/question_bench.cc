// What it costs to read and to write JSON, beside RapidJSON and nlohmann's library.
//
// Each reads the same chat requests whole. Theirs make a tree; ours looks at every byte too, finds
// members that are there twice, takes out the routed fields and writes the canonical form.
#include <benchmark/benchmark.h>
#include <rapidjson/document.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <nlohmann/json.hpp>
#include <string>

#include "dialect/answer.h"
#include "dialect/json.h"
#include "dialect/question.h"
#include "dialect/stream.h"

namespace penstock::dialect {
namespace {

constexpr std::string_view kProse =
    "The gate is opened by hand when the gauge at the dam reads more than two metres; whoever "
    "opens it writes the time, the level and the weather into the book.\\n";

// A chat request of about `size` bytes, a system prompt and as many turns as it takes.
std::string chat_body(std::size_t size) {
  std::string body =
      R"({"model":"gpt-4o-mini","messages":[{"role":"system","content":"You answer questions about the dam."})";
  std::string_view role = "user";
  while (body.size() + 80 < size) {
    body += R"(,{"role":")" + std::string(role) + R"(","content":")";
    const std::size_t turn = std::min<std::size_t>(size - body.size() - 70, 2000);
    while (turn > kProse.size() && body.size() + kProse.size() + 70 < size) {
      body += kProse;
      if (body.size() % 2000 < kProse.size()) break;
    }
    body += R"(When is it closed again?"})";
    role = role == "user" ? "assistant" : "user";
  }
  body += R"(],"temperature":0.0,"max_tokens":256,"stream":false})";
  return body;
}

std::string padded(std::string text) {
  text.reserve(text.size() + 64);
  return text;
}

void count(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["ns/KiB"] = benchmark::Counter(
      static_cast<double>(bytes) / 1024 * static_cast<double>(state.iterations()) * 1e-9,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void read_penstock(benchmark::State& state, bool canonical) {
  const std::string body = padded(chat_body(static_cast<std::size_t>(state.range(0))));
  QuestionReader reader;
  Question question;
  question.endpoint = Endpoint::chat;
  question.body = body;
  if (reader.read(question, canonical)) state.SkipWithError("refused");
  for (auto _ : state) {
    auto refusal = reader.read(question, canonical);
    benchmark::DoNotOptimize(refusal);
    benchmark::DoNotOptimize(question);
  }
  count(state, body.size());
}

void BM_ReadPenstock(benchmark::State& state) { read_penstock(state, false); }
void BM_ReadPenstockCanonical(benchmark::State& state) { read_penstock(state, true); }

void BM_ReadRapidJson(benchmark::State& state) {
  const std::string body = chat_body(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(body.data(), body.size());
    if (document.HasParseError()) state.SkipWithError("refused");
    benchmark::DoNotOptimize(document);
  }
  count(state, body.size());
}

void BM_ReadNlohmann(benchmark::State& state) {
  const std::string body = chat_body(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    const auto document = nlohmann::json::parse(body);
    benchmark::DoNotOptimize(document);
  }
  count(state, body.size());
}

// ---- writing: a chat.completion with an answer of about that size -------------------------------

std::string answer_text(std::size_t size) {
  std::string text;
  while (text.size() + kProse.size() < size) {
    text += kProse.substr(0, kProse.size() - 2);
    text += '\n';
  }
  return text;
}

void BM_WritePenstock(benchmark::State& state) {
  const std::string text = answer_text(static_cast<std::size_t>(state.range(0)));
  const Made made{"chatcmpl-019ab3c47d107b629f3e0a1b2c3d4e5f", "gpt-4o-mini", 1'700'000'000};
  std::string out;
  for (auto _ : state) {
    out.clear();
    write_chat(out, made, text, "stop", Usage{120, 80, 0, 0});
    benchmark::DoNotOptimize(out.data());
  }
  count(state, out.size());
}

void BM_WriteRapidJson(benchmark::State& state) {
  const std::string text = answer_text(static_cast<std::size_t>(state.range(0)));
  rapidjson::StringBuffer out;
  for (auto _ : state) {
    out.Clear();
    rapidjson::Writer<rapidjson::StringBuffer> json(out);
    json.StartObject();
    json.Key("id"), json.String("chatcmpl-019ab3c47d107b629f3e0a1b2c3d4e5f");
    json.Key("object"), json.String("chat.completion");
    json.Key("created"), json.Int64(1'700'000'000);
    json.Key("model"), json.String("gpt-4o-mini");
    json.Key("choices"), json.StartArray(), json.StartObject();
    json.Key("index"), json.Int(0);
    json.Key("message"), json.StartObject();
    json.Key("role"), json.String("assistant");
    json.Key("content"), json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
    json.Key("refusal"), json.Null();
    json.EndObject();
    json.Key("logprobs"), json.Null();
    json.Key("finish_reason"), json.String("stop");
    json.EndObject(), json.EndArray();
    json.Key("usage"), json.StartObject();
    json.Key("prompt_tokens"), json.Int64(120);
    json.Key("completion_tokens"), json.Int64(80);
    json.Key("total_tokens"), json.Int64(200);
    json.EndObject(), json.EndObject();
    benchmark::DoNotOptimize(out.GetString());
  }
  count(state, out.GetSize());
}

void BM_WriteNlohmann(benchmark::State& state) {
  const std::string text = answer_text(static_cast<std::size_t>(state.range(0)));
  std::string out;
  for (auto _ : state) {
    const nlohmann::json json = {
        {"id", "chatcmpl-019ab3c47d107b629f3e0a1b2c3d4e5f"},
        {"object", "chat.completion"},
        {"created", 1'700'000'000},
        {"model", "gpt-4o-mini"},
        {"choices",
         {{{"index", 0},
           {"message", {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}}},
           {"logprobs", nullptr},
           {"finish_reason", "stop"}}}},
        {"usage", {{"prompt_tokens", 120}, {"completion_tokens", 80}, {"total_tokens", 200}}}};
    out = json.dump();
    benchmark::DoNotOptimize(out.data());
  }
  count(state, out.size());
}

// ---- streams: one event as it passes ------------------------------------------------------------

void watch(benchmark::State& state, bool strip_usage) {
  const Made made{"chatcmpl-019ab3c47d107b629f3e0a1b2c3d4e5f", "gpt-4o-mini", 1'700'000'000};
  std::string event;
  write_chat_event(event, made, {false, " gate", "", true});
  StreamReader reader(strip_usage);
  for (auto _ : state) {
    auto passed = reader.feed(event);
    benchmark::DoNotOptimize(passed);
  }
  count(state, event.size());
}

void BM_WatchEvent(benchmark::State& state) { watch(state, false); }
void BM_WatchEventAndStripUsage(benchmark::State& state) { watch(state, true); }

BENCHMARK(BM_ReadPenstock)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_ReadPenstockCanonical)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_ReadRapidJson)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_ReadNlohmann)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_WritePenstock)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_WriteRapidJson)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_WriteNlohmann)->Arg(400)->Arg(4096)->Arg(100 * 1024);
BENCHMARK(BM_WatchEvent);
BENCHMARK(BM_WatchEventAndStripUsage);

}  // namespace
}  // namespace penstock::dialect
