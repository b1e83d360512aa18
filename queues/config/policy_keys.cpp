#include <utility>
#include <vector>

#include "queues/base/text.hpp"
#include "queues/config/config_text.hpp"
#include "queues/config/keys.hpp"
#include "queues/model/idset.hpp"

namespace gangway::config {

namespace {

constexpr std::string_view kNever = "never";

constexpr std::int64_t kMostPoints = 10'000'000;

template <std::int64_t PriorityConfig::*member>
constexpr Key<PriorityConfig> points(std::string_view name, std::string_view comment) {
  return {name, comment,
          [](const Value& v, PriorityConfig& p) { v.read(p.*member, 0, kMostPoints); },
          [](const PriorityConfig& p) { return cat(p.*member); }};
}

const Key<PriorityConfig> kPriorityKeys[] = {
    points<&PriorityConfig::age>("age", "points for a job that has waited for max_age"),
    {"max_age", "from then on waiting gives no more points",
     [](const Value& v, PriorityConfig& p) { v.read(p.max_age, minutes(1)); },
     [](const PriorityConfig& p) { return render_exactly(p.max_age); }},
    points<&PriorityConfig::fair_share>("fair_share",
                                        "points for jobs of the user who has had least"),
    points<&PriorityConfig::size>("size", "points for a job that asks for the whole cluster"),
    points<&PriorityConfig::queue>("queue", "points for jobs of the queue of highest priority"),
    points<&PriorityConfig::qos>("qos", "points for jobs of the QOS of highest priority"),
    {"resources", "points for asking for all there is of a resource, as {memory: 100, gpu: 500}",
     [](const Value& v, PriorityConfig& p) {
       v.read_amounts(p.resources, [](const Value& amount, std::int64_t& out) {
         amount.read(out, 0, kMostPoints);
       });
     },
     [](const PriorityConfig& p) { return flow_map(p.resources); }},
};

const Key<FairShareConfig> kFairShareKeys[] = {
    {"algorithm", "tree (Fair Tree) or classic",
     [](const Value& v, FairShareConfig& f) {
       std::string word;
       v.read(word);
       if (word != "tree" && word != "classic") v.fail("must be tree or classic");
       f.classic = word == "classic";
     },
     [](const FairShareConfig& f) { return std::string(f.classic ? "classic" : "tree"); }},
    {"half_life", "in which usage counts half; or never",
     [](const Value& v, FairShareConfig& f) {
       if (v.is_word(kNever)) {
         f.half_life = {};
       } else {
         v.read(f.half_life, minutes(1));
       }
     },
     [](const FairShareConfig& f) {
       return f.half_life.ns == 0 ? std::string(kNever) : render_exactly(f.half_life);
     }},
    {"weights", "what a second costs: of a core, a GiB of memory, a named resource",
     [](const Value& v, FairShareConfig& f) {
       std::vector<std::pair<std::string, double>> weights;
       v.read_amounts(weights, [](const Value& amount, double& out) { amount.read(out); });
       f.core_weight = 0;
       f.memory_weight = 0;
       f.named_weights.clear();
       for (const auto& [name, weight] : weights) {
         if (name == "cores") {
           f.core_weight = weight;
         } else if (name == "memory") {
           f.memory_weight = weight;
         } else {
           f.named_weights.emplace_back(name, weight);
         }
       }
     },
     [](const FairShareConfig& f) {
       std::vector<std::pair<std::string, double>> weights{{"cores", f.core_weight},
                                                           {"memory", f.memory_weight}};
       weights.insert(weights.end(), f.named_weights.begin(), f.named_weights.end());
       return flow_map(weights);
     }},
};

// Less, and a node would be busy with nothing but the change.
constexpr Duration kLeastSlice = milliseconds(500);
// Memory for more would hardly be there.
constexpr std::int64_t kMostGangs = 16;

void read_time_slicing(const Value& v, Queue& queue) {
  TimeSlicing slicing;
  const std::size_t before = v.errors().size();
  if (!v.has_keys()) return v.fail("must be {gangs: 2, slice: 30s}, or a part of that");
  v.read_names([&](const std::string& name, const Value& value) {
    if (name == "gangs") {
      value.read(slicing.gangs, 2, kMostGangs);
    } else if (name == "slice") {
      value.read(slicing.slice, kLeastSlice);
    } else {
      value.fail("time_slicing has gangs and slice");
    }
  });
  if (v.errors().size() == before) queue.time_slicing = slicing;
}

const Key<Queue> kQueueKeys[] = {
    {"name", "",
     [](const Value& v, Queue& q) {
       v.read(q.name.value);
       if (!is_name(q.name.value)) {
         v.fail("names have 1 to 64 letters, digits, dots, dashes and underscores");
       }
     },
     [](const Queue& q) { return quoted(q.name.value); }},
    {"nodes", "the nodes it may use, as n[01-08]; not set: all",
     [](const Value& v, Queue& q) {
       q.nodes.clear();
       v.read_list([&q](const Value& item, const std::string& text) {
         auto names = parse_host_list(text);
         if (!names) return item.fail(names.error().message());
         q.nodes.insert(q.nodes.end(), names->begin(), names->end());
       });
     },
     [](const Queue& q) {
       return q.nodes.empty() ? std::string() : quoted(render_host_list(q.nodes));
     }},
    {"priority", "the queue with the highest gives its jobs all points for queues",
     [](const Value& v, Queue& q) { v.read(q.priority, -1'000'000'000, 1'000'000'000); },
     [](const Queue& q) { return cat(q.priority); }},
    {"default_limit", "time limit of a job that names none",
     [](const Value& v, Queue& q) { v.read_limit(q.default_limit); },
     [](const Queue& q) { return render_limit(q.default_limit); }},
    {"max_limit", "a job that asks for more is refused",
     [](const Value& v, Queue& q) { v.read_limit(q.max_limit); },
     [](const Queue& q) { return render_limit(q.max_limit); }},
    {"memory_per_core", "memory of a job that names none, for each of its cores",
     [](const Value& v, Queue& q) { v.read(q.default_memory_per_core); },
     [](const Queue& q) { return render_exactly(q.default_memory_per_core); }},
    {"time_slicing",
     "its jobs may share cores in turns, as {gangs: 2, slice: 30s}; not set: they do not",
     [](const Value& v, Queue& q) { read_time_slicing(v, q); },
     [](const Queue& q) {
       return q.time_slicing ? cat("{gangs: ", q.time_slicing->gangs,
                                   ", slice: ", render_exactly(q.time_slicing->slice), "}")
                             : std::string();
     }},
    {"default", "the queue of a job that names none",
     [](const Value& v, Queue& q) { v.read(q.is_default); },
     [](const Queue& q) { return std::string(q.is_default ? "true" : "false"); }},
};

}  // namespace

std::span<const Key<PriorityConfig>> priority_keys() { return kPriorityKeys; }
std::span<const Key<FairShareConfig>> fair_share_keys() { return kFairShareKeys; }
std::span<const Key<Queue>> queue_keys() { return kQueueKeys; }

}  // namespace gangway::config
