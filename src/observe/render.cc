// The registry in Prometheus' text format 0.0.4, and in OpenMetrics 1.0.0.

#include <fmt/format.h>

#include <cmath>

#include "observe/family.h"

namespace penstock::observe {
namespace {

void append_value(std::string& out, double value) {
  constexpr double kExact = 1ULL << 53;
  char text[32];
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (std::isnan(value)) {
    out += "NaN";
  } else if (value >= 0 && value < kExact && std::trunc(value) == value) {
    // Most are counts, and a whole number is written faster.
    out.append(text, fmt::format_to(text, "{}", static_cast<std::uint64_t>(value)));
  } else {
    out.append(text, fmt::format_to(text, "{}", value));
  }
}

// ` # {trace_id="..."} 0.067 1520879607.789`, behind a bucket's count.
void append_exemplar(std::string& out, const Exemplar& seen) {
  out += " # {trace_id=\"";
  out += hex(seen.trace);
  out += "\"} ";
  append_value(out, seen.value);
  // Whole milliseconds: a double with three places takes much longer to write.
  const auto ms = static_cast<std::uint64_t>(std::llround(seen.unix_seconds * 1000));
  char text[32];
  out.append(text, fmt::format_to(text, " {}.{:03}", ms / 1000, ms % 1000));
}

}  // namespace

std::string_view name_of(Type type) {
  switch (type) {
    case Type::counter: return "counter";
    case Type::gauge: return "gauge";
    case Type::histogram: break;
  }
  return "histogram";
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '"': out += quotes ? "\\\"" : "\""; break;
      default: out += c;
    }
  }
}

std::string text_of(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name;
    out += "=\"";
    append_escaped(out, value, true);
    out += '"';
  }
  return out;
}

void Registry::render(std::string& out, const Family& family, Format format) {
  const auto line = [&](std::string_view suffix, const Series& series, std::string_view bound,
                        double value) {
    out += family.name;
    out += suffix;
    if (!series.text.empty() || !bound.empty()) {
      out += '{';
      out += series.text;
      if (!bound.empty()) {
        if (!series.text.empty()) out += ',';
        out += "le=\"";
        out += bound;
        out += '"';
      }
      out += '}';
    }
    out += ' ';
    append_value(out, value);
  };
  const std::vector<std::string>& bounds = family.bound_texts[static_cast<std::size_t>(format)];
  for (const auto& series : family.series) {
    if (family.type != Type::histogram) {
      if (!series->shown) continue;
      line({}, *series, {}, *series->shown);
      out += '\n';
      continue;
    }
    double count = 0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
      count += series->sum(i);
      line("_bucket", *series, bounds[i], count);
      if (format == Format::openmetrics) {
        if (const std::optional<Exemplar> seen = series->exemplar(i)) append_exemplar(out, *seen);
      }
      out += '\n';
    }
    line("_sum", *series, {}, series->sum(bounds.size()));
    out += '\n';
    line("_count", *series, {}, count);
    out += '\n';
  }
}

void Registry::render(std::string& out, Format format) const {
  const std::lock_guard lock(mutex_);
  // Read before anything is written: one of the series says how many there are.
  std::uint64_t lines = 0;
  for (const auto& family : families_) {
    for (const auto& series : family->series) {
      if (family->type != Type::histogram) series->shown = series->value();
      if (family->type == Type::histogram || series->shown) lines += family->lines();
    }
  }
  lines_.store(lines, std::memory_order_relaxed);
  lines_series_->shown = static_cast<double>(lines);
  for (const auto& family : families_) {
    std::string_view name = family->name;
    // In OpenMetrics the family is named without the suffix that its samples have.
    if (format == Format::openmetrics && family->type == Type::counter) {
      name.remove_suffix(name.ends_with("_total") ? 6 : 0);
    }
    out += "# HELP ";
    out += name;
    out += ' ';
    append_escaped(out, family->help, format == Format::openmetrics);
    out += "\n# TYPE ";
    out += name;
    out += ' ';
    out += name_of(family->type);
    out += '\n';
    render(out, *family, format);
  }
  if (format == Format::openmetrics) out += "# EOF\n";
}

std::string_view content_type(Format format) {
  return format == Format::openmetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace penstock::observe
