// `penstock cache semantic`: which threshold an embedding model bears, by pairs of questions.
#include <fstream>
#include <iterator>

#include "app/cache_command.h"
#include "app/client.h"
#include "app/help.h"
#include "app/semantic_report.h"
#include "app/shown.h"
#include "cache/semantic.h"
#include "dialect/embeddings.h"

namespace penstock::app {
namespace {

constexpr const char* kName = "penstock cache";
constexpr Duration kPatience = 60s;  // for 64 texts: a model on a processor is slow

Result<std::vector<std::vector<float>>> embed(Client& client, std::string_view model,
                                              std::span<const std::string> texts) {
  std::string body;
  dialect::write_embeddings_question(body, model, texts);
  const Result<Client::Reply> reply =
      client.ask("POST", "/v1/embeddings", body, "application/json", kPatience);
  if (!reply) return reply.error();
  if (reply->status != 200) return said(message_of(reply->status, reply->body));
  return dialect::read_embeddings(reply->body, texts.size(), cache::SemanticIndex::kMostDimensions);
}

}  // namespace

int report_semantic_pairs(Client& client, const CacheOptions& options) {
  std::string lines(shipped_semantic_pairs());
  if (!options.file.empty()) {
    std::ifstream file(options.file);
    lines.assign(std::istreambuf_iterator<char>(file), {});
    if (lines.empty()) {
      return bad_usage(kName, fmt::format("{} cannot be read, or is empty", visible(options.file)));
    }
  }
  const Result<std::vector<SemanticPair>> pairs = read_semantic_pairs(lines);
  if (!pairs) {
    return bad_usage(kName, fmt::format("{}: {}", visible(options.file), pairs.error().detail));
  }
  const Result<std::string> report = report_semantic(
      *pairs,
      [&](std::span<const std::string> texts) { return embed(client, *options.model, texts); },
      options.format == "json");
  return report ? print_page(kName, *report) : client.failed(report.error());
}

}  // namespace penstock::app
