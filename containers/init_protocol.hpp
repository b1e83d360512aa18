// What the shepherd and a sandbox's init say to each other, over a SOCK_SEQPACKET socket pair.
//
// Both ends are the same build of the same program, so the encoding has no versions. The shepherd
// sends an InitOrder as one packet; a StartOrder's programs lie in a memory file whose descriptor
// comes first with the packet, because environments are larger than packets may be, and after it
// come the descriptors that its programs name by index. Init answers with InitReports.
//
// Encoding and decoding are pure. Decoding refuses whatever it cannot have written itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "queues/base/fd.hpp"
#include "queues/base/pass_fds.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/base/units.hpp"

namespace gangway::containers {

// One program as init starts it. Descriptors are indices into the packet's, or -1 for /dev/null.
struct ProgramOrder {
  std::uint32_t id = 0;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string workdir;
  std::vector<int> cores;
  mode_t umask = 022;
  int in = -1;
  int out = -1;
  int err = -1;
  int inherit = -1;   // becomes descriptor 3; -1: none
  int terminal = -1;  // a socket: make a terminal and send its other side there; -1: none
  bool only_inspect = false;
  friend bool operator==(const ProgramOrder&, const ProgramOrder&) = default;
};

struct StartOrder {};  // programs and descriptors come beside it
struct SignalOrder {
  int number = 0;
  std::optional<std::uint32_t> id;  // none: every process of the user's
  bool others = false;              // all but `id`
  friend bool operator==(const SignalOrder&, const SignalOrder&) = default;
};
// Stops or continues every process in the sandbox, where the node has no freezer; answered by
// PauseDone. Paused programs see that they were stopped, as their parents do.
struct PauseOrder {
  bool on = false;
  std::int64_t number = 0;
  friend bool operator==(const PauseOrder&, const PauseOrder&) = default;
};
using InitOrder = std::variant<StartOrder, SignalOrder, PauseOrder>;

struct SetUp {  // the sandbox stands; the outputs come beside it, all or none
  std::vector<std::string> waived;
  bool access_checked = false;  // the user may read the image
  friend bool operator==(const SetUp&, const SetUp&) = default;
};
struct SetUpFailed {
  Error error;
  friend bool operator==(const SetUpFailed&, const SetUpFailed&) = default;
};
struct ProgramOver {
  std::uint32_t id = 0;
  bool started = true;
  int wait_status = 0;
  std::string message{};  // why it was not started
  Duration cpu{};         // of it and the children it waited for
  Bytes peak_memory{};    // of the largest of them
  Bytes read{};           // from and to storage
  Bytes written{};
  friend bool operator==(const ProgramOver&, const ProgramOver&) = default;
};
struct PauseDone {
  std::int64_t number = 0;  // of the order
  friend bool operator==(const PauseDone&, const PauseDone&) = default;
};
using InitReport = std::variant<SetUp, SetUpFailed, ProgramOver, PauseDone>;

[[nodiscard]] std::string encode_programs(const std::vector<ProgramOrder>& programs);
[[nodiscard]] Result<std::vector<ProgramOrder>> decode_programs(std::string_view bytes);
[[nodiscard]] std::string encode_order(const InitOrder& order);
[[nodiscard]] Result<InitOrder> decode_order(std::string_view bytes);
[[nodiscard]] std::string encode_report(const InitReport& report);
[[nodiscard]] Result<InitReport> decode_report(std::string_view bytes);

// ---- packets with descriptors (not pure) -------------------------------------------------------
inline constexpr std::size_t kMaxPacketBytes = std::size_t{60} * 1024;
inline constexpr std::size_t kMaxPacketFds = kMaxPassedFds;

struct Packet {
  std::string bytes;
  std::vector<Fd> fds;
};
// Errors: Exhausted (the other side does not read), Unavailable (it is gone), Invalid (too large).
Result<void> send_packet(int socket,
                         std::string_view bytes,
                         const std::vector<int>& fds,
                         bool wait);
// nullopt: nothing there now (only if !wait). An empty packet: the other side has closed.
[[nodiscard]] Result<std::optional<Packet>> receive_packet(int socket, bool wait);
// A sealed memory file with these bytes, and back.
[[nodiscard]] Result<Fd> make_memory_file(std::string_view bytes);
[[nodiscard]] Result<std::string> read_memory_file(int fd);

}  // namespace gangway::containers
