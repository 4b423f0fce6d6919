#include "engine/library.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/give_way.h"
#include "base/uuid.h"
#include "engine/folder.h"

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kSearchers = 2;
constexpr std::size_t kQueue = 1000;  // questions
constexpr std::size_t kCandidates = 24;
constexpr std::size_t kFindings = 3;
constexpr double kFits = 0.5;   // of a question's telling words
constexpr double kTitle = 0.5;  // what a word in a heading counts beside one anywhere,
constexpr double kText = 0.25;  // and one in the text itself
constexpr Duration kRetry = 30s;
// Changes with how files are cut and searched: the same files may be answered out of otherwise.
constexpr std::uint64_t kEdition = 2;

std::uint64_t digest_of(const std::string& name, const std::string& text) {
  const std::uint64_t seed = XXH3_64bits_withSeed(name.data(), name.size(), kEdition);
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

// "guide/first-steps.md" -> "guide/first-steps": what is searched of it.
std::string title_of(const std::string& source) {
  return source.substr(0, source.size() - fs::path(source).extension().native().size());
}

struct Document {
  Stamp stamp;
  std::uint64_t digest = 0;
  std::int64_t first_row = 0;  // of its passages; first > last: it has none
  std::int64_t last_row = -1;
  std::string left_out;  // why; empty: it is indexed
  bool retry = false;    // it may do without having changed
};

// Keeps the order of sections by their best passage; in a section passages stand as in the file.
void put_sections_together(std::vector<Finding>& findings) {
  for (auto first = findings.begin(); first != findings.end();) {
    const auto end = std::stable_partition(first, findings.end(), [one = *first](const Finding& f) {
      return f.source == one.source && f.passage.heading == one.passage.heading;
    });
    std::sort(first, end, [](const Finding& a, const Finding& b) { return a.row < b.row; });
    first = end;
  }
}

}  // namespace

// What the keeper thread knows.
class Library::Keeper {
 public:
  Keeper(Library& library, Database database)
      : library_(library),
        database_(std::move(database)),
        folder_(library.folder_, library.stop_event_, library.log_) {}

  Result<void> prepare() {
    const auto make = [&](std::unique_ptr<Statement>& statement, const char* sql) -> Result<void> {
      auto made = database_.prepare(sql);
      if (!made) return std::move(made).error();
      statement = std::make_unique<Statement>(*std::move(made));
      return {};
    };
    Result<void> made =
        make(insert_, "INSERT INTO passage (source, title, heading, text) VALUES (?, ?, ?, ?)");
    if (!made) return made;
    return make(remove_, "DELETE FROM passage WHERE rowid BETWEEN ? AND ?");
  }

  void keep() {
    Time begun = Clock::now();
    while (!folder_.stopping()) {
      const bool first = !library_.read_once();
      Result<bool> changed = look();
      if (folder_.stopping()) break;
      if (!changed) {
        fail(changed.error());
      } else if (*changed || first) {
        const auto took = Clock::now() - begun;
        library_.log_.info(
            first ? "documents read" : "documents read again",
            {{"folder", library_.name_},
             {"files", library_.files()},
             {"passages", library_.passages()},
             {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
      }
      folder_.wait(changed && !retry_ ? Duration::max() / 2 : kRetry);
      begun = Clock::now();
    }
  }

 private:
  using Documents = std::map<std::string, Document>;

  // Brings the index up to date with the folder: all of it, or nothing. True if anything changed.
  Result<bool> look() {
    Result<Folder::Files> files = folder_.list();
    if (folder_.stopping()) return false;
    if (!files) return std::move(files).error();
    if (library_.state() == State::gone) {
      library_.log_.info("the folder of documents is back", {{"folder", library_.name_}});
    }
    // A library's exceptions (memory, the file system) end here.
    try {
      Result<bool> changed = bring_up_to(*files);
      if (!changed || folder_.stopping()) (void)database_.run("ROLLBACK");
      return changed;
    } catch (const std::exception& e) {
      (void)database_.run("ROLLBACK");
      return Error{Kind::internal, Source::store, false, e.what()};
    }
  }

  Result<bool> bring_up_to(const Folder::Files& files) {
    Documents next;
    std::uint64_t digest = kEdition;
    if (Result<void> begun = database_.run("BEGIN"); !begun) return std::move(begun).error();
    for (const auto& [source, known] : documents_) {
      if (files.contains(source)) continue;
      if (Result<void> gone = forget(known); !gone) return std::move(gone).error();
    }
    for (const auto& [source, stamp] : files) {
      if (folder_.stopping()) return false;
      const auto known = documents_.find(source);
      const Document* before = known == documents_.end() ? nullptr : &known->second;
      if (before != nullptr && before->stamp == stamp && !before->retry) {
        next.emplace_hint(next.end(), *known);
        digest += before->digest;
        continue;
      }
      Result<Document> read = read_again(source, stamp, before);
      if (!read) return std::move(read).error();
      digest += read->digest;
      next.emplace_hint(next.end(), source, *std::move(read));
    }
    // No answer out of the new index is kept under the old version, nor the other way round.
    const std::uint64_t before = library_.version();
    if (digest != before) library_.version_.store(random_.next(), std::memory_order_release);
    if (Result<void> done = database_.run("COMMIT"); !done) {
      library_.version_.store(before, std::memory_order_release);
      return std::move(done).error();
    }
    documents_ = std::move(next);
    publish(digest);
    return digest != before;
  }

  void publish(std::uint64_t digest) {
    std::uint64_t files = 0;
    std::uint64_t passages = 0;
    retry_ = false;
    for (const auto& [source, document] : documents_) {
      if (document.left_out.empty()) ++files;
      retry_ = retry_ || document.retry;
      passages += static_cast<std::uint64_t>(document.last_row - document.first_row + 1);
    }
    library_.files_ = files;
    library_.passages_ = passages;
    library_.left_out_ = documents_.size() - files;
    library_.version_.store(digest, std::memory_order_release);
    said_.clear();
    library_.set_state(State::good);
  }

  Result<Document> read_again(const std::string& source, const Stamp& stamp,
                              const Document* before) {
    Document document;
    document.stamp = stamp;
    const Result<std::string> text = folder_.read(source);
    if (text) document.digest = digest_of(source, *text);
    if (before != nullptr && text && before->left_out.empty() &&
        before->digest == document.digest) {
      document.first_row = before->first_row;
      document.last_row = before->last_row;
      return document;
    }
    if (before != nullptr) {
      if (Result<void> gone = forget(*before); !gone) return std::move(gone).error();
    }
    if (!text) {
      document.left_out = text.error().detail;
      document.retry = text.error().kind != Kind::invalid;
      if (before == nullptr || before->left_out != document.left_out) {
        library_.log_.warning(
            "a document is left out",
            {{"folder", library_.name_}, {"path", source}, {"reason", document.left_out}});
      }
      return document;
    }
    const std::string title = title_of(source);
    for (const Passage& passage : cut_into_passages(*text, fs::path(source).stem().string())) {
      insert_->bind(1, source).bind(2, title).bind(3, passage.heading).bind(4, passage.text);
      const Result<bool> stepped = insert_->step();
      if (!stepped) return stepped.error();
      if (folder_.stopping()) return document;
      document.last_row = database_.last_row();
      if (document.first_row == 0) document.first_row = document.last_row;
    }
    return document;
  }

  Result<void> forget(const Document& document) {
    if (document.first_row > document.last_row) return {};
    remove_->bind(1, document.first_row).bind(2, document.last_row);
    const Result<bool> stepped = remove_->step();
    if (!stepped) return stepped.error();
    return {};
  }

  void fail(const Error& error) {
    const bool folder = error.source != Source::store;
    if (said_ != error.detail) {
      const char* message = folder ? "the folder of documents cannot be read; what was read before "
                                     "is still answered from"
                                   : "the documents cannot be indexed";
      library_.log_.warning(message, {{"folder", library_.folder_}, {"reason", error.detail}});
    }
    said_ = error.detail;
    library_.set_state(folder ? State::gone : State::failed);
  }

  Library& library_;
  Database database_;
  Folder folder_;
  std::unique_ptr<Statement> insert_;
  std::unique_ptr<Statement> remove_;
  Documents documents_;
  bool retry_ = false;  // there is a document that may do without having changed
  std::string said_;    // the failure that was logged
  Random random_;
};

// ---- beginning and end -----------------------------------------------------------------------

Library::Library(std::string folder, observe::Log& log)
    : folder_(std::move(folder)),
      name_(fs::path(folder_).lexically_normal().filename().empty()
                ? fs::path(folder_).lexically_normal().parent_path().filename().string()
                : fs::path(folder_).lexically_normal().filename().string()),
      log_(log),
      version_(Random().next()) {}

Result<std::shared_ptr<Library>> Library::open(const std::string& folder, observe::Log& log) {
  const auto bad = [&](std::string_view why) {
    return Error{Kind::not_found, Source::gateway, false,
                 "the folder of documents " + folder + " " + std::string(why)};
  };
  std::error_code ec;
  const fs::file_status status = fs::status(folder, ec);
  if (!fs::exists(status)) return bad("does not exist");
  if (!fs::is_directory(status)) return bad("is not a folder");
  const fs::directory_iterator readable(folder, ec);
  if (ec) return bad("cannot be read: " + ec.message());

  std::shared_ptr<Library> library(new Library(folder, log));
  Result<void> opened = library->open_index();
  if (!opened) return std::move(opened).error();
  return library;
}

// The index is a file of this process alone: its name is gone as soon as all have opened it, so
// that nothing is left behind however the process ends.
Result<void> Library::open_index() {
  std::error_code ec;
  std::string pattern = (fs::temp_directory_path(ec) / "penstock-index-XXXXXX").string();
  if (ec || mkdtemp(pattern.data()) == nullptr) {
    return Error{Kind::internal, Source::store, false, "no temporary folder can be made"};
  }
  const std::string path = pattern + "/documents.db";
  std::vector<Statement> searches;
  const auto work = [&]() -> Result<void> {
    stop_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_event_ < 0) return Error{Kind::internal, Source::gateway, false, "no eventfd"};
    Result<Database> writer = Database::open(path);
    if (!writer) return std::move(writer).error();
    // A passage is found by its file's name and its headings sooner than by its text.
    Result<void> made = writer->run(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;"
        "CREATE VIRTUAL TABLE passage USING fts5(source UNINDEXED, title, heading, text, "
        "tokenize='porter unicode61');"
        "INSERT INTO passage (passage, rank) VALUES ('rank', 'bm25(0.0, 3.0, 3.0, 1.0)');");
    if (!made) return made;
    for (int i = 0; i < kSearchers; ++i) {
      Result<Database> reader = Database::open(path);
      if (!reader) return std::move(reader).error();
      // A first read opens the files behind the name.
      Result<void> read = reader->run("SELECT count(*) FROM passage");
      if (!read) return read;
      // The rank function is set in the table.
      Result<Statement> search = reader->prepare(
          "SELECT rowid, source, heading, text FROM passage WHERE passage MATCH ? "
          "ORDER BY rank LIMIT " +
          std::to_string(kCandidates));
      if (!search) return std::move(search).error();
      readers_.push_back(*std::move(reader));
      searches.push_back(*std::move(search));
    }
    keeper_ = std::make_unique<Keeper>(*this, *std::move(writer));
    return keeper_->prepare();
  };
  Result<void> done = work();
  fs::remove_all(pattern, ec);
  if (!done) return done;
  threads_.emplace_back([this] {
    give_way();
    keeper_->keep();
  });
  for (Statement& search : searches) {
    threads_.emplace_back([this, statement = std::make_shared<Statement>(std::move(search))] {
      serve(std::move(*statement));
    });
  }
  return {};
}

Library::~Library() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  more_.notify_all();
  if (stop_event_ >= 0) {
    const std::uint64_t one = 1;
    (void)!::write(stop_event_, &one, sizeof one);
  }
  for (std::thread& thread : threads_) thread.join();
  keeper_.reset();
  if (stop_event_ >= 0) ::close(stop_event_);
}

void Library::set_state(State state) {
  {
    const std::lock_guard lock(mutex_);
    state_.store(state, std::memory_order_release);
    if (state == State::good) read_once_.store(true, std::memory_order_release);
  }
  more_.notify_all();
}

// ---- questions ---------------------------------------------------------------------------------

Task<Result<std::vector<Finding>>> Library::search(std::string question, Deadline& deadline) {
  const auto asked = std::make_shared<Asked>(std::move(question), deadline.loop());
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= kQueue) {
      co_return Error{Kind::exhausted, Source::engine, true,
                      "too many questions wait for the documents"};
    }
    queue_.push_back(asked);
  }
  more_.notify_one();
  Result<void> woken = co_await asked->done.wait(deadline);
  if (!woken) co_return deadline.error("search the documents", Source::engine);
  const std::lock_guard lock(asked->mutex);
  co_return *std::move(asked->result);
}

void Library::serve(Statement statement) {
  for (;;) {
    std::shared_ptr<Asked> asked;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] {
        return stopping_ || (!queue_.empty() && (read_once() || state() != State::reading));
      });
      if (stopping_) return;
      asked = std::move(queue_.front());
      queue_.pop_front();
    }
    if (asked.use_count() == 1) continue;  // whoever asked has left
    Result<std::vector<Finding>> found =
        read_once() ? find(statement, asked->question)
                    : Error{Kind::unreachable, Source::engine, true,
                            state() == State::gone ? "the folder of documents cannot be read"
                                                   : "the documents cannot be indexed"};
    {
      const std::lock_guard lock(asked->mutex);
      asked->result.emplace(std::move(found));
    }
    asked->done.wake();
  }
}

Result<std::vector<Finding>> Library::find(Statement& statement, const std::string& question) {
  const std::vector<std::string> words = words_of(question);
  std::vector<Finding> findings;
  if (words.empty()) return findings;
  struct Candidate {
    Finding finding;
    double cover;
    double score;
  };
  std::vector<Candidate> candidates;
  statement.bind(1, fts_query(words));
  for (;;) {
    const Result<bool> row = statement.step();
    if (!row) return row.error();
    if (!*row) break;
    Finding finding{std::string(statement.text(1)),
                    {std::string(statement.text(2)), std::string(statement.text(3))},
                    statement.number(0)};
    const std::string& source = finding.source;
    const Passage& passage = finding.passage;
    const double cover = coverage(words, {source, passage.heading, passage.text});
    if (cover < kFits) continue;
    const double title = coverage(words, {source, passage.heading});
    const double text = coverage(words, {passage.text});
    const double score = cover + kTitle * title + kText * text;
    candidates.push_back({std::move(finding), cover, score});
  }
  // Rank says which is about it most, coverage which is about all of it, and what its headings say
  // a passage is about is worth more than what it mentions.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  for (Candidate& candidate : candidates) {
    if (findings.size() == kFindings) break;
    // What fits much less than the best only distracts.
    if (candidate.cover < 0.75 * candidates.front().cover) continue;
    findings.push_back(std::move(candidate.finding));
  }
  put_sections_together(findings);
  return findings;
}

}  // namespace penstock::engine
