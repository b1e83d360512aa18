#include "submit/outlook.hpp"

#include <algorithm>
#include <vector>

#include "queues/base/text.hpp"
#include "queues/model/idset.hpp"
#include "queues/wire/convert.hpp"
#include "submit/job_row.hpp"

namespace gangway::submit {

namespace {

std::vector<NodeName> nodes_of(const wire::Outlook& outlook) {
  std::vector<NodeName> nodes;
  for (const std::string& node : outlook.nodes()) nodes.emplace_back(node);
  return nodes;
}

// "at once", "at 2026-11-24T14:10:00, in 10:00".
std::string when(Time start, Time now) {
  const Duration left = start - now;
  if (left < seconds(1)) return "at once";
  const Duration whole = seconds(left.ns / seconds(1).ns);
  return cat("at ", render_local_time(start), ", in ", render_duration(whole));
}

}  // namespace

void write_json(const wire::Outlook& outlook, JsonWriter& json) {
  json.begin_object();
  if (outlook.has_key()) json.field("job_id", to_string(wire::from_wire(outlook.key())));
  if (!outlook.member().empty()) json.field("member", outlook.member());
  if (outlook.has_key()) {
    const auto reason =
        std::min(outlook.reason(), static_cast<std::uint32_t>(PendingReason::BadConstraints));
    json.field("reason", to_string(static_cast<PendingReason>(reason)));
  }
  json.field("rank", std::int64_t{outlook.rank()});
  json.field("ahead", std::int64_t{outlook.ahead()});
  json.field("priority", outlook.priority_total());
  json.key("expected_start");
  if (outlook.has_expected_start_ns()) {
    json.value(render_utc(Time{outlook.expected_start_ns()}));
  } else {
    json.null();
  }
  json.key("nodes").begin_array();
  for (const std::string& node : outlook.nodes()) json.value(node);
  json.end_array();
  json.field("waits_for", outlook.waits_for());
  json.field("rests_on", outlook.rests_on());
  json.key("sooner").begin_array();
  for (const wire::Outlook::Variant& variant : outlook.variants()) {
    json.begin_object();
    json.field("change", variant.change());
    json.field("start", render_utc(Time{variant.start_at_ns()}));
    json.end_object();
  }
  json.end_array().end_object();
}

std::string describe_outlook(const wire::Outlook& outlook, const std::string& what, Time now) {
  if (!outlook.has_expected_start_ns()) {
    return cat(what, " would be accepted; when it would start is not known\n");
  }
  const std::vector<NodeName> nodes = nodes_of(outlook);
  std::string text = cat(what, " would start ", when(Time{outlook.expected_start_ns()}, now),
                         nodes.empty() ? "" : cat(", on ", render_host_list(nodes)),
                         outlook.rests_on().empty() ? "" : ", ", outlook.rests_on(), "\n");
  for (const wire::Outlook::Variant& variant : outlook.variants()) {
    text += cat("  ", variant.change(), " it would start ", when(Time{variant.start_at_ns()}, now),
                "\n");
  }
  return text;
}

}  // namespace gangway::submit
