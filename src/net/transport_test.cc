#include "net/transport.h"

#include <gtest/gtest.h>

namespace penstock::net {
namespace {

TEST(TlsClient, NamesTheFileItCannotRead) {
  const auto tls = TlsClient::make("/nowhere/ca.pem", "");
  ASSERT_FALSE(tls);
  EXPECT_EQ(tls.error().kind, Kind::invalid);
  EXPECT_NE(tls.error().detail.find("/nowhere/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace penstock::net
