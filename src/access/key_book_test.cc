#include "access/key_book.h"

#include <gtest/gtest.h>

#include <thread>

#include "access/office.h"
#include "access/testing.h"

namespace penstock::access {
namespace {

const WallTime kNow{std::chrono::seconds(1'800'000'000)};
const Actor kActor{"user ada", "here"};

template <class Ask>
auto ask(const Ask& what) {
  return store::wait(5s, what);
}

Limits limits_of(std::optional<Quota> requests, std::optional<Quota> tokens,
                 std::optional<std::uint64_t> inflight, std::optional<Nano> spend_day) {
  Limits limits;
  limits.requests = requests;
  limits.tokens = tokens;
  limits.inflight = inflight;
  limits.spend_day = spend_day;
  return limits;
}

class Book : public DatabaseTest {
 protected:
  Book() {
    EXPECT_TRUE(
        ask([&](Deadline& d) { return office_->create_tenant("acme", {}, kActor, kNow, d); }).ok());
  }

  NewKey made(KeyChange fields = {}) {
    if (!fields.name) fields.name = "a key";
    auto key =
        ask([&](Deadline& d) { return office_->create_key("acme", fields, kActor, kNow, d); });
    EXPECT_TRUE(key.ok()) << key.error().detail;
    return *std::move(key);
  }
  std::unique_ptr<KeyBook> book(KeyBookOptions options = {}) {
    options.secret = "secret";
    options.poll = 5ms;
    auto book = std::make_unique<KeyBook>(std::move(options), *database_, registry_, log_);
    book->start();
    EXPECT_TRUE(within_reason([&] { return book->ready(); }));
    return book;
  }
  static Result<CallerPtr, Refused> find(KeyBook& book, const std::string& key,
                                         WallTime now = kNow) {
    return ask([&](Deadline& d) { return book.find(key, now, d); });
  }
  static Refused::Why why(KeyBook& book, const std::string& key, WallTime now = kNow) {
    const auto result = find(book, key, now);
    EXPECT_FALSE(result.ok());
    return result ? Refused::Why::error : result.error().why;
  }

  std::unique_ptr<Office> office_ = std::make_unique<Office>(
      *database_, "secret", [](std::string_view name) { return name == "configured"; });
};

TEST_F(Book, AKeyIsFoundOnceAndKnownFromThenOn) {
  KeyChange fields;
  fields.models = {"small", "large"};
  fields.priority = Priority::batch;
  fields.limits = limits_of(Quota{100, 60s}, {}, {}, 5);
  const NewKey key = made(fields);
  const auto book = this->book();
  EXPECT_EQ(book->known(key.secret, kNow), nullptr);
  const auto caller = find(*book, key.secret);
  ASSERT_TRUE(caller.ok()) << caller.error().detail;
  EXPECT_EQ((*caller)->key, key.key.id);
  EXPECT_EQ((*caller)->tenant, "acme");
  EXPECT_EQ((*caller)->models, (std::vector<std::string>{"small", "large"}));
  EXPECT_EQ((*caller)->priority, Priority::batch);
  EXPECT_EQ((*caller)->limits, *fields.limits);
  EXPECT_EQ((*caller)->cache_scope, "t:acme");
  EXPECT_EQ(book->known(key.secret, kNow), *caller);
  EXPECT_EQ(registry_.sum("penstock_key_lookups_total"), 1);
}

TEST_F(Book, WhatIsNoKeyAsksNobody) {
  const auto book = this->book();
  EXPECT_EQ(why(*book, ""), Refused::Why::missing);
  EXPECT_EQ(why(*book, "sk-something"), Refused::Why::malformed);
  EXPECT_EQ(why(*book, "pk_' OR '1'='1"), Refused::Why::malformed);
  std::string mistyped = *make_key();
  mistyped[10] = mistyped[10] == 'a' ? 'b' : 'a';
  EXPECT_EQ(why(*book, mistyped), Refused::Why::malformed);
  EXPECT_EQ(registry_.sum("penstock_key_lookups_total"), 0);
}

TEST_F(Book, AnUnknownKeyIsAskedForOnce) {
  const auto book = this->book();
  const std::string stranger = *make_key();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(why(*book, stranger), Refused::Why::unknown);
  EXPECT_EQ(registry_.sum("penstock_key_lookups_total"), 1);
}

TEST_F(Book, AnotherSecretKnowsNobody) {
  const NewKey key = made();
  KeyBookOptions options;
  options.secret = "another";
  KeyBook book(options, *database_, registry_, log_);
  book.start();
  EXPECT_EQ(why(book, key.secret), Refused::Why::unknown);
}

TEST_F(Book, ARevokedKeyIsDroppedSoon) {
  const NewKey key = made();
  const auto book = this->book();
  ASSERT_TRUE(find(*book, key.secret).ok());
  const std::uint64_t before = book->generation();
  ASSERT_TRUE(
      ask([&](Deadline& d) { return office_->revoke_key(key.key.id, kActor, kNow, d); }).ok());
  EXPECT_TRUE(within_reason([&] { return book->known(key.secret, kNow) == nullptr; }));
  EXPECT_TRUE(within_reason([&] { return book->generation() != before; }));
  EXPECT_EQ(why(*book, key.secret), Refused::Why::revoked);
}

TEST_F(Book, AChangedKeyIsReplacedAndStaysKnown) {
  const NewKey key = made();
  const auto book = this->book();
  ASSERT_TRUE(find(*book, key.secret).ok());
  KeyChange change;
  change.limits = limits_of({}, {}, 3, {});
  change.scope = CacheScope::key;
  ASSERT_TRUE(ask([&](Deadline& d) {
                return office_->update_key(key.key.id, change, kActor, kNow, d);
              }).ok());
  EXPECT_TRUE(within_reason([&] {
    const CallerPtr caller = book->known(key.secret, kNow);
    EXPECT_NE(caller, nullptr);
    return caller != nullptr && caller->limits.inflight == 3u;
  }));
  EXPECT_EQ(book->known(key.secret, kNow)->cache_scope, "k:acme:" + key.key.id);
}

TEST_F(Book, AKeyThatIsMadeAfterItWasRefusedIsFoundSoon) {
  const auto book = this->book();
  const std::string key = *make_key();
  EXPECT_EQ(why(*book, key), Refused::Why::unknown);
  store::KeyRow row;
  row.id = "key_late";
  row.prefix = prefix_of(key);
  const Digest digest = Hasher("secret").digest(key);
  row.digest.assign(digest.begin(), digest.end());
  Key fields;
  fields.name = "late";
  row.tenant = "acme";
  write(fields, row);
  ASSERT_TRUE(*ask([&](Deadline& d) { return store::create_key(*database_, row, {}, d); }));
  EXPECT_TRUE(within_reason([&] { return find(*book, key).ok(); }));
}

TEST_F(Book, AnExpiredKeyIsRefusedAtItsVeryTime) {
  KeyChange fields;
  fields.expires = kNow + 10s;
  const NewKey key = made(fields);
  const auto book = this->book();
  ASSERT_TRUE(find(*book, key.secret, kNow + 9s).ok());
  EXPECT_NE(book->known(key.secret, kNow + 9s), nullptr);
  EXPECT_EQ(book->known(key.secret, kNow + 10s), nullptr);
  EXPECT_EQ(why(*book, key.secret, kNow + 10s), Refused::Why::expired);
  // Refused lately, and given more time: the change tells.
  KeyChange change;
  change.expires = std::optional<WallTime>();
  ASSERT_TRUE(ask([&](Deadline& d) {
                return office_->update_key(key.key.id, change, kActor, kNow, d);
              }).ok());
  EXPECT_TRUE(within_reason([&] { return find(*book, key.secret, kNow + 10s).ok(); }));
}

TEST_F(Book, ARotatedKeyIsGoodForItsGrace) {
  const NewKey key = made();
  const auto book = this->book();
  ASSERT_TRUE(find(*book, key.secret).ok());
  const auto fresh =
      ask([&](Deadline& d) { return office_->rotate_key(key.key.id, 1h, kActor, kNow, d); });
  ASSERT_TRUE(fresh.ok()) << fresh.error().detail;
  EXPECT_TRUE(find(*book, fresh->secret).ok());
  EXPECT_TRUE(within_reason([&] {
    const CallerPtr caller = book->known(key.secret, kNow);
    return caller != nullptr && caller->expires == kNow + 1h;
  }));
  EXPECT_EQ(book->known(key.secret, kNow + 1h), nullptr);
  EXPECT_EQ(why(*book, key.secret, kNow + 1h), Refused::Why::revoked);
  EXPECT_EQ(find(*book, fresh->secret, kNow + 2h).ok(), true);
}

TEST_F(Book, TenantsAreTakenOverAndTheConfigurationWins) {
  KeyBookOptions options;
  Tenant configured;
  configured.name = "acme";
  configured.limits.inflight = 7;
  options.tenants = {configured};
  const NewKey key = made();
  const auto book = this->book(options);
  ASSERT_TRUE(find(*book, key.secret).ok());
  KeyChange change;
  change.models = {"small"};
  change.scope = CacheScope::shared;
  change.limits = limits_of({}, Quota{10, 1s}, 100, {});
  ASSERT_TRUE(ask([&](Deadline& d) {
                return office_->update_tenant("acme", change, kActor, kNow, d);
              }).ok());
  EXPECT_TRUE(within_reason([&] {
    return book->known(key.secret, kNow)->tenant_models == std::vector<std::string>{"small"};
  }));
  EXPECT_EQ(book->known(key.secret, kNow)->cache_scope, "");
  const Limits limits = book->known(key.secret, kNow)->tenant_limits;
  EXPECT_EQ(limits.inflight, 7u);
  EXPECT_EQ(limits.tokens, (Quota{10, 1s}));
  configured.scope = CacheScope::key;
  book->configure({configured}, CacheScope::tenant);
  EXPECT_EQ(book->known(key.secret, kNow)->cache_scope, "k:acme:" + key.key.id);
}

TEST_F(Book, ADeletedTenantsKeysAreRevoked) {
  const NewKey key = made();
  const auto book = this->book();
  ASSERT_TRUE(find(*book, key.secret).ok());
  ASSERT_TRUE(
      ask([&](Deadline& d) { return office_->delete_tenant("acme", kActor, kNow, d); }).ok());
  EXPECT_TRUE(within_reason([&] { return book->known(key.secret, kNow) == nullptr; }));
  EXPECT_EQ(why(*book, key.secret), Refused::Why::revoked);
  EXPECT_TRUE(book->tenants().deleted("acme"));
}

TEST_F(Book, ManyThreadsThatAskForOneKeyAskTheDatabaseOnce) {
  const NewKey key = made();
  const auto book = this->book();
  std::vector<std::thread> threads;
  std::atomic<int> found{0};
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      if (find(*book, key.secret).ok()) ++found;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(found, 16);
  EXPECT_EQ(registry_.sum("penstock_key_lookups_total"), 1);
}

TEST_F(Book, OnlySoManyAreKept) {
  KeyBookOptions options;
  options.known = 64;
  const auto book = this->book(options);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(find(*book, made().secret).ok());
  EXPECT_LE(registry_.sum("penstock_known_keys"), 64);
}

}  // namespace
}  // namespace penstock::access
