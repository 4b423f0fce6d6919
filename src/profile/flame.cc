#include "profile/flame.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace penstock::profile {
namespace {

// The picture's measures, in its own pixels.
constexpr double kWidth = 1200, kMargin = 10, kRow = 17, kHead = 58, kFoot = 10, kLetter = 6.6;
constexpr double kNarrowest = 0.3;  // narrower boxes would not be seen

struct Box {
  std::string name;
  std::int64_t count = 0;
  std::map<std::string, Box> above;
};

Box tree_of(const Stacks& stacks) {
  Box root{.name = "all", .count = 0, .above = {}};
  for (const auto& [names, count] : stacks) {
    root.count += count;
    Box* at = &root;
    for (const std::string& name : names) {
      Box& box = at->above[name];
      box.name = name;
      box.count += count;
      at = &box;
    }
  }
  return root;
}

std::size_t height(const Box& box) {
  std::size_t highest = 0;
  for (const auto& [name, above] : box.above) highest = std::max(highest, height(above));
  return highest + 1;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) < ' ') {
          out += ' ';
        } else {
          out += c;
        }
    }
  }
  return out;
}

// One colour for a name, wherever it stands: the gateway's own functions warm, those of libraries
// cool.
std::string colour(const std::string& name) {
  std::uint32_t hash = 2166136261;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619;
  const unsigned light = 62 + hash % 14;
  const bool own = name.find("penstock::") != name.npos || name == "all";
  const unsigned hue = (own ? 22 : 190) + (hash >> 8) % 30;
  return fmt::format("hsl({},{}%,{}%)", hue, own ? 85 : 40, light);
}

class Drawing {
 public:
  Drawing(const Box& root, const Title& title)
      : root_(root),
        title_(title),
        rows_(height(root)),
        bottom_(kHead + kRow * static_cast<double>(rows_)) {}

  std::string draw() {
    const double height = bottom_ + kFoot;
    out_ = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"ui-monospace,monospace\" font-size=\"11\">\n"
        "<title>{2}</title>\n"
        "<style>svg{{background:#fdfdfb}}text{{pointer-events:none;fill:#1c1c1c}}"
        "#boxes rect{{stroke:#fdfdfb;stroke-width:.7;cursor:pointer}}"
        "#boxes g:hover rect{{stroke:#1c1c1c}}.found rect{{fill:#c54bd0!important}}"
        ".under{{opacity:.45}}#find{{cursor:pointer;pointer-events:auto;fill:#27508f}}</style>\n"
        "<text x=\"{3:.0f}\" y=\"22\" font-size=\"15\">{2}</text>\n"
        "<text id=\"find\" x=\"{4:.0f}\" y=\"22\" text-anchor=\"end\">search</text>\n"
        "<text id=\"told\" x=\"{3:.0f}\" y=\"44\">{5}</text>\n"
        "<g id=\"boxes\">\n",
        kWidth, height, escaped(title_.text), kMargin, kWidth - kMargin,
        root_.count == 0 ? "Nothing was counted."
                         : "Click a box to see it as wide as the picture.");
    if (root_.count > 0) add(root_, 0, 0);
    out_ += "</g>\n";
    out_ += kScript;
    return out_ + "</svg>\n";
  }

 private:
  void add(const Box& box, std::int64_t from, std::size_t row) {
    const double scale = (kWidth - 2 * kMargin) / static_cast<double>(root_.count);
    const double width = static_cast<double>(box.count) * scale;
    if (width < kNarrowest) return;
    const double x = kMargin + static_cast<double>(from) * scale;
    const double y = bottom_ - kRow * static_cast<double>(row + 1);
    const std::string told =
        fmt::format("{}: {}, {:.2f} %", box.name, amount_text(box.count, title_.unit),
                    100 * static_cast<double>(box.count) / static_cast<double>(root_.count));
    // The text is cut to what fits; the script does it anew when the box has another width.
    const auto letters = static_cast<std::size_t>(std::max((width - 6) / kLetter, 0.0));
    const std::string shown = letters < 3                  ? std::string()
                              : box.name.size() <= letters ? box.name
                                                           : box.name.substr(0, letters - 2) + "..";
    out_ += fmt::format(
        "<g data-n=\"{}\"><title>{}</title><rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" "
        "height=\"16\" rx=\"1\" fill=\"{}\"/><text x=\"{:.2f}\" y=\"{:.1f}\">{}</text></g>\n",
        escaped(box.name), escaped(told), x, y, width, colour(box.name), x + 3, y + 12,
        escaped(shown));
    std::int64_t at = from;
    for (const auto& [name, above] : box.above) {
      add(above, at, row + 1);
      at += above.count;
    }
  }

  // Zooms to a box, and finds names. Without it (an image viewer) the picture is whole all the
  // same.
  static constexpr std::string_view kScript = R"svg(<script><![CDATA[
(function () {
  var root = document.documentElement, told = document.getElementById("told");
  var boxes = Array.prototype.map.call(document.querySelectorAll("#boxes > g"), function (g) {
    var rect = g.querySelector("rect");
    return {g: g, rect: rect, text: g.querySelector("text"), name: g.getAttribute("data-n"),
            says: g.querySelector("title").textContent, x: +rect.getAttribute("x"),
            y: +rect.getAttribute("y"), w: +rect.getAttribute("width")};
  });
  if (!boxes.length) return;
  var whole = boxes[0], hint = told.textContent;
  function zoom(to) {
    var scale = whole.w / to.w;
    boxes.forEach(function (b) {
      var under = b.y > to.y && b.x <= to.x + .01 && b.x + b.w >= to.x + to.w - .01;
      var inside = b.y <= to.y && b.x >= to.x - .01 && b.x + b.w <= to.x + to.w + .01;
      b.g.style.display = under || inside ? "" : "none";
      b.g.setAttribute("class", (under ? "under " : "") + (b.found ? "found" : ""));
      var x = under ? whole.x : whole.x + (b.x - to.x) * scale, w = under ? whole.w : b.w * scale;
      b.rect.setAttribute("x", x);
      b.rect.setAttribute("width", Math.max(w, 0));
      b.text.setAttribute("x", x + 3);
      var letters = Math.floor((w - 6) / 6.6);
      b.text.textContent = letters < 3 ? "" :
        b.name.length <= letters ? b.name : b.name.slice(0, letters - 2) + "..";
    });
    now = to;
  }
  var now = whole;
  boxes.forEach(function (b) {
    b.g.addEventListener("click", function () { zoom(b === now ? whole : b); });
    b.g.addEventListener("mouseover", function () { told.textContent = b.says; });
    b.g.addEventListener("mouseout", function () { told.textContent = hint; });
  });
  document.getElementById("find").addEventListener("click", function () {
    var word = prompt("Functions whose name contains:") || "", sum = 0;
    boxes.forEach(function (b) {
      b.found = word !== "" && b.name.toLowerCase().indexOf(word.toLowerCase()) >= 0;
    });
    // A box that is found below others that are counts once.
    boxes.forEach(function (b) {
      if (!b.found) return;
      var below = boxes.some(function (o) {
        return o.found && o.y > b.y && o.x <= b.x + .01 && o.x + o.w >= b.x + b.w - .01;
      });
      if (!below) sum += b.w;
    });
    hint = word === "" ? "Click a box to see it as wide as the picture." :
      "\"" + word + "\": " + (100 * sum / whole.w).toFixed(1) + " % of all";
    told.textContent = hint;
    zoom(now);
  });
})();
]]></script>
)svg";

  const Box& root_;
  const Title& title_;
  const std::size_t rows_;
  const double bottom_;
  std::string out_;
};

}  // namespace

std::string folded(const Profile& profile, const Symbols& symbols) {
  std::map<std::string, std::int64_t> lines;
  std::unordered_map<Address, std::string> names;
  for (const Sample& sample : profile.samples) {
    const std::int64_t count = sample.values[profile.shown];
    if (count <= 0) continue;
    std::string line;
    for (auto frame = sample.frames.rbegin(); frame != sample.frames.rend(); ++frame) {
      const auto [at, made] = names.try_emplace(*frame);
      if (made) {
        at->second = symbols.at(*frame).name;
        // The format's own marks.
        std::replace(at->second.begin(), at->second.end(), ';', ':');
        std::replace(at->second.begin(), at->second.end(), '\n', ' ');
      }
      if (!line.empty()) line += ';';
      line += at->second;
    }
    lines[line.empty() ? "[unknown]" : line] += count;
  }
  std::string out;
  for (const auto& [line, count] : lines) out += fmt::format("{} {}\n", line, count);
  return out;
}

Result<Stacks> read_folded(std::string_view text) {
  Stacks stacks;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    const std::size_t space = line.rfind(' ');
    std::int64_t count = 0;
    const char* const last = line.data() + line.size();
    const char* const digits = line.data() + (space == line.npos ? line.size() : space + 1);
    if (digits == last || std::from_chars(digits, last, count).ptr != last || count < 0) {
      return Error{Kind::invalid, Source::gateway, false,
                   fmt::format("line {} is not a stack and a count", number)};
    }
    line = line.substr(0, space);
    std::vector<std::string> names;
    for (;;) {
      const std::size_t mark = std::min(line.find(';'), line.size());
      names.emplace_back(line.substr(0, mark));
      if (mark == line.size()) break;
      line.remove_prefix(mark + 1);
    }
    stacks[std::move(names)] += count;
  }
  return stacks;
}

std::vector<Hot> hottest(const Stacks& stacks) {
  std::map<std::string, Hot> by_name;
  for (const auto& [names, count] : stacks) {
    for (const std::string& name : std::set<std::string>(names.begin(), names.end())) {
      by_name[name].whole += count;
    }
    by_name[names.back()].own += count;
  }
  std::vector<Hot> all;
  for (auto& [name, hot] : by_name) {
    hot.name = name;
    all.push_back(std::move(hot));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Hot& a, const Hot& b) { return a.own > b.own; });
  return all;
}

std::string flame_svg(const Stacks& stacks, const Title& title) {
  const Box root = tree_of(stacks);
  return Drawing(root, title).draw();
}

std::string amount_text(std::int64_t count, std::string_view unit) {
  const auto value = static_cast<double>(count);
  if (unit == "ns") return fmt::format("{:.2f} s", value / 1e9);
  if (unit == "bytes") {
    if (count < 1024) return fmt::format("{} bytes", count);
    if (count < 1024 * 1024) return fmt::format("{:.1f} KiB", value / 1024);
    return fmt::format("{:.1f} MiB", value / 1024 / 1024);
  }
  return fmt::format("{} {}", count, unit);
}

}  // namespace penstock::profile
