#include "access/tokens.h"

#include <boost/asio/ip/address.hpp>

#include "net/transport.h"

namespace penstock::access {
namespace {

constexpr std::size_t kMostSet = 256 * 1024;

Refused refused(Refused::Why why, std::string detail) { return {why, std::move(detail)}; }

Refused::Why why_of(Flaw flaw) {
  switch (flaw) {
    case Flaw::malformed:
    case Flaw::algorithm: return Refused::Why::malformed;
    case Flaw::expired: return Refused::Why::expired;
    default: return Refused::Why::unknown;
  }
}

bool this_machine(const std::string& host) {
  if (host == "localhost") return true;
  boost::system::error_code ec;
  const auto address = boost::asio::ip::make_address(host, ec);
  return !ec && address.is_loopback();
}

Error bad_url(std::string what) {
  return {Kind::invalid, Source::gateway, false, "auth.jwt.jwks_url: " + std::move(what)};
}

Error broken(std::string what) { return {Kind::broken, Source::gateway, true, std::move(what)}; }

}  // namespace

Result<std::unique_ptr<Tokens>> Tokens::make(TokensOptions options, const KeyBook& book,
                                             observe::Registry& registry, observe::Log& log) {
  Result<http::Url> url = http::parse_url(options.jwks_url);
  if (!url) return bad_url(url.error().detail);
  if (!url->https && !this_machine(url->host)) {
    return bad_url("keys are fetched over https, or from this machine");
  }
  http::PoolOptions source;
  if (url->https) {
    Result<std::shared_ptr<net::TlsClient>> tls = net::TlsClient::make(options.ca, "");
    if (!tls) return tls.error();
    source.tls = *std::move(tls);
  }
  source.origin = *std::move(url);
  source.max = 1;
  return std::unique_ptr<Tokens>(
      new Tokens(std::move(options), std::move(source), book, registry, log));
}

Tokens::Tokens(TokensOptions options, http::PoolOptions source, const KeyBook& book,
               observe::Registry& registry, observe::Log& log)
    : options_(std::move(options)),
      book_(book),
      log_(log),
      callers_(std::make_shared<Callers>(options_.known, options_.refused)),
      scope_(options_.scope),
      pool_(loop_, std::move(source), {}),
      external_(registry.shard(registry.shards() - 1), "jwks") {
  show(registry, callers_);
}

void Tokens::declare(observe::Registry& registry) {
  show(registry, nullptr);
  const observe::External external(registry.shard(registry.shards() - 1), "jwks");
  static_cast<void>(external);
}

void Tokens::show(observe::Registry& registry, const std::shared_ptr<Callers>& callers) {
  registry.watch(observe::Type::gauge, "penstock_known_tokens",
                 "Tokens that are known without verifying them again.", {},
                 [weak = std::weak_ptr(callers)]() -> std::optional<double> {
                   const auto held = weak.lock();
                   return held ? std::optional(static_cast<double>(held->size())) : std::nullopt;
                 });
}

Tokens::~Tokens() {
  if (!thread_.joinable()) return;
  asio::post(loop_.executor(), [this] {
    until_.call_off(Why::draining);
    // What was called off ends before the loop does.
    asio::post(loop_.executor(), [this] { loop_.stop(); });
  });
  thread_.join();
}

void Tokens::start() {
  if (thread_.joinable()) return;
  asio::post(loop_.executor(), [this] { loop_.spawn(keep_fetching()); });
  thread_ = std::thread([this] { loop_.run(); });
}

void Tokens::configure(CacheScope scope) {
  if (scope_.exchange(scope) != scope) version_.fetch_add(1, std::memory_order_acq_rel);
}

std::shared_ptr<const KeySet> Tokens::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

CallerPtr Tokens::known(std::string_view token, WallTime now) const {
  if (token.empty() || token.size() > kMostToken) return nullptr;
  return callers_->known(book_.hasher().digest(token), now, generation());
}

Task<Result<CallerPtr, Refused>> Tokens::find(std::string token, WallTime now, Deadline& deadline) {
  using Answer = Result<CallerPtr, Refused>;
  if (token.empty()) co_return Answer(refused(Refused::Why::missing, "there is no token"));
  if (!looks_like_token(token)) {
    co_return Answer(refused(Refused::Why::malformed, "it is no token of three parts"));
  }
  const Digest digest = book_.hasher().digest(token);
  CallerPtr known = callers_->known(digest, now, generation());
  if (known != nullptr) co_return Answer(std::move(known));
  const std::optional<Refused::Why> lately = callers_->refused(digest, Clock::now());
  if (lately) co_return Answer(refused(*lately, "the token was refused just now"));

  bool unknown_key = false;
  Answer answer = judge(token, digest, now, unknown_key);
  if (!unknown_key) co_return answer;
  // The keys may have been changed at their source, or have not come yet.
  const AskPtr who = std::make_shared<Ask>(deadline.loop());
  asio::post(loop_.executor(), [this, who] { ask(who); });
  Deadline patience(deadline, Clock::now() + options_.patience);
  Result<void> woken = co_await who->signal.wait(patience);
  static_cast<void>(woken);  // the set that there is by now decides
  co_return judge(token, digest, now, unknown_key);
}

Result<CallerPtr, Refused> Tokens::judge(const std::string& token, const Digest& digest,
                                         WallTime now, bool& unknown_key) {
  unknown_key = false;
  const std::shared_ptr<const KeySet> keys = this->keys();
  if (keys == nullptr) {
    unknown_key = true;
    return refused(Refused::Why::error, "the keys of tokens have not been fetched yet");
  }
  const Result<Claims, Flawed> claims = verify(token, *keys, options_.rules, now);
  if (claims) return caller_of(*claims, digest);
  const Refused::Why why = why_of(claims.error().flaw);
  unknown_key = claims.error().flaw == Flaw::unknown_key;
  // What is not valid yet, or whose key may still come, is not remembered.
  if (!unknown_key && claims.error().flaw != Flaw::early) {
    callers_->put(digest, why, Clock::now() + options_.refused_for);
  }
  return refused(why, claims.error().detail);
}

Result<CallerPtr, Refused> Tokens::caller_of(const Claims& claims, const Digest& digest) {
  // Before: what is made of older tenants or keys must not pass for newer.
  const std::uint64_t generation = this->generation();
  if (!book_.ready()) {
    return refused(Refused::Why::error, "the tenants have not been read from the database yet");
  }
  if (book_.tenants().deleted(claims.tenant)) {
    return refused(Refused::Why::revoked, "the token's tenant was deleted");
  }
  const TenantPtr tenant = book_.tenants().find(claims.tenant);
  auto caller = std::make_shared<Caller>();
  caller->tenant = claims.tenant;
  caller->key = claims.subject;
  compose(*caller, tenant.get(), std::nullopt, scope_);
  caller->expires =
      claims.expires + std::chrono::duration_cast<WallTime::duration>(options_.rules.skew);
  callers_->put(digest, KnownCaller{caller, std::nullopt, generation});
  return CallerPtr(std::move(caller));
}

// ---- the set of keys: on its own loop
// ------------------------------------------------------------

void Tokens::ask(AskPtr who) {
  if (!fetching_ && last_ != Time::min() && Clock::now() < last_ + options_.at_most_each) {
    return who->signal.wake();
  }
  waiting_.push_back(std::move(who));
  if (!fetching_) poke_.wake();
}

Task<void> Tokens::keep_fetching() {
  while (!until_.over()) {
    fetching_ = true;
    {
      const Time began = Clock::now();
      Deadline deadline(until_, began + options_.timeout);
      Result<std::string> fetched = co_await fetch(deadline);
      if (until_.over()) break;
      take_in(fetched);
      external_.ended(!failing_, Clock::now() - began);
    }
    fetching_ = false;
    last_ = Clock::now();
    for (const AskPtr& who : std::exchange(waiting_, {})) who->signal.wake();
    Deadline nap(until_, last_ + (failing_ ? options_.at_most_each : options_.refresh));
    Result<void> woken = co_await poke_.wait(nap);
    static_cast<void>(woken);  // or the time has come
  }
}

Task<Result<std::string>> Tokens::fetch(Deadline& deadline) {
  const http::Url& url = pool_.origin();
  const std::string request = "GET " + (url.path.empty() ? "/" : url.path) +
                              " HTTP/1.1\r\nhost: " + url.authority() +
                              "\r\naccept: application/jwk-set+json, application/json\r\n"
                              "accept-encoding: identity\r\n"
                              "user-agent: penstock/" PENSTOCK_VERSION "\r\n\r\n";
  const std::array<std::string_view, 1> pieces = {request};
  Result<http::ClientAnswer> answer = co_await http::exchange(pool_, pieces, false, deadline);
  if (!answer) co_return answer.error();
  const int status = answer->head().status;
  if (status != 200) {
    co_return broken("it was answered with " + std::to_string(status) +
                     (status >= 300 && status < 400 ? "; redirects are not followed" : ""));
  }
  std::string body;
  Result<bool> whole = co_await answer->gather(body, kMostSet + 1, deadline);
  if (!whole) co_return whole.error();
  if (body.size() > kMostSet) co_return broken("it is larger than 256 KiB");
  co_return body;
}

void Tokens::take_in(const Result<std::string>& fetched) {
  const auto fail = [this](const std::string& reason) {
    if (!std::exchange(failing_, true)) {
      log_.warning("the keys of tokens cannot be fetched; those that were fetched before stay",
                   {{"url", options_.jwks_url}, {"reason", reason}});
    }
  };
  if (!fetched) return fail(fetched.error().detail);
  if (*fetched == text_) {
    if (std::exchange(failing_, false)) log_.info("the keys of tokens are fetched again", {});
    return;
  }
  Result<KeySet> set = parse_jwks(*fetched);
  if (!set) return fail(set.error().detail);
  // A source that has none for the moment must not shut everybody out.
  if (set->keys.empty()) return fail("there is no usable key in it");
  for (const std::string& one : set->left_out) {
    log_.warning("a key of tokens is left out", {{"reason", one}});
  }
  log_.info("the keys of tokens were fetched", {{"keys", set->keys.size()}});
  failing_ = false;
  text_ = *fetched;
  {
    const std::lock_guard lock(mutex_);
    keys_ = std::make_shared<const KeySet>(*std::move(set));
  }
  version_.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace penstock::access
