// PmiServer: PMI-1 and PMI-2 as spoken by the ranks of one node, as a function from what they say
// to what is said. Which of the two a rank speaks, it says first.
//
// What ranks put becomes visible to all at their next fence, as one fence of the gang's tree: each
// node gives the puts of its ranks (as wire::PmiPuts) and gets those of all.
//
// Sans-I/O. Ranks are not trusted: what they put is bounded; one that sends what is no command is
// cut off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "executor/fence_tree.hpp"
#include "executor/pmi_wire.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

struct PmiJob {
  std::string id;              // also the name of its key value space
  std::uint32_t tasks = 0;     // of the job
  std::uint32_t universe = 0;  // as many as there may be
  RankRange local;
  std::string process_mapping;  // render_process_mapping(); "": unknown
};

namespace pmi_action {
struct Answer {
  std::uint32_t rank = 0;
  std::string bytes;
};
struct Tell {
  wire::FromPmix message;  // a fence, an abort, the state of a rank: as a PMIx server says it
};
struct Cut {  // nothing more is to be heard from it
  std::uint32_t rank = 0;
  std::string why;
};
}  // namespace pmi_action
using PmiAction = std::variant<pmi_action::Answer, pmi_action::Tell, pmi_action::Cut>;
using PmiActions = std::vector<PmiAction>;

// Fences are numbered from here, so that those of a PMIx server beside it are others.
inline constexpr std::uint64_t kFirstPmiFence = std::uint64_t{1} << 63;
inline constexpr std::size_t kMaxPmiSpaceBytes = std::size_t{64}
                                                 << 20;  // all keys and values, as kept

class PmiServer {
 public:
  explicit PmiServer(PmiJob job);

  // Requires: `rank` is one of job.local.
  [[nodiscard]] PmiActions on_bytes(std::uint32_t rank, std::string_view bytes);
  // Of a fence that was told.
  [[nodiscard]] PmiActions on_fence_done(const wire::PmixFenceDone& done);

 private:
  struct Rank {
    PmiReader reader;
    PmiVersion version = PmiVersion::One;
    bool connected = false;
    bool in_fence = false;
    bool over = false;        // cut off
    std::string thread;       // of the command under way: echoed in its answer
    std::string waiting_for;  // a node's attribute; "": none
  };

  void obey(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  void obey_1(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  void obey_2(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  void init(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  void enter_fence(std::uint32_t number, PmiActions& actions);
  void put_attribute(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  void get_attribute(std::uint32_t number, const PmiCommand& command, PmiActions& actions);
  // The reason why not; "" if it is put.
  std::string put(const std::string& key, const std::string& value);
  bool keep(const std::string& key, const std::string& value);
  bool keep_in(std::map<std::string, std::string>& space,
               const std::string& key,
               const std::string& value);
  void answer(std::uint32_t number,
              std::string_view name,
              PmiValues values,
              PmiActions& actions) const;
  void abort(std::uint32_t number, std::int32_t status, std::string message, PmiActions& actions);
  [[nodiscard]] Rank& rank(std::uint32_t number) { return ranks_[number - job_.local.first]; }
  [[nodiscard]] const Rank& rank(std::uint32_t number) const {
    return ranks_[number - job_.local.first];
  }

  PmiJob job_;
  std::vector<Rank> ranks_;
  std::map<std::string, std::string> space_;
  std::map<std::string, std::string> node_attributes_;
  std::size_t space_bytes_ = 0;
  wire::PmiPuts new_puts_;  // since the last fence
  std::size_t new_bytes_ = 0;
  std::uint32_t in_fence_ = 0;
  std::uint64_t next_fence_ = kFirstPmiFence;
};

}  // namespace gangway::executor
