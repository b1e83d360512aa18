// Curves over two logarithmic axes as SVG: how a cost grows. Pure.
#pragma once

#include <string>
#include <vector>

namespace gangway::jsim {

struct Curve {
  std::string name;
  struct Point {
    double x = 0;  // both above 0
    double y = 0;
  };
  std::vector<Point> points;  // from left to right
};
struct PlotWords {
  std::string title;
  std::string across;  // what x is, with its unit
  std::string up;
};

// A rule for each power of ten that the points come near. Requires: there is a point.
[[nodiscard]] std::string render_plot(const PlotWords& words, const std::vector<Curve>& curves);

}  // namespace gangway::jsim
