#include "submit/node_row.hpp"

#include <algorithm>

#include "queues/base/strong_id.hpp"
#include "queues/base/text.hpp"
#include "queues/base/units.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::submit {

namespace {

std::string state_of(const wire::NodeView& view, const Resources& capacity, const Resources& used) {
  const bool busy = view.jobs_size() > 0;
  switch (static_cast<Contact>(view.state().contact())) {
    case Contact::Unknown:
      return "unknown";
    case Contact::Lost:
      return "lost";
    case Contact::Suspect:
      return view.state().drain() ? "draining" : "suspect";
    case Contact::Reached:
      break;
  }
  if (view.state().drain()) return busy ? "draining" : "drained";
  if (!busy) return "idle";
  return used.cores >= capacity.cores ? "allocated" : "mixed";
}

std::string render_named(const Resources& capacity, const Resources& used) {
  std::vector<std::string> parts;
  for (const auto& [name, amount] : capacity.named) {
    parts.push_back(cat(name, ":", used.amount_of(name), "/", amount));
  }
  return parts.empty() ? "-" : join(parts, ",");
}

Colour colour_of(const NodeRow& row) {
  if (row.state == "idle") return Colour::Good;
  if (row.state == "mixed" || row.state == "allocated") return Colour::Busy;
  return Colour::Bad;
}

void write_resources(JsonWriter& json, std::string_view name, const Resources& r) {
  json.key(name).begin_object();
  json.field("cores", r.cores);
  json.field("memory_bytes", r.memory.value);
  json.key("named").begin_object();
  for (const auto& [resource, amount] : r.named) json.field(resource, amount);
  json.end_object().end_object();
}

}  // namespace

NodeRow make_node_row(const wire::NodeView& view) {
  NodeRow row;
  row.name = view.state().name();
  row.capacity = wire::from_wire(view.state().capacity()).value_or({});
  row.used = wire::from_wire(view.used()).value_or({});
  for (const wire::JobKey& key : view.jobs()) {
    row.jobs.push_back(to_string(wire::from_wire(key)));
  }
  row.features = {view.state().features().begin(), view.state().features().end()};
  row.reason = view.state().drain_reason();
  row.silent = Duration{view.silent_ns()};
  row.state = state_of(view, row.capacity, row.used);
  return row;
}

std::string render_nodes(const std::vector<NodeRow>& rows, const TableStyle& style) {
  Table table({{"NODE"},
               {"STATE"},
               {"CORES", Align::Right},
               {"MEMORY", Align::Right},
               {"NAMED", Align::Left, true},
               {"FEATURES", Align::Left, true},
               {"JOBS", Align::Left, true},
               {"REASON", Align::Left, true}});
  for (const NodeRow& row : rows) {
    const bool silent = row.state == "lost" || row.state == "suspect";
    std::string reason = row.reason;
    if (silent && row.silent > Duration{}) {
      reason = cat(reason, reason.empty() ? "" : "; ", "silent for ", render_duration(row.silent));
    }
    table.add({{row.name},
               {row.state, colour_of(row)},
               {cat(row.used.cores, "/", row.capacity.cores)},
               {cat(render_bytes(row.used.memory), "/", render_bytes(row.capacity.memory))},
               {render_named(row.capacity, row.used)},
               {row.features.empty() ? std::string("-") : join(row.features, ",")},
               {row.jobs.empty() ? std::string("-") : join(row.jobs, ",")},
               {std::move(reason)}});
  }
  return table.render(style);
}

void write_json(const NodeRow& row, JsonWriter& json) {
  json.begin_object();
  json.field("name", row.name);
  json.field("state", row.state);
  write_resources(json, "capacity", row.capacity);
  write_resources(json, "used", row.used);
  json.key("jobs").begin_array();
  for (const std::string& job : row.jobs) json.value(job);
  json.end_array();
  json.key("features").begin_array();
  for (const std::string& feature : row.features) json.value(feature);
  json.end_array();
  json.field("reason", row.reason);
  json.field("silent_s", row.silent.ns / 1'000'000'000);
  json.end_object();
}

}  // namespace gangway::submit
