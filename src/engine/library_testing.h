// What tests of documents share: a folder of their own, and questions over it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/library.h"

namespace penstock::engine {

namespace fs = std::filesystem;

template <class T>
T run(Loop& loop, Task<T> task) {
  std::optional<T> result;
  const auto whole = [](Task<T> work, Loop* on, std::optional<T>* to) -> Task<void> {
    T made = co_await std::move(work);
    to->emplace(std::move(made));
    on->stop();
  };
  loop.io().restart();
  loop.spawn(whole(std::move(task), &loop, &result));
  loop.run();
  return *std::move(result);
}

class DocumentsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "penstock-docs-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    write(
        "plant.md",
        "# The plant\n\nIt has two turbines.\n\n## Opening the gate\n\nTurn the wheel at the gate "
        "to the left, slowly.\nTell the control room before.\n\n```\n# not a heading\n```\n");
    write("food/canteen.txt", "The canteen serves soup on Mondays.\n\nBread comes every day.");
    write(".hidden.md", "# Secret\n\nThe password is swordfish.");
    write("image.png", "binary");
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Writes below the folder.
  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  std::shared_ptr<Library> open() {
    auto library = Library::open(folder_.string(), log_);
    EXPECT_TRUE(library);
    return *library;
  }

  std::vector<Finding> search(Library& library, const std::string& question) {
    Deadline deadline(loop_, Clock::now() + 10s);
    auto found = run(loop_, library.search(question, deadline));
    EXPECT_TRUE(found);
    return *std::move(found);
  }

  // Until the best passage for a question comes out of the text; "": until there is none.
  void wait_for(Library& library, const std::string& question, const std::string& text) {
    const Time limit = Clock::now() + 10s;
    std::string best;
    do {
      const auto found = search(library, question);
      best = found.empty() ? "" : found[0].passage.text;
      if (text.empty() ? best.empty() : best.find(text) != std::string::npos) return;
    } while (Clock::now() < limit);
    FAIL() << "instead of \"" << text << "\": " << best;
  }

  template <class Condition>
  void wait_until(const Condition& condition) {
    const Time limit = Clock::now() + 10s;
    while (!condition() && Clock::now() < limit) std::this_thread::yield();
    EXPECT_TRUE(condition());
  }

  fs::path folder_;
  std::FILE* null_ = std::fopen("/dev/null", "w");
  observe::Log log_{{observe::Level::warn, observe::LogFormat::json, null_}};
  Loop loop_;
};

}  // namespace penstock::engine
