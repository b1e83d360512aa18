// ProgramTable: the programs of one sandbox that have not ended, and who is told when they do.
//
// A program is added before its starter (init, or the starter on the host) knows of it, because its
// files are opened first. A signal that comes meanwhile is noted here, with what it would do to a
// program in its first moment: it has killed it, and the program is never started, or it makes it
// stand still as soon as it is. Once its starter knows of it, signals are the starter's matter.
//
// No I/O. Ends are told from inside of the calls, after the program has left the table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "containers/runtime.hpp"

namespace gangway::containers {

class ProgramTable {
 public:
  using OnEnd = std::function<void(ProgramEnd)>;

  // A program of this id that is there already stays as it is. `on_host`: it is the host starter's.
  void add(std::uint32_t id, bool on_host, OnEnd on_end);
  [[nodiscard]] bool contains(std::uint32_t id) const { return programs_.contains(id); }
  // False too of one that is not there.
  [[nodiscard]] bool is_on_host(std::uint32_t id) const;

  // To one program; without an id to all, of which those on the host are meant by SIGKILL alone.
  void note_signal(int number, std::optional<std::uint32_t> id);
  void note_signal_to_others(int number, std::uint32_t id);
  // What has killed it before its starter knew of it; 0: nothing.
  [[nodiscard]] int early_end(std::uint32_t id) const;
  // Its starter knows of it now. Returns the signal that has made it stand still before; 0: none.
  int mark_sent(std::uint32_t id);

  // Nothing where there is no such program (any more).
  void end(ProgramEnd end);
  void end_by_signal(std::uint32_t id, int number);
  void end_unstarted(std::uint32_t id, const std::string& why);
  // Programs whose starter is gone are gone too: those that it knew of.
  void end_those_sent(bool on_host);
  void end_all_unstarted(const std::string& why);

 private:
  struct Program {
    OnEnd on_end;
    bool on_host = false;
    bool sent = false;     // its starter knows of it
    int early_signal = 0;  // came before that
    int early_stop = 0;    // the same, of those that make it stand still
  };
  static void note_early(Program& program, int number);

  std::map<std::uint32_t, Program> programs_;
};

}  // namespace gangway::containers
