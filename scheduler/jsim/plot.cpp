#include "scheduler/jsim/plot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "scheduler/jsim/report.hpp"
#include "scheduler/jsim/svg.hpp"

namespace gangway::jsim {

namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 420;
constexpr double kMargin = 70;
constexpr double kNames = 260;  // to the right of the plane

std::string n(double value) { return with_decimals(value, 1); }

// The powers of ten between which all values of one axis are.
class Decades {
 public:
  void add(double value) {
    CHECK(value > 0);
    first_ = std::min(first_, std::floor(std::log10(value)));
    last_ = std::max(last_, std::ceil(std::log10(value)));
  }
  [[nodiscard]] int first() const { return static_cast<int>(first_); }
  [[nodiscard]] int last() const { return std::max(static_cast<int>(last_), first() + 1); }
  [[nodiscard]] double part(double value) const {
    return (std::log10(value) - first()) / (last() - first());
  }

 private:
  double first_ = std::numeric_limits<double>::infinity();
  double last_ = -std::numeric_limits<double>::infinity();
};

double x_of(double part) { return kMargin + part * kWidth; }
double y_of(double part) { return kMargin + (1 - part) * kHeight; }

std::string line(double x1, double y1, double x2, double y2) {
  return cat("<line x1=\"", n(x1), "\" y1=\"", n(y1), "\" x2=\"", n(x2), "\" y2=\"", n(y2),
             "\" stroke=\"lightgrey\"/>\n");
}
// As people write small ones, and 10^n.
std::string power_of_ten(int exponent) {
  if (exponent < -3 || exponent > 3) {
    return cat("10<tspan dy=\"-5\" font-size=\"10\">", exponent, "</tspan>");
  }
  return with_decimals(std::pow(10, exponent), std::max(0, -exponent));
}

}  // namespace

std::string render_plot(const PlotWords& words, const std::vector<Curve>& curves) {
  Decades across;
  Decades up;
  for (const Curve& curve : curves) {
    for (const Curve::Point& point : curve.points) {
      across.add(point.x);
      up.add(point.y);
    }
  }
  std::string out =
      open_svg(kWidth + kNames + 2 * kMargin, kHeight + 2 * kMargin, kMargin, in_xml(words.title));
  for (int e = across.first(); e <= across.last(); ++e) {
    const double x = x_of(across.part(std::pow(10, e)));
    out += line(x, y_of(0), x, y_of(1));
    out += cat("<text x=\"", n(x), "\" y=\"", n(y_of(0) + 20), "\" text-anchor=\"middle\">",
               power_of_ten(e), "</text>\n");
  }
  for (int e = up.first(); e <= up.last(); ++e) {
    const double y = y_of(up.part(std::pow(10, e)));
    out += line(x_of(0), y, x_of(1), y);
    out += cat("<text x=\"", n(kMargin - 8), "\" y=\"", n(y + 5), "\" text-anchor=\"end\">",
               power_of_ten(e), "</text>\n");
  }
  out += cat("<text x=\"", n(x_of(1)), "\" y=\"", n(y_of(0) + 45), "\" text-anchor=\"end\">",
             in_xml(words.across), "</text>\n<text x=\"", n(kMargin), "\" y=\"", n(kMargin - 12),
             "\">", in_xml(words.up), "</text>\n");
  for (std::size_t i = 0; i < curves.size(); ++i) {
    const std::string colour = cat("hsl(", i * 137 % 360, ",65%,42%)");
    std::string corners;
    for (const Curve::Point& point : curves[i].points) {
      const std::string x = n(x_of(across.part(point.x)));
      const std::string y = n(y_of(up.part(point.y)));
      corners += cat(x, ",", y, " ");
      out += cat("<circle cx=\"", x, "\" cy=\"", y, "\" r=\"3\" fill=\"", colour, "\"/>\n");
    }
    out += cat("<polyline fill=\"none\" stroke-width=\"2\" stroke=\"", colour, "\" points=\"",
               corners, "\"/>\n<text x=\"", n(x_of(1) + 15), "\" y=\"",
               n(kMargin + 15 + 20 * static_cast<double>(i)), "\" fill=\"", colour, "\">",
               in_xml(curves[i].name), "</text>\n");
  }
  return out + "</svg>\n";
}

}  // namespace gangway::jsim
