#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "store/servers_testing.h"

namespace penstock::store {
namespace {

const std::string kBin = "/usr/lib/postgresql/15/bin/";
const std::string kBouncer = "/usr/sbin/pgbouncer";

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "store_test: %s\n", why.c_str());
  std::exit(1);
}

// Becomes the user postgres, where this is root: PostgreSQL refuses to be run by it.
void become_postgres() {
  if (geteuid() != 0) return;
  const passwd* const user = getpwnam("postgres");
  if (user == nullptr || initgroups("postgres", user->pw_gid) != 0 || setgid(user->pw_gid) != 0 ||
      setuid(user->pw_uid) != 0) {
    _exit(126);
  }
}

pid_t spawn(const std::vector<std::string>& words, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t id = fork();
  if (id != 0) return id;
  // A connection that the parent closes meanwhile stays in its epoll for as long as we hold it too,
  // and its end would be told to somebody who is gone.
  close_range(3, ~0U, 0);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  dup2(out, 1);
  dup2(out, 2);
  become_postgres();
  // A shell in the background lets its children ignore it.
  ::signal(SIGQUIT, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(127);
  if (chdir("/tmp") != 0) _exit(127);
  execv(arguments[0], arguments.data());
  _exit(127);
}

std::string contents(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  std::filesystem::permissions(path, std::filesystem::perms(0644));
}

class End : public testing::Environment {
 public:
  void TearDown() override;
};

std::unique_ptr<Servers>& kept() {
  static std::unique_ptr<Servers> servers;
  return servers;
}

void End::TearDown() {
  if (kept()) {
    const std::string folder = kept()->folder;
    kept().reset();
    std::filesystem::remove_all(folder);
  }
}

const testing::Environment* const kEnd = testing::AddGlobalTestEnvironment(new End);

}  // namespace

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0) {
    give_up("no free port");
  }
  close(fd);
  return ntohs(at.sin_port);
}

std::string temporary_folder(const std::string& name) {
  std::string folder = std::filesystem::temp_directory_path() / ("penstock-" + name + "-XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) give_up("no temporary folder");
  if (geteuid() == 0) {
    if (const passwd* const user = getpwnam("postgres")) {
      (void)!chown(folder.c_str(), user->pw_uid, user->pw_gid);
    }
  }
  return folder;
}

void run(const std::vector<std::string>& words, const std::string& log) {
  const pid_t id = spawn(words, log);
  int status = 0;
  if (waitpid(id, &status, 0) != id || status != 0) {
    give_up(words.front() + " failed:\n" + contents(log));
  }
}

bool wait_until(const std::function<bool()>& done, Duration at_most) {
  const Time end = Clock::now() + at_most;
  while (!done()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

// ---- processes ---------------------------------------------------------------------------------

void Process::start(const std::vector<std::string>& words, const std::string& log) {
  id_ = spawn(words, log);
}

bool Process::running() { return id_ > 0 && waitpid(id_, nullptr, WNOHANG) == 0; }

void Process::end(int signal) {
  if (id_ <= 0) return;
  tell_all(SIGCONT);
  ::kill(id_, signal);
  waitpid(id_, nullptr, 0);
  id_ = -1;
}

void Process::tell_all(int signal) const {
  if (id_ <= 0) return;
  // The postmaster first, so that it makes no more of them.
  ::kill(id_, signal);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = contents(entry.path() / "stat");
    const std::size_t behind = stat.rfind(')');
    if (behind == std::string::npos) continue;
    char state = 0;
    int parent = 0;
    if (std::sscanf(stat.c_str() + behind + 1, " %c %d", &state, &parent) == 2 && parent == id_) {
      ::kill(std::stoi(name), signal);
    }
  }
}

// ---- PostgreSQL --------------------------------------------------------------------------------

PostgresServer::PostgresServer(std::string folder, const PostgresServer* of)
    : folder_(std::move(folder)), port_(free_port()) {
  const std::string log = folder_ + ".log";
  if (of != nullptr) {
    run({kBin + "pg_basebackup", "-D", folder_, "-R", "-X", "stream", "-c", "fast", "--no-sync",
         "-d", "postgresql://postgres@127.0.0.1:" + std::to_string(of->port()) + "/postgres"},
        log);
    return;
  }
  run({kBin + "initdb", "-D", folder_, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8",
       "--locale=C.UTF-8"},
      log);
  run({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
       "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
       "-keyout", folder_ + "/server.key", "-out", folder_ + "/server.crt"},
      log);
  write(folder_ + "/pg_hba.conf",
        "host all penstock 127.0.0.1/32 scram-sha-256\n"
        "host all postgres 127.0.0.1/32 trust\n"
        "host replication postgres 127.0.0.1/32 trust\n");
  start();
  ask("postgres", "CREATE ROLE penstock LOGIN PASSWORD 'secret' CREATEDB");
}

void PostgresServer::start(const std::vector<std::string>& settings) {
  std::vector<std::string> words = {kBin + "postgres", "-D", folder_};
  for (const std::string& setting : std::vector<std::string>{
           "port=" + std::to_string(port_), "listen_addresses=127.0.0.1",
           "unix_socket_directories=", "fsync=off", "max_connections=100", "shared_buffers=128MB",
           "max_wal_size=2GB", "ssl=on", "wal_receiver_timeout=2s",
           "wal_retrieve_retry_interval=200ms", "max_wal_senders=8", "wal_keep_size=256MB"}) {
    words.insert(words.end(), {"-c", setting});
  }
  for (const std::string& setting : settings) words.insert(words.end(), {"-c", setting});
  process_.start(words, folder_ + ".log");
  const std::string url = "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/postgres";
  if (!wait_until([&] { return PQping(url.c_str()) == PQPING_OK; }, 30s)) {
    give_up("PostgreSQL does not start:\n" + contents(folder_ + ".log"));
  }
}

void PostgresServer::promote() const { ask("postgres", "SELECT pg_promote(true)"); }

std::string PostgresServer::url(const std::string& database, const std::string& options) const {
  return "postgresql://penstock:secret@127.0.0.1:" + std::to_string(port_) + "/" + database +
         options;
}

std::string PostgresServer::ask(const std::string& database, const std::string& sql) const {
  const std::string url = "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" +
                          database + "?application_name=test";
  PGconn* const connection = PQconnectdb(url.c_str());
  PGresult* const result = PQexec(connection, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    ADD_FAILURE() << sql << ": " << PQerrorMessage(connection);
  }
  std::string out = PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "";
  PQclear(result);
  PQfinish(connection);
  return out;
}

// ---- all of them -------------------------------------------------------------------------------

Servers::Servers() {
  for (const std::string& program : {kBin + "postgres", kBouncer}) {
    if (access(program.c_str(), X_OK) != 0) {
      give_up(program + " is not there: apt-get install postgresql-15 pgbouncer");
    }
  }
  folder = temporary_folder("store");
  primary = std::make_unique<PostgresServer>(folder + "/primary", nullptr);
  replica = std::make_unique<PostgresServer>(folder + "/replica", primary.get());
  replica->start();

  bouncer_port = free_port();
  write(folder + "/users.txt", "\"penstock\" \"secret\"\n");
  write(
      folder + "/bouncer.ini",
      "[databases]\n* = host=127.0.0.1 port=" + std::to_string(primary->port()) +
          "\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " + std::to_string(bouncer_port) +
          "\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = " + folder +
          "/users.txt\npool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 100\n");
  bouncer.start({kBouncer, "-q", folder + "/bouncer.ini"}, folder + "/bouncer.log");
}

Servers& Servers::get() {
  if (!kept()) kept() = std::make_unique<Servers>();
  return *kept();
}

std::string Servers::fresh_database() {
  const std::string name = "t" + std::to_string(++databases);
  primary->ask("postgres", "CREATE DATABASE " + name + " OWNER penstock");
  return name;
}

std::unique_ptr<Database> House::open(const Options& options) {
  Result<std::unique_ptr<Database>> made = store::open(options, registry, log);
  EXPECT_TRUE(made.ok()) << made.error().detail;
  return made ? *std::move(made) : nullptr;
}

Rows must(Result<Rows> result) {
  EXPECT_TRUE(result.ok()) << (result ? "" : result.error().detail);
  return result ? *std::move(result) : Rows{};
}

OfEachDatabase::OfEachDatabase() {
  Options options;
  if (GetParam() == "sqlite") {
    folder_ = temporary_folder("database");
    options.url = "sqlite:" + folder_ + "/a.db";
  } else {
    Servers& servers = Servers::get();
    options.url = servers.primary->url(servers.fresh_database());
  }
  database_ = house_.open(options);
  must_migrate(*database_);
}

OfEachDatabase::~OfEachDatabase() {
  database_.reset();
  if (!folder_.empty()) std::filesystem::remove_all(folder_);
}

void must_migrate(Database& database) {
  Result<int> applied = wait(20s, [&](Deadline& d) { return migrate(database, d); });
  ASSERT_TRUE(applied.ok()) << applied.error().detail;
}

UsageRow usage_row(std::int64_t time_us, std::uint64_t number) {
  Random random(number);
  UsageRow row;
  row.id = make_uuid7(static_cast<std::uint64_t>(time_us / 1000), random);
  row.time_us = time_us;
  row.tenant = "tenant-" + std::to_string(number % 50);
  row.key = "key_" + std::to_string(number % 500);
  row.model = "model-" + std::to_string(number % 5);
  row.engine = "engine-" + std::to_string(number % 3);
  row.route = "chat";
  row.status = number % 20 == 0 ? 503 : 200;
  row.cache = number % 4 == 0 ? "memory" : "miss";
  row.count = 1;
  row.tokens = Usage{100, 50, 10, 5};
  row.cost = 1000;
  row.duration_us = 2000 + static_cast<std::int64_t>(number % 1000);
  row.engine_us = 1500;
  if (number % 2 == 0) row.first_token_us = 900;
  row.request_id = "req-" + std::to_string(number);
  row.trace_id = "0123456789abcdef0123456789abcdef";
  if (row.status != 200) row.error = "engine_unavailable";
  return row;
}

}  // namespace penstock::store
