#include "engine/library.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <simdjson.h>

namespace penstock::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kSearchers = 2;
constexpr std::size_t kQueue = 1000;  // questions
constexpr std::size_t kCandidates = 12;
constexpr std::size_t kFindings = 3;
constexpr double kFits = 0.5;                           // of a question's telling words
constexpr std::uintmax_t kMostFile = 32 * 1024 * 1024;  // larger ones are no documents
constexpr int kSettleMs = 200;                          // editors write a file in several steps
constexpr int kLookMs = 5000;                           // where changes are not announced

bool is_document(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".md" || extension == ".markdown" || extension == ".txt" ||
         extension == ".rst" || extension == ".adoc";
}

struct FileState {
  std::int64_t modified = 0;
  std::uintmax_t size = 0;
  std::int64_t first_row = 0;  // of its passages; first > last: it has none
  std::int64_t last_row = -1;
};

}  // namespace

// What the keeper thread knows.
class Library::Keeper {
 public:
  Keeper(Library& library, Database& database) : library_(library), database_(database) {}

  Result<void> prepare() {
    auto insert = database_.prepare("INSERT INTO passage (source, heading, text) VALUES (?, ?, ?)");
    if (!insert) return std::move(insert).error();
    insert_ = std::make_unique<Statement>(*std::move(insert));
    auto remove = database_.prepare("DELETE FROM passage WHERE rowid BETWEEN ? AND ?");
    if (!remove) return std::move(remove).error();
    remove_ = std::make_unique<Statement>(*std::move(remove));
    inotify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return {};
  }

  ~Keeper() {
    if (inotify_ >= 0) ::close(inotify_);
  }

  // Brings the index up to date with the folder. True if anything changed.
  bool look() {
    std::map<std::string, FileState> seen;
    walk(library_.folder_, seen);
    bool changed = false;
    if (!database_.run("BEGIN")) return false;
    for (auto& [source, known] : files_) {
      if (seen.contains(source)) continue;
      forget(known);
      changed = true;
    }
    for (auto& [source, state] : seen) {
      if (stopping()) break;
      const auto known = files_.find(source);
      if (known != files_.end() && known->second.modified == state.modified &&
          known->second.size == state.size) {
        state = known->second;
        continue;
      }
      if (known != files_.end()) forget(known->second);
      read(source, state);
      changed = true;
    }
    if (!database_.run("COMMIT")) {
      library_.log_.error("the documents' index could not be written",
                          {{"folder", library_.name_}});
    }
    files_ = std::move(seen);
    library_.files_ = files_.size();
    return changed;
  }

  // Waits for a change, or until the library stops; then lets it settle.
  void wait() {
    pollfd waits[2] = {{library_.stop_event_, POLLIN, 0}, {inotify_, POLLIN, 0}};
    const bool announced = inotify_ >= 0 && watched_;
    ::poll(waits, announced ? 2 : 1, announced ? -1 : kLookMs);
    if (!announced) return;
    // Until nothing has come for a moment; a folder that never rests is looked at each second.
    for (int turns = 0; turns < 5 && !stopping(); ++turns) {
      drain();
      waits[1].revents = 0;
      if (::poll(waits, 2, kSettleMs) == 0) break;
    }
    drain();
  }

  bool stopping() const {
    pollfd wait{library_.stop_event_, POLLIN, 0};
    return ::poll(&wait, 1, 0) > 0;
  }

 private:
  void drain() {
    alignas(inotify_event) char buffer[16 * 1024];
    while (::read(inotify_, buffer, sizeof buffer) > 0) {
    }
  }

  void walk(const fs::path& folder, std::map<std::string, FileState>& seen) {
    if (inotify_ >= 0) {
      // Watching what is watched already changes nothing.
      constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE |
                                        IN_DELETE | IN_DELETE_SELF | IN_ATTRIB;
      const bool good = inotify_add_watch(inotify_, folder.c_str(), kEvents | IN_ONLYDIR) >= 0;
      if (!good && watched_) {
        library_.log_.warning("changes of a folder are not announced: it is looked at every 5 s",
                              {{"folder", folder.string()}});
        watched_ = false;
      }
    }
    std::error_code ec;
    fs::directory_iterator entries(folder, ec);
    if (ec) {
      complain(folder, ec.message());
      return;
    }
    for (const fs::directory_entry& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.')) continue;
      std::error_code failed;
      // A link to a folder may lead round in a circle; one to a file may not.
      if (entry.is_directory(failed)) {
        if (!entry.is_symlink(failed)) walk(entry.path(), seen);
        continue;
      }
      if (!entry.is_regular_file(failed) || !is_document(entry.path())) continue;
      FileState state;
      state.modified = entry.last_write_time(failed).time_since_epoch().count();
      state.size = entry.file_size(failed);
      if (failed) continue;  // gone meanwhile
      if (state.size > kMostFile) {
        complain(entry.path(), "it is larger than 32 MiB");
        continue;
      }
      seen.emplace(entry.path().lexically_relative(library_.folder_).string(), state);
    }
  }

  void read(const std::string& source, FileState& state) {
    const fs::path path = fs::path(library_.folder_) / source;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    if (!file || !(state.size == 0 || content << file.rdbuf())) {
      complain(path, "it cannot be read");
      return;
    }
    const std::string text = content.str();
    if (text.find('\0') != std::string::npos || !simdjson::validate_utf8(text)) {
      complain(path, "it is not UTF-8 text");
      return;
    }
    bool first = true;
    for (const Passage& passage : cut_into_passages(text, fs::path(source).stem().string())) {
      insert_->bind(1, source).bind(2, passage.heading).bind(3, passage.text);
      const Result<bool> stepped = insert_->step();
      if (!stepped) {
        library_.log_.error("a passage could not be indexed", {{"reason", stepped.error().detail}});
        return;
      }
      state.last_row = database_.last_row();
      if (first) state.first_row = state.last_row;
      first = false;
      library_.passages_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  void forget(const FileState& state) {
    if (state.first_row > state.last_row) return;
    remove_->bind(1, state.first_row).bind(2, state.last_row);
    (void)remove_->step();
    library_.passages_.fetch_sub(static_cast<std::uint64_t>(state.last_row - state.first_row + 1),
                                 std::memory_order_relaxed);
  }

  void complain(const fs::path& path, std::string_view why) {
    library_.log_.warning("a document is left out", {{"path", path.string()}, {"reason", why}});
  }

  Library& library_;
  Database& database_;
  std::unique_ptr<Statement> insert_;
  std::unique_ptr<Statement> remove_;
  std::map<std::string, FileState> files_;
  int inotify_ = -1;
  bool watched_ = true;
};

// ---- beginning and end -----------------------------------------------------------------------

Library::Library(std::string folder, observe::Log& log)
    : folder_(std::move(folder)),
      name_(fs::path(folder_).lexically_normal().filename().empty()
                ? fs::path(folder_).lexically_normal().parent_path().filename().string()
                : fs::path(folder_).lexically_normal().filename().string()),
      log_(log) {}

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
  std::string pattern = (fs::temp_directory_path() / "penstock-index-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    return Error{Kind::internal, Source::store, false, "no temporary folder can be made"};
  }
  index_path_ = pattern + "/documents.db";
  const auto work = [&]() -> Result<void> {
    Result<Database> writer = Database::open(index_path_);
    if (!writer) return std::move(writer).error();
    writer_ = std::make_unique<Database>(*std::move(writer));
    Result<void> made = writer_->run(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY;"
        "CREATE VIRTUAL TABLE passage USING fts5(source UNINDEXED, heading, text, "
        "tokenize='porter unicode61');"
        "INSERT INTO passage (passage, rank) VALUES ('rank', 'bm25(0.0, 3.0, 1.0)');");
    if (!made) return made;
    std::vector<Database> readers;
    for (int i = 0; i < kSearchers; ++i) {
      Result<Database> reader = Database::open(index_path_);
      if (!reader) return std::move(reader).error();
      // A first read opens the files behind the name.
      Result<void> read = reader->run("SELECT count(*) FROM passage");
      if (!read) return read;
      readers.push_back(*std::move(reader));
    }
    stop_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_event_ < 0) return Error{Kind::internal, Source::gateway, false, "no eventfd"};
    threads_.emplace_back([this] { keep(); });
    for (Database& reader : readers) {
      threads_.emplace_back([this, database = std::make_shared<Database>(std::move(
                                       reader))]() mutable { serve(std::move(*database)); });
    }
    return {};
  };
  Result<void> done = work();
  std::error_code ignored;
  fs::remove_all(pattern, ignored);
  return done;
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
  if (stop_event_ >= 0) ::close(stop_event_);
}

void Library::keep() {
  Keeper keeper(*this, *writer_);
  if (Result<void> ready = keeper.prepare(); !ready) {
    log_.error("the documents cannot be indexed", {{"reason", ready.error().detail}});
    return;
  }
  const Time begun = Clock::now();
  keeper.look();
  read_once_.store(true, std::memory_order_release);
  version_.fetch_add(1, std::memory_order_release);
  more_.notify_all();
  log_.info(
      "documents read",
      {{"folder", name_},
       {"files", files()},
       {"passages", passages()},
       {"ms",
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun).count()}});
  while (!keeper.stopping()) {
    keeper.wait();
    if (keeper.stopping()) break;
    if (keeper.look()) {
      version_.fetch_add(1, std::memory_order_release);
      log_.info("documents read again",
                {{"folder", name_}, {"files", files()}, {"passages", passages()}});
    }
  }
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

void Library::serve(Database database) {
  // The rank function weighs headings; it is set in the table.
  Result<Statement> statement = database.prepare(
      "SELECT source, heading, text FROM passage WHERE passage MATCH ? ORDER BY rank LIMIT " +
      std::to_string(kCandidates));
  if (!statement) {
    log_.error("the documents cannot be searched", {{"reason", statement.error().detail}});
    return;
  }
  for (;;) {
    std::shared_ptr<Asked> asked;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] { return stopping_ || (!queue_.empty() && read_once()); });
      if (stopping_) return;
      asked = std::move(queue_.front());
      queue_.pop_front();
    }
    if (asked.use_count() == 1) continue;  // whoever asked has left
    Result<std::vector<Finding>> found = find(*statement, asked->question);
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
  };
  std::vector<Candidate> candidates;
  statement.bind(1, fts_query(words));
  for (;;) {
    const Result<bool> row = statement.step();
    if (!row) return row.error();
    if (!*row) break;
    Finding finding{std::string(statement.text(0)),
                    {std::string(statement.text(1)), std::string(statement.text(2))}};
    const double cover = coverage(words, finding.passage);
    if (cover >= kFits) candidates.push_back({std::move(finding), cover});
  }
  // Rank says which is about it most, coverage which is about all of it.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cover > b.cover; });
  for (Candidate& candidate : candidates) {
    if (findings.size() == kFindings) break;
    // What fits much less than the best only distracts.
    if (candidate.cover < 0.75 * candidates.front().cover) continue;
    findings.push_back(std::move(candidate.finding));
  }
  return findings;
}

}  // namespace penstock::engine
