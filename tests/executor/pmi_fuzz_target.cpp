#include "tests/executor/pmi_fuzz_target.hpp"

#include <string>

#include "executor/pmi_server.hpp"
#include "queues/base/check.hpp"

namespace gangway::tests {
namespace {

using namespace executor;

class Played {
 public:
  void hear(std::uint32_t rank, std::string_view bytes) { note(server_.on_bytes(rank, bytes)); }
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  void note(const PmiActions& actions) {
    for (const PmiAction& action : actions) {
      if (const auto* answer = std::get_if<pmi_action::Answer>(&action)) {
        said_ += answer->bytes;
      } else if (const auto* tell = std::get_if<pmi_action::Tell>(&action)) {
        if (!tell->message.has_fence()) continue;
        wire::PmixFenceDone done;
        done.set_data(tell->message.fence().data());
        note(server_.on_fence_done(done));
      } else {
        said_ += "cut\n";
      }
    }
  }
  PmiServer server_{PmiJob{"kvs", 2, 2, {0, 2}, "(vector,(0,1,2))"}};
  std::string said_;
};

}  // namespace

void fuzz_pmi(std::string_view bytes) {
  Played at_once;
  Played in_pieces;
  std::uint32_t rank = 0;
  while (!bytes.empty()) {
    if (bytes.front() == 0 || bytes.front() == 1) rank = static_cast<std::uint32_t>(bytes.front());
    if (bytes.front() == 0 || bytes.front() == 1) bytes.remove_prefix(1);
    const std::string_view piece =
        bytes.substr(0, bytes.find_first_of(std::string_view("\0\1", 2)));
    bytes.remove_prefix(piece.size());
    if (piece.empty()) continue;
    at_once.hear(rank, piece);
    for (std::size_t i = 0; i < piece.size(); i += 7) in_pieces.hear(rank, piece.substr(i, 7));
  }
  CHECK(at_once.said() == in_pieces.said());
}

}  // namespace gangway::tests
