// The engine that is always there: it answers out of a folder, by quoting it.
#pragma once

#include <memory>

#include "engine/engine.h"
#include "engine/library.h"

namespace penstock::engine {

class DocumentsEngine final : public Engine {
 public:
  DocumentsEngine(std::string name, std::shared_ptr<Library> library)
      : name_(std::move(name)), library_(std::move(library)) {}

  const std::string& name() const override { return name_; }
  std::uint64_t version() const override { return library_->version(); }
  Task<Result<Answer>> call(const Call& call, Deadline& deadline) override;
  Task<Result<std::vector<Model>>> models(Deadline& deadline) override;

 private:
  const std::string name_;
  std::shared_ptr<Library> library_;
};

}  // namespace penstock::engine
