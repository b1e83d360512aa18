// What the scheduler says about a node, in the words that people are shown. Pure.
#pragma once

#include <string>
#include <vector>

#include "queues/base/time.hpp"
#include "queues/model/node.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/render.hpp"

namespace gangway::submit {

struct NodeRow {
  std::string name;
  std::string
      state;  // "idle", "mixed", "allocated", "draining", "drained", "suspect", "lost", "unknown"
  Resources capacity;
  Resources used;
  std::vector<std::string> features;
  std::vector<std::string> jobs;
  std::string reason;
  Duration silent;
};

[[nodiscard]] NodeRow make_node_row(const wire::NodeView& view);
[[nodiscard]] std::string render_nodes(const std::vector<NodeRow>& rows, const TableStyle& style);
void write_json(const NodeRow& row, JsonWriter& json);

}  // namespace gangway::submit
