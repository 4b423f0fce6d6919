#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "app/commands.h"

namespace penstock::app {
namespace {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

std::string all_of(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

Outcome check(const std::string& file) {
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  const File out(std::tmpfile(), &std::fclose);
  const File err(std::tmpfile(), &std::fclose);
  const int code = check_command(file, out.get(), err.get());
  return {code, all_of(out.get()), all_of(err.get())};
}

class Check : public testing::Test {
 protected:
  ~Check() override { std::filesystem::remove(path_); }
  const std::string& file(std::string_view text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }

 private:
  std::string path_ = std::filesystem::temp_directory_path() /
                      ("check_test." + std::to_string(::getpid()) + "." +
                       testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Check, SaysWhatAGoodFileIs) {
  const std::string& path =
      file("models: [{name: a, engines: [handbook]}, {name: b, engines: [handbook]}]\n");
  const Outcome outcome = check(path);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, path + ": good (1 engine, 2 models)\n");
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Check, PrintsEveryProblemAndTheirCount) {
  const std::string& path = file("loging: {}\nlisten: {workers: 0}\n");
  const Outcome outcome = check(path);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, path + ":1:1: loging: no such key; did you mean \"logging\"?\n" + path +
                             ":2:19: listen.workers: cannot be \"0\": it is too small; expected a "
                             "whole number from 1 to 1024, or auto\n" +
                             path + ": 2 problems\n");
}

TEST_F(Check, SaysThatAFileCannotBeRead) {
  const Outcome outcome = check("/nowhere/penstock.yaml");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "/nowhere/penstock.yaml: cannot be read: No such file or directory\n");
}

}  // namespace
}  // namespace penstock::app
