#include "submit/node_format.hpp"

#include "queues/base/text.hpp"
#include "queues/base/units.hpp"

namespace gangway::submit {

namespace {

// sinfo's amounts are in MiB.
std::string mebibytes_of(Bytes amount) { return cat(amount.value >> 20); }

bool takes_jobs(const NodeRow& node) {
  return node.state == "idle" || node.state == "mixed" || node.state == "allocated";
}

// Allocated, idle, other (of a node that takes no jobs) and all.
std::string four_counts(const NodeRow& node) {
  const std::int64_t rest = node.capacity.cores - node.used.cores;
  const bool open = takes_jobs(node);
  return cat(node.used.cores, "/", open ? rest : 0, "/", open ? 0 : rest, "/", node.capacity.cores);
}

std::string named_of(const NodeRow& node, bool used) {
  std::vector<std::string> parts;
  for (const auto& [name, amount] : node.capacity.named) {
    parts.push_back(cat(name, ":", used ? node.used.amount_of(name) : amount));
  }
  return parts.empty() ? "(null)" : join(parts, ",");
}

std::string or_null(std::string text) { return text.empty() ? "(null)" : text; }

constexpr RowColumn<NodeRow> kColumns[] = {
    {'n', "node nodehost name", "HOSTNAMES", [](const NodeRow& n) { return n.name; }},
    {'N', "nodelist", "NODELIST", [](const NodeRow& n) { return n.name; }},
    {'t', "statecompact", "STATE", [](const NodeRow& n) { return n.state; }},
    {'T', "state statelong", "STATE", [](const NodeRow& n) { return n.state; }},
    {'c', "cpus cores", "CPUS", [](const NodeRow& n) { return cat(n.capacity.cores); },
     [](const NodeRow& n) { return n.capacity.cores; }},
    {'C', "cpusstate", "CPUS(A/I/O/T)", four_counts, [](const NodeRow& n) { return n.used.cores; }},
    {0, "used usedcores alloccpus", "USED", [](const NodeRow& n) { return cat(n.used.cores); },
     [](const NodeRow& n) { return n.used.cores; }},
    {0, "free freecores", "FREE",
     [](const NodeRow& n) { return cat(n.capacity.cores - n.used.cores); },
     [](const NodeRow& n) { return n.capacity.cores - n.used.cores; }},
    {'m', "memory", "MEMORY", [](const NodeRow& n) { return mebibytes_of(n.capacity.memory); },
     [](const NodeRow& n) { return n.capacity.memory.value; }},
    {0, "allocmem usedmemory", "ALLOCMEM",
     [](const NodeRow& n) { return mebibytes_of(n.used.memory); },
     [](const NodeRow& n) { return n.used.memory.value; }},
    {'e', "freemem freememory", "FREE_MEM",
     [](const NodeRow& n) {
       return mebibytes_of(Bytes{n.capacity.memory.value - n.used.memory.value});
     },
     [](const NodeRow& n) { return n.capacity.memory.value - n.used.memory.value; }},
    {'G', "gres", "GRES", [](const NodeRow& n) { return named_of(n, false); }},
    {0, "gresused", "GRES_USED", [](const NodeRow& n) { return named_of(n, true); }},
    {'f', "features", "AVAIL_FEATURES",
     [](const NodeRow& n) { return or_null(join(n.features, ",")); }},
    {'E', "reason", "REASON",
     [](const NodeRow& n) { return n.reason.empty() ? std::string("none") : n.reason; }},
    {0, "jobs", "JOBS", [](const NodeRow& n) { return or_null(join(n.jobs, ",")); },
     [](const NodeRow& n) { return static_cast<std::int64_t>(n.jobs.size()); }},
};

}  // namespace

RowColumns<NodeRow> node_columns() { return kColumns; }

}  // namespace gangway::submit
