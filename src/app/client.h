// A gateway or its admin listener, as commands ask them: over HTTP, from a loop of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/deadline.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "http/client.h"
#include "http/pool.h"

namespace penstock::app {

class Client {
 public:
  // What is wrong with the words of the command line is said on standard error; `code` is the exit
  // code then. `option`: the name of the one that gave the credential, which may be empty.
  static std::unique_ptr<Client> make(std::string command, std::string url, std::string credential,
                                      std::string_view option, int& code);

  struct Reply {
    int status = 0;
    std::string body;
  };
  // One request, and its whole answer. `target` comes behind the URL's path.
  Result<Reply> ask(std::string_view method, std::string_view target, std::string_view body,
                    std::string_view content_type, Duration patience);

  // The same, and a status from 400 on is an Error that says what it said.
  Result<std::string> get(std::string_view target, Duration patience);

  // Says on standard error that it failed, and why, with a cure where there is one; the exit code.
  int failed(const Error& error) const;

  Loop& loop() { return loop_; }
  http::Pool& pool() { return *pool_; }
  // The fields that every request begins with.
  std::string fields() const;

 private:
  Client(std::string command, std::string url, std::string credential);

  const std::string command_;
  const std::string url_;  // as it was given
  const std::string credential_;
  Loop loop_;
  std::optional<http::Pool> pool_;
};

// An answer's body to its end.
Task<Result<std::string>> read_all(http::ClientAnswer& answer, Deadline& deadline);

// An error in somebody else's words.
Error said(std::string detail);

// What a refusal says: its message, or its status.
std::string message_of(int status, std::string_view body);

}  // namespace penstock::app
