#include "scheduler/jsim/chart.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "queues/base/text.hpp"
#include "scheduler/jsim/report.hpp"
#include "scheduler/jsim/shares.hpp"
#include "scheduler/jsim/svg.hpp"

namespace gangway::jsim {

namespace {

constexpr double kWidth = 1200;
constexpr double kHeight = 500;
constexpr double kMargin = 50;
constexpr std::size_t kSlices = 600;  // of time, in the chart of utilisation

// The span of a schedule on paper.
class Paper {
 public:
  Paper(const Trace& trace, const Schedule& schedule) : first_(trace.jobs.front().submit) {
    Time last = first_;
    for (const JobRun& run : schedule.runs) last = std::max(last, run.end);
    seconds_ = std::max(1.0, to_seconds(last - first_));
  }
  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] double second(Time at) const { return to_seconds(at - first_); }
  [[nodiscard]] double x(double second) const { return kMargin + second / seconds_ * kWidth; }
  // `part` of the machine, 0 at the bottom.
  [[nodiscard]] static double y(double part) { return kMargin + (1 - part) * kHeight; }

  [[nodiscard]] std::string frame(std::string_view title, std::int32_t processors) const {
    const auto n = [](double v) { return with_decimals(v, 0); };
    return cat(open_svg(kWidth + 2 * kMargin, kHeight + 2 * kMargin, kMargin, title), "<rect x=\"",
               n(kMargin), "\" y=\"", n(kMargin), "\" width=\"", n(kWidth), "\" height=\"",
               n(kHeight), "\" fill=\"none\" stroke=\"black\"/>\n<text x=\"5\" y=\"",
               n(kMargin + 12), "\">", processors, "</text>\n<text x=\"5\" y=\"",
               n(kMargin + kHeight), "\">0</text>\n<text x=\"", n(kMargin), "\" y=\"",
               n(kHeight + kMargin + 20), "\">0 h</text>\n<text x=\"", n(kWidth + kMargin),
               "\" y=\"", n(kHeight + kMargin + 20), "\" text-anchor=\"end\">",
               with_decimals(seconds_ / 3600, 1), " h</text>\n");
  }

 private:
  Time first_;
  double seconds_ = 1;
};

}  // namespace

std::string render_gantt(const Trace& trace, const Schedule& schedule) {
  const Paper paper(trace, schedule);
  std::string out = paper.frame("Processors over time, one colour a user", trace.processors);
  const auto machine = static_cast<double>(trace.processors);
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TraceJob& job = trace.jobs[i];
    const JobRun& run = schedule.runs[i];
    const double left = paper.x(paper.second(run.start));
    const double width = std::max(0.05, paper.x(paper.second(run.end)) - left);
    // Neighbouring users get colours that are far from each other.
    const std::int64_t hue =
        static_cast<std::int64_t>((static_cast<std::uint64_t>(job.user) + 1) * 137 % 360);
    out += cat("<g fill=\"hsl(", hue, ",65%,55%)\"><title>job ", job.number,
               job.name.empty() ? "" : cat(" (", in_xml(job.name), ")"), ", user ",
               in_xml(user_name(trace, job.user)), ", ", job.processors, " processors, waited ",
               with_decimals(to_seconds(run.start - run.eligible), 0), " s</title>");
    // Runs of neighbouring processors are one rectangle.
    for (std::size_t from = 0; from < run.places.size();) {
      std::size_t to = from + 1;
      while (to < run.places.size() && run.places[to] == run.places[to - 1] + 1) ++to;
      const double top = Paper::y((run.places[to - 1] + 1) / machine);
      const double bottom = Paper::y(run.places[from] / machine);
      out +=
          cat("<rect x=\"", with_decimals(left, 2), "\" y=\"", with_decimals(top, 2), "\" width=\"",
              with_decimals(width, 2), "\" height=\"", with_decimals(bottom - top, 2), "\"/>");
      from = to;
    }
    out += "</g>\n";
  }
  return out + "</svg>\n";
}

std::string render_utilisation(const Trace& trace, const Schedule& schedule) {
  const Paper paper(trace, schedule);
  // Processor seconds of each slice of time.
  std::vector<double> used(kSlices, 0);
  const double slice = paper.seconds() / kSlices;
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const double from = paper.second(schedule.runs[i].start);
    const double to = paper.second(schedule.runs[i].end);
    const auto first = static_cast<std::size_t>(from / slice);
    for (std::size_t s = first; s < kSlices && static_cast<double>(s) * slice < to; ++s) {
      const double begin = std::max(from, static_cast<double>(s) * slice);
      const double end = std::min(to, static_cast<double>(s + 1) * slice);
      used[s] += std::max(0.0, end - begin) * trace.jobs[i].processors;
    }
  }
  std::string out = paper.frame("Processors in use over time", trace.processors);
  out += cat("<path fill=\"steelblue\" d=\"M", with_decimals(paper.x(0), 2), " ",
             with_decimals(Paper::y(0), 2));
  for (std::size_t s = 0; s < kSlices; ++s) {
    const double part = used[s] / (slice * trace.processors);
    const std::string y = with_decimals(Paper::y(std::min(1.0, part)), 2);
    out += cat(" L", with_decimals(paper.x(static_cast<double>(s) * slice), 2), " ", y, " L",
               with_decimals(paper.x(static_cast<double>(s + 1) * slice), 2), " ", y);
  }
  return out + cat(" L", with_decimals(paper.x(paper.seconds()), 2), " ",
                   with_decimals(Paper::y(0), 2), " Z\"/>\n</svg>\n");
}

}  // namespace gangway::jsim
