// Keys, tenants and the audit log over both databases.
#include "store/keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "store/servers_testing.h"
#include "store/tenants.h"

namespace penstock::store {
namespace {

class Access : public testing::TestWithParam<std::string_view> {
 protected:
  Access() {
    Options options;
    if (GetParam() == "sqlite") {
      folder_ = temporary_folder("sqlite");
      options.url = "sqlite:" + folder_ + "/a.db";
    } else {
      Servers& servers = Servers::get();
      options.url = servers.primary->url(servers.fresh_database());
    }
    options.acquire_timeout = 5s;
    database_ = house_.open(options);
    must_migrate(*database_);
  }
  ~Access() override {
    database_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  template <class Ask>
  static auto ask(const Ask& what) {
    auto result = wait(10s, what);
    EXPECT_TRUE(result.ok()) << result.error().detail;
    return *std::move(result);
  }
  static KeyRow key(const std::string& id, const std::string& tenant = "t") {
    KeyRow row;
    row.id = id;
    row.prefix = "pk_12345678";
    row.digest = std::string(31, '\0') + id.back();
    row.name = "a name with ' and \"";
    row.tenant = tenant;
    row.models = "[]";
    row.limits = "{}";
    row.priority = "interactive";
    row.created_us = 1'790'000'000'000'000;
    row.created_by = "me";
    return row;
  }
  Note note(const std::string& action, const std::string& object) {
    return {"note-" + std::to_string(++notes_),
            1'790'000'000'000'000 + notes_,
            "me",
            action,
            object,
            "{}",
            "here"};
  }
  bool create(const KeyRow& row) {
    return ask(
        [&](Deadline& d) { return create_key(*database_, row, note("key.create", row.id), d); });
  }
  bool update(const KeyRow& row) {
    return ask(
        [&](Deadline& d) { return update_key(*database_, row, note("key.update", row.id), d); });
  }
  KeyRow read(const std::string& id) {
    const std::optional<KeyRow> row =
        ask([&](Deadline& d) { return key_of_id(*database_, id, d); });
    EXPECT_TRUE(row.has_value()) << id;
    return row.value_or(KeyRow());
  }
  FoundKey find(const std::string& digest) {
    return ask([&](Deadline& d) { return find_key(*database_, digest, true, d); });
  }
  std::vector<Note> audit() {
    return ask([&](Deadline& d) {
      return list_audit(*database_, std::numeric_limits<std::int64_t>::max(), "", 100, d);
    });
  }

  std::string folder_;
  House house_;
  std::unique_ptr<Database> database_;
  int notes_ = 0;
};

TEST_P(Access, AKeyComesBackAsItWasWritten) {
  KeyRow row = key("key_a");
  row.expires_us = 7;
  row.cache_scope = "key";
  ASSERT_TRUE(create(row));
  const FoundKey found = find(row.digest);
  ASSERT_TRUE(found.key.has_value());
  EXPECT_EQ(found.key->id, "key_a");
  EXPECT_EQ(found.key->digest, row.digest);
  EXPECT_EQ(found.key->name, row.name);
  EXPECT_EQ(found.key->expires_us, 7);
  EXPECT_EQ(found.key->revoked_us, std::nullopt);
  EXPECT_EQ(found.key->replaced_by, std::nullopt);
  EXPECT_EQ(found.key->cache_scope, "key");
  EXPECT_EQ(found.key->changed, found.changes);
  EXPECT_EQ(found.changes, 1);
  const FoundKey nobody = find(std::string(32, 'x'));
  EXPECT_FALSE(nobody.key.has_value());
  EXPECT_EQ(nobody.changes, 1);
}

TEST_P(Access, OfTwoChangesOfOneReadingTheSlowerDoesNothing) {
  ASSERT_TRUE(create(key("key_a")));
  KeyRow one = read("key_a");
  KeyRow other = one;
  one.name = "one";
  other.name = "other";
  EXPECT_TRUE(update(one));
  EXPECT_FALSE(update(other));
  EXPECT_EQ(read("key_a").name, "one");
  KeyRow nobody = key("key_b");
  EXPECT_FALSE(update(nobody));
  // What changed nothing left no note.
  ASSERT_EQ(audit().size(), 2u);
  EXPECT_EQ(audit()[0].action, "key.update");
}

TEST_P(Access, ARotationIsWholeOrNotAtAll) {
  ASSERT_TRUE(create(key("key_a")));
  KeyRow old = read("key_a");
  const KeyRow stale = old;
  old.replaced_by = "key_b";
  old.grace_until_us = 9;
  const auto rotate = [&](const KeyRow& from, const KeyRow& to) {
    return ask([&](Deadline& d) {
      return rotate_key(*database_, from, to, note("key.rotate", from.id), d);
    });
  };
  EXPECT_TRUE(rotate(old, key("key_b")));
  EXPECT_EQ(read("key_a").replaced_by, "key_b");
  EXPECT_EQ(read("key_b").changed, read("key_a").changed);
  EXPECT_FALSE(rotate(stale, key("key_c")));
  EXPECT_FALSE(find(key("key_c").digest).key.has_value());
}

TEST_P(Access, ChangesAreReadInOrderFromWhereOneWas) {
  for (const char* id : {"key_a", "key_b", "key_c"}) ASSERT_TRUE(create(key(id)));
  KeyRow first = read("key_a");
  first.revoked_us = 5;
  ASSERT_TRUE(update(first));
  const auto changed = [&](std::int64_t after, const std::string& id, std::int64_t limit) {
    std::string out;
    for (const KeyRow& row :
         ask([&](Deadline& d) { return changed_keys(*database_, after, id, limit, d); })) {
      out += row.id + " ";
    }
    return out;
  };
  EXPECT_EQ(changed(0, "", 10), "key_b key_c key_a ");
  EXPECT_EQ(changed(0, "", 2), "key_b key_c ");
  EXPECT_EQ(changed(3, "key_c", 10), "key_a ");
  EXPECT_EQ(changed(4, "key_a", 10), "");
  EXPECT_EQ(ask([&](Deadline& d) { return last_change(*database_, d); }), 4);
}

TEST_P(Access, ListsArePagedByTenantOrAll) {
  ASSERT_TRUE(create(key("key_a", "t")));
  ASSERT_TRUE(create(key("key_b", "u")));
  ASSERT_TRUE(create(key("key_c", "t")));
  const auto list = [&](const std::string& tenant, const std::string& after) {
    std::string out;
    for (const KeyRow& row :
         ask([&](Deadline& d) { return list_keys(*database_, tenant, after, 2, d); })) {
      out += row.id + " ";
    }
    return out;
  };
  EXPECT_EQ(list("", ""), "key_a key_b ");
  EXPECT_EQ(list("", "key_b"), "key_c ");
  EXPECT_EQ(list("t", ""), "key_a key_c ");
  EXPECT_EQ(list("t' OR '1'='1", ""), "");
}

TEST_P(Access, ADeletedTenantTakesItsKeysAlong) {
  TenantRow tenant{"t", "{}", "[]", "", 1, 0, false};
  const auto make = [&] {
    return ask([&](Deadline& d) {
      return create_tenant(*database_, tenant, note("tenant.create", "t"), d);
    });
  };
  EXPECT_TRUE(make());
  EXPECT_FALSE(make());
  ASSERT_TRUE(create(key("key_a", "t")));
  ASSERT_TRUE(create(key("key_b", "u")));
  tenant = *ask([&](Deadline& d) { return tenant_of_name(*database_, "t", d); });
  EXPECT_TRUE(ask([&](Deadline& d) {
    return delete_tenant(*database_, tenant, note("tenant.delete", "t"), d);
  }));
  EXPECT_FALSE(ask([&](Deadline& d) {
    return delete_tenant(*database_, tenant, note("tenant.delete", "t"), d);
  }));
  EXPECT_TRUE(read("key_a").revoked_us.has_value());
  EXPECT_FALSE(read("key_b").revoked_us.has_value());
  EXPECT_FALSE(create(key("key_d", "t")));
  const auto changed = ask([&](Deadline& d) { return changed_tenants(*database_, 0, "", 10, d); });
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_TRUE(changed[0].deleted);
  EXPECT_TRUE(ask([&](Deadline& d) { return list_tenants(*database_, "", 10, d); }).empty());
  EXPECT_TRUE(make());
  EXPECT_EQ(audit().size(), 5u);
}

TEST_P(Access, ManyWhoChangeAtOnceGetNumbersOfTheirOwn) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      for (int k = 0; k < 5; ++k) {
        KeyRow row = key("key_" + std::to_string(i) + std::to_string(k));
        row.digest = std::string(30, '\0') + static_cast<char>(i) + static_cast<char>(k);
        Note mine{"n" + row.id, 1, "me", "key.create", row.id, "{}", "here"};
        EXPECT_TRUE(ask([&](Deadline& d) { return create_key(*database_, row, mine, d); }));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto rows = ask([&](Deadline& d) { return changed_keys(*database_, 0, "", 100, d); });
  ASSERT_EQ(rows.size(), 20u);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].changed, static_cast<std::int64_t>(i) + 1);
  }
}

TEST_P(Access, TheFirstSecretIsTheOneThatIsKept) {
  const auto keep = [&](const std::string& fresh) {
    return ask([&](Deadline& d) { return kept_secret(*database_, "secret", fresh, d); });
  };
  EXPECT_EQ(keep("one"), "one");
  EXPECT_EQ(keep("two"), "one");
}

INSTANTIATE_TEST_SUITE_P(Every, Access, testing::Values("sqlite", "postgres"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace penstock::store
