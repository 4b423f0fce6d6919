#include "store/postgres_values.h"

#include <charconv>

#include "store/text.h"

namespace penstock::store {
namespace {

// Of pg_type, where they never change.
constexpr Oid kBool = 16;
constexpr Oid kBytea = 17;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kFloat4 = 700;
constexpr Oid kFloat8 = 701;
constexpr Oid kNumeric = 1700;  // what a sum of bigint is

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string bytes_of(const char* text) {
  std::size_t size = 0;
  unsigned char* const bytes = PQunescapeBytea(reinterpret_cast<const unsigned char*>(text), &size);
  if (bytes == nullptr) return {};
  std::string out(reinterpret_cast<const char*>(bytes), size);
  PQfreemem(bytes);
  return out;
}

Value value_of(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column) != 0) return std::monostate();
  const char* const text = PQgetvalue(result, row, column);
  const std::string_view all(text, static_cast<std::size_t>(PQgetlength(result, row, column)));
  switch (PQftype(result, column)) {
    case kBool: return std::int64_t{all == "t"};
    case kBytea: return Blob{bytes_of(text)};
    case kInt2:
    case kInt4:
    case kInt8:
      if (const auto number = number_of<std::int64_t>(all)) return *number;
      break;
    case kNumeric:
      if (const auto number = number_of<std::int64_t>(all)) return *number;
      [[fallthrough]];
    case kFloat4:
    case kFloat8:
      if (const auto number = number_of<double>(all)) return *number;
      break;
    default: break;
  }
  return std::string(all);
}

struct Class {
  std::string_view state;  // SQLSTATE, or its beginning
  Kind kind;
  bool retry = false;   // by who asks
  bool broken = false;  // the connection is dropped
  bool again = false;   // tried again here
};
// The first that fits.
constexpr std::array kClasses = {
    Class{"25006", Kind::unreachable, true, true, true},  // read-only: it is the primary no more
    Class{"55000", Kind::unreachable, true, true, true},  // "recovery is in progress"
    Class{"57P0", Kind::unreachable, true, true, true},   // it shuts down, it starts
    Class{"08", Kind::unreachable, true, true, true},
    Class{"40", Kind::exhausted, true, false, true},    // of two that were in each other's way
    Class{"26000", Kind::internal, true, false, true},  // a pooler between us: see PostgresPool
    Class{"42P05", Kind::internal, true, false, true},
    Class{"0A000", Kind::internal, true, true, true},  // "cached plan must not change"
    Class{"57014", Kind::timeout, true, false, false},
    Class{"55P03", Kind::exhausted, true, false, false},
    Class{"53", Kind::exhausted, true, false, false},  // disk, memory, connections
    Class{"23", Kind::refused, false, false, false},
    Class{"22", Kind::invalid, false, false, false},
};
constexpr Class kOther = {"", Kind::internal, false, false, false};

const Class& class_of(std::string_view state) {
  const auto* const at = std::find_if(kClasses.begin(), kClasses.end(), [&](const Class& one) {
    return state.starts_with(one.state);
  });
  return at == kClasses.end() ? kOther : *at;
}

std::string trimmed(const char* text) {
  std::string out(text == nullptr ? "" : text);
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

}  // namespace

Parameters::Parameters(const Values& values) {
  kept_.reserve(values.size());
  for (const Value& value : values) {
    const char* text = nullptr;
    std::size_t length = 0;
    int format = 0;
    if (const auto* const number = std::get_if<std::int64_t>(&value)) {
      text = kept_.emplace_back(std::to_string(*number)).c_str();
    } else if (const auto* const real = std::get_if<double>(&value)) {
      text = kept_.emplace_back(fmt::format("{}", *real)).c_str();
    } else if (const auto* const string = std::get_if<std::string>(&value)) {
      text =
          storable(*string) ? string->c_str() : kept_.emplace_back(made_storable(*string)).c_str();
    } else if (const auto* const blob = std::get_if<Blob>(&value)) {
      text = blob->bytes.data();
      length = blob->bytes.size();
      format = 1;
    }
    texts_.push_back(text);
    lengths_.push_back(static_cast<int>(length));
    formats_.push_back(format);
  }
}

Rows rows_of(const PGresult* result) {
  Rows out;
  const int rows = PQntuples(result);
  const int columns = PQnfields(result);
  out.rows.resize(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) {
    Values& row = out.rows[static_cast<std::size_t>(i)];
    row.reserve(static_cast<std::size_t>(columns));
    for (int j = 0; j < columns; ++j) row.push_back(value_of(result, i, j));
  }
  const std::string_view command = PQcmdStatus(const_cast<PGresult*>(result));
  if (!command.starts_with("SELECT")) {
    const std::string_view changed = PQcmdTuples(const_cast<PGresult*>(result));
    out.changed = number_of<std::uint64_t>(changed).value_or(0);
  }
  return out;
}

PostgresFailure failure_of(const PGresult* result, std::string_view database) {
  const char* const given = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  PostgresFailure out;
  out.state = given == nullptr ? "" : given;
  const Class& known = class_of(out.state);
  // What is wrong with a value is told with the value.
  const std::string reason = known.kind == Kind::invalid
                                 ? "a value that it does not take"
                                 : trimmed(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  out.error = {known.kind, Source::store, known.retry,
               fmt::format("the database {}: {} ({})", database, reason, out.state)};
  out.broken = known.broken || out.state.empty();
  out.again = known.again || out.state.empty();
  return out;
}

PostgresFailure broken_connection(const PGconn* connection, std::string_view database) {
  PostgresFailure out;
  out.error = {Kind::unreachable, Source::store, true,
               fmt::format("the database {}: {}", database, trimmed(PQerrorMessage(connection)))};
  out.broken = true;
  out.again = true;
  return out;
}

}  // namespace penstock::store
