#include "scheduler/jsim/svg.hpp"

#include "queues/base/text.hpp"
#include "scheduler/jsim/report.hpp"

namespace gangway::jsim {

std::string open_svg(double width, double height, double margin, std::string_view title) {
  const auto n = [](double v) { return with_decimals(v, 0); };
  return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", n(width), " ", n(height),
             "\" font-family=\"sans-serif\" font-size=\"14\">\n<rect width=\"100%\" "
             "height=\"100%\" fill=\"white\"/>\n<text x=\"",
             n(margin), "\" y=\"30\">", title, "</text>\n");
}

std::string in_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return is_utf8(out) ? out : "?";
}

}  // namespace gangway::jsim
