// What Redis answers: one value of RESP3 (https://redis.io/docs/reference/protocol-spec/).
//
//   +text  -error  :1  $bulk  _  #t  ,1.5  (big  !blob error  =txt:verbatim
//   *array  ~set  >push     their elements in `items`
//   %map                    key, value, key, value ... in `items`
//
// How a text came (simple, bulk or verbatim) makes no difference to anybody and is not kept.
// Attributes are read over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::redis {

enum class Type : std::uint8_t {
  null,
  text,
  error,
  integer,
  real,
  boolean,
  big,  // an integer of any length, as text
  array,
  set,
  map,
  push,
};

struct Value {
  Type type = Type::null;
  bool truth = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;  // of texts, errors and big numbers
  std::vector<Value> items;

  bool is_null() const { return type == Type::null; }
  bool is_text() const { return type == Type::text; }
  bool is_error() const { return type == Type::error; }
  bool is_integer() const { return type == Type::integer; }
  bool is_list() const { return type >= Type::array; }
};

}  // namespace penstock::redis
