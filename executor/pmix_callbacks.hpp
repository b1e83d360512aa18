// What the PMIx library calls, on a thread of its own, and how its news reach the owner's thread:
// each becomes an Event, and a pointer to it goes through a pipe. An answer that a call waits for
// is given later, on the owner's thread (Waiting). Part of PmixServer; nobody else includes this.
//
// Ranks may say anything: names of foreign name spaces are refused, texts are made printable, what
// is too large is told as a failure.
#pragma once

#include <pmix_server.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "executor/fence_tree.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

// A call of the library that waits for its answer, in one of its forms.
struct Waiting {
  pmix_modex_cbfunc_t modex = nullptr;
  pmix_op_cbfunc_t done = nullptr;
  pmix_lookup_cbfunc_t lookup = nullptr;
  pmix_spawn_cbfunc_t spawn = nullptr;
  void* data = nullptr;
};

// What the library's thread tells ours.
struct Event {
  wire::FromPmix message;
  Waiting waiting;  // if it is to be answered
};

// What the callbacks need to know; they are given no pointer of ours. Set before the library starts
// its thread and constant from then on.
struct Callee {
  int events_in = -1;
  std::string name_space;
  std::uint32_t tasks = 0;
  std::uint32_t universe = 0;
  std::uint32_t nodes = 0;
  std::uint32_t node_index = 0;
};
// Before the library starts its thread.
void set_callee(Callee what);
[[nodiscard]] const Callee& callee();
[[nodiscard]] pmix_server_module_t pmix_callbacks();

// Through the pipe go pointers to events, as they lie in memory.
constexpr std::size_t kPointerBytes = sizeof(void*);

// A number (std::uint64_t) of ours in `number`: which question of the shepherd's this answers.
void on_modex_known(pmix_status_t status, char* data, size_t size, void* number);

// Values as bytes, and back. Requires: `what` has room for `count`.
[[nodiscard]] std::string pack_values(const void* what, pmix_data_type_t type, std::int32_t count);
[[nodiscard]] bool unpack_values(const std::string& bytes,
                                 void* what,
                                 pmix_data_type_t type,
                                 std::int32_t count);
// Of a std::vector<pmix_info_t>, with what they hold.
void free_infos(void* infos);

}  // namespace gangway::executor
