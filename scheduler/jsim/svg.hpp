// What all charts have in common. Pure.
#pragma once

#include <string>
#include <string_view>

namespace gangway::jsim {

// A white sheet so large, and what it is of; the caller goes on and closes with "</svg>".
[[nodiscard]] std::string open_svg(double width,
                                   double height,
                                   double margin,
                                   std::string_view title);
// Also without what XML 1.0 has no way to say.
[[nodiscard]] std::string in_xml(const std::string& text);

}  // namespace gangway::jsim
