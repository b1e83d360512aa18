#include "executor/pmix_callbacks.hpp"

#include <pmix.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "executor/job_exchange.hpp"
#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

constexpr std::size_t kMaxMessageBytes = 1024;  // of an abort

Callee the_callee;

// Hands an event to the owner's thread. Blocks while the pipe is full: ranks that make noise wait
// for their server.
void post(std::unique_ptr<Event> event) {
  Event* const pointer = event.get();
  ssize_t written = 0;
  do {
    written = ::write(the_callee.events_in, &pointer, kPointerBytes);
  } while (written < 0 && errno == EINTR);
  if (written == kPointerBytes) (void)event.release();
}

// The ranks of the job that a name space is of; nullopt if it is none of the job's. A spawned
// world's name says which they are (world_suffix()).
std::optional<RankRange> ranks_of(std::string_view name_space) {
  if (!name_space.starts_with(the_callee.name_space)) return std::nullopt;
  name_space.remove_prefix(the_callee.name_space.size());
  if (name_space.empty()) return RankRange{0, the_callee.tasks};
  const auto parts = split(name_space, '+');
  if (parts.size() != 3 || !parts[0].empty()) return std::nullopt;
  const auto first = parse_integer<std::uint32_t>(parts[1]);
  const auto count = parse_integer<std::uint32_t>(parts[2]);
  if (!first || !count || *first < the_callee.tasks || *count > kMaxRanksOfWorld)
    return std::nullopt;
  return RankRange{*first, *count};
}

// By its number in the job.
std::optional<std::uint32_t> number_of(const pmix_proc_t& proc) {
  const std::optional<RankRange> ranks = ranks_of(proc.nspace);
  if (!ranks || proc.rank >= ranks->count) return std::nullopt;
  return ranks->first + proc.rank;
}

// Ranks may say anything; a protobuf string is UTF-8, and a log line is one line.
std::string printable(const char* text) {
  std::string result;
  if (text == nullptr) return result;
  for (const char* c = text; *c != '\0' && result.size() < kMaxMessageBytes; ++c) {
    result.push_back(*c >= ' ' && *c <= '~' ? *c : '?');
  }
  return result;
}

// ---- callbacks, on the library's thread --------------------------------------------------------

pmix_status_t on_connected(
    const pmix_proc_t* proc, void*, pmix_info_t[], size_t, pmix_op_cbfunc_t, void*) {
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  event->message.mutable_rank_state()->set_rank(*rank);
  event->message.mutable_rank_state()->set_connected(true);
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

pmix_status_t on_finalized(const pmix_proc_t* proc, void*, pmix_op_cbfunc_t, void*) {
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_OPERATION_SUCCEEDED;
  auto event = std::make_unique<Event>();
  event->message.mutable_rank_state()->set_rank(*rank);
  event->message.mutable_rank_state()->set_finalized(true);
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

pmix_status_t on_abort(const pmix_proc_t* proc,
                       void*,
                       int status,
                       const char message[],
                       pmix_proc_t[],
                       size_t,
                       pmix_op_cbfunc_t,
                       void*) {
  // Whomever it names, the job ends: a gang with some ranks gone is of no use.
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  event->message.mutable_abort()->set_rank(*rank);
  event->message.mutable_abort()->set_status(status);
  event->message.mutable_abort()->set_message(printable(message));
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

// Whoever takes part in a fence or a connection.
pmix_status_t note_participants(const pmix_proc_t procs[], size_t count, wire::PmixFence& fence) {
  if (count == 1 && the_callee.name_space == procs[0].nspace &&
      procs[0].rank == PMIX_RANK_WILDCARD) {
    fence.set_whole(true);
    return PMIX_SUCCESS;
  }
  for (size_t i = 0; i < count; ++i) {
    const std::optional<RankRange> ranks = ranks_of(procs[i].nspace);
    if (!ranks) return PMIX_ERR_NOT_SUPPORTED;
    if (procs[i].rank == PMIX_RANK_WILDCARD) {
      for (std::uint32_t rank = 0; rank < ranks->count; ++rank)
        fence.add_ranks(ranks->first + rank);
    } else if (procs[i].rank < ranks->count) {
      fence.add_ranks(ranks->first + procs[i].rank);
    } else {
      return PMIX_ERR_BAD_PARAM;
    }
  }
  return PMIX_SUCCESS;
}

pmix_status_t on_fence(const pmix_proc_t procs[],
                       size_t count,
                       const pmix_info_t[],
                       size_t,
                       char* data,
                       size_t size,
                       pmix_modex_cbfunc_t answer,
                       void* answer_data) {
  auto event = std::make_unique<Event>();
  wire::PmixFence& fence = *event->message.mutable_fence();
  if (const pmix_status_t bad = note_participants(procs, count, fence); bad != PMIX_SUCCESS) {
    return bad;
  }
  // What does not fit still has to be told, so that the others do not wait for it.
  if (size <= kMaxFenceBytes) {
    fence.set_data(data, size);
  } else {
    fence.set_status(kPmixOutOfResource);
  }
  std::free(data);  // NOLINT: the library hands over what it has allocated
  event->waiting = {.modex = answer, .data = answer_data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

pmix_status_t on_direct_modex(const pmix_proc_t* proc,
                              const pmix_info_t[],
                              size_t,
                              pmix_modex_cbfunc_t answer,
                              void* answer_data) {
  if (!ranks_of(proc->nspace)) return PMIX_ERR_NOT_SUPPORTED;
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_ERR_NOT_FOUND;
  auto event = std::make_unique<Event>();
  event->message.mutable_modex_ask()->set_rank(*rank);
  event->waiting = {.modex = answer, .data = answer_data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

// ---- meetings of another kind than fences ------------------------------------------------------

pmix_status_t meet(const char* label,
                   const pmix_proc_t procs[],
                   size_t count,
                   std::string data,
                   const Waiting& waiting) {
  auto event = std::make_unique<Event>();
  wire::PmixFence& fence = *event->message.mutable_fence();
  if (const pmix_status_t bad = note_participants(procs, count, fence); bad != PMIX_SUCCESS) {
    return bad;
  }
  fence.set_label(label);
  fence.set_data(std::move(data));
  event->waiting = waiting;
  post(std::move(event));
  return PMIX_SUCCESS;
}

pmix_status_t on_connect(const pmix_proc_t procs[],
                         size_t count,
                         const pmix_info_t[],
                         size_t,
                         pmix_op_cbfunc_t done,
                         void* data) {
  return meet("connect", procs, count, {}, {.done = done, .data = data});
}

pmix_status_t on_disconnect(const pmix_proc_t procs[],
                            size_t count,
                            const pmix_info_t[],
                            size_t,
                            pmix_op_cbfunc_t done,
                            void* data) {
  return meet("disconnect", procs, count, {}, {.done = done, .data = data});
}

// ---- names -------------------------------------------------------------------------------------

bool is_true(const pmix_info_t& info) { return PMIX_INFO_TRUE(&info); }

pmix_status_t on_publish(const pmix_proc_t* proc,
                         const pmix_info_t infos[],
                         size_t count,
                         pmix_op_cbfunc_t done,
                         void* data) {
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  wire::PmixNames& names = *event->message.mutable_names();
  names.set_operation(wire::PmixNames::PUBLISH);
  names.set_rank(*rank);
  for (size_t i = 0; i < count; ++i) {
    if (PMIX_CHECK_KEY(&infos[i], PMIX_PERSISTENCE)) {
      names.set_once(infos[i].value.data.persist == PMIX_PERSIST_FIRST_READ);
    }
    const std::string_view key = infos[i].key;
    if (key.starts_with("pmix.")) continue;  // a directive
    wire::PmiPut& entry = *names.add_entries();
    entry.set_key(printable(infos[i].key));
    entry.set_value(pack_values(&infos[i].value, PMIX_VALUE, 1));
  }
  event->waiting = {.done = done, .data = data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

std::unique_ptr<Event> ask_names(wire::PmixNames::Operation operation,
                                 const pmix_proc_t* proc,
                                 char** keys) {
  const auto rank = number_of(*proc);
  if (!rank || keys == nullptr) return nullptr;
  auto event = std::make_unique<Event>();
  wire::PmixNames& names = *event->message.mutable_names();
  names.set_operation(operation);
  names.set_rank(*rank);
  for (char** key = keys; *key != nullptr; ++key) names.add_entries()->set_key(printable(*key));
  return event;
}

pmix_status_t on_lookup(const pmix_proc_t* proc,
                        char** keys,
                        const pmix_info_t infos[],
                        size_t count,
                        pmix_lookup_cbfunc_t answer,
                        void* data) {
  auto event = ask_names(wire::PmixNames::LOOKUP, proc, keys);
  if (!event) return PMIX_ERR_NOT_SUPPORTED;
  for (size_t i = 0; i < count; ++i) {
    if (PMIX_CHECK_KEY(&infos[i], PMIX_WAIT)) {
      // How many of them, or whether: none that matters is waited for in part.
      const bool waits = infos[i].value.type == PMIX_BOOL || infos[i].value.type == PMIX_UNDEF
                             ? is_true(infos[i])
                             : true;
      event->message.mutable_names()->set_wait(waits);
    }
  }
  event->waiting = {.lookup = answer, .data = data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

pmix_status_t on_unpublish(const pmix_proc_t* proc,
                           char** keys,
                           const pmix_info_t[],
                           size_t,
                           pmix_op_cbfunc_t done,
                           void* data) {
  auto event = ask_names(wire::PmixNames::UNPUBLISH, proc, keys);
  if (!event) return PMIX_ERR_NOT_SUPPORTED;
  event->waiting = {.done = done, .data = data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

// ---- events, queries, signals ------------------------------------------------------------------

// Every server hears of every event: there is nobody else to register with.
pmix_status_t on_register_events(
    pmix_status_t*, size_t, const pmix_info_t[], size_t, pmix_op_cbfunc_t, void*) {
  return PMIX_OPERATION_SUCCEEDED;
}
pmix_status_t on_deregister_events(pmix_status_t*, size_t, pmix_op_cbfunc_t, void*) {
  return PMIX_OPERATION_SUCCEEDED;
}

pmix_status_t on_notify_event(pmix_status_t code,
                              const pmix_proc_t* source,
                              pmix_data_range_t range,
                              pmix_info_t infos[],
                              size_t count,
                              pmix_op_cbfunc_t,
                              void*) {
  const auto rank = number_of(*source);
  if (!rank) return PMIX_OPERATION_SUCCEEDED;  // the library's own news: it has told all its ranks
  auto event = std::make_unique<Event>();
  wire::PmixEvent& told = *event->message.mutable_event();
  told.set_code(code);
  told.set_rank(*rank);
  told.set_range(range);
  told.set_info_count(static_cast<std::uint32_t>(count));
  told.set_infos(pack_values(infos, PMIX_INFO, static_cast<std::int32_t>(count)));
  if (told.infos().size() > kMaxFenceBytes) return PMIX_ERR_OUT_OF_RESOURCE;
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

pmix_status_t on_query(
    pmix_proc_t*, pmix_query_t* queries, size_t count, pmix_info_cbfunc_t answer, void* data) {
  auto infos = std::make_unique<std::vector<pmix_info_t>>();
  std::size_t asked = 0;
  const auto give = [&](const char* key, const void* value, pmix_data_type_t type) {
    pmix_info_t& info = infos->emplace_back();
    PMIX_INFO_CONSTRUCT(&info);
    PMIX_INFO_LOAD(&info, key, value, type);
  };
  for (size_t i = 0; i < count; ++i) {
    for (char** key = queries[i].keys; key != nullptr && *key != nullptr; ++key) {
      ++asked;
      const std::string_view name = *key;
      if (name == PMIX_QUERY_NAMESPACES) {
        give(*key, the_callee.name_space.c_str(), PMIX_STRING);
      } else if (name == PMIX_JOB_SIZE) {
        give(*key, &the_callee.tasks, PMIX_UINT32);
      } else if (name == PMIX_UNIV_SIZE) {
        give(*key, &the_callee.universe, PMIX_UINT32);
      } else if (name == PMIX_NUM_NODES) {
        give(*key, &the_callee.nodes, PMIX_UINT32);
      } else if (name == PMIX_QUERY_SPAWN_SUPPORT) {
        give(*key, PMIX_HOST "," PMIX_WDIR, PMIX_STRING);
      }
    }
  }
  pmix_status_t status = PMIX_SUCCESS;
  if (infos->empty()) status = PMIX_ERR_NOT_FOUND;
  if (!infos->empty() && infos->size() < asked) status = PMIX_QUERY_PARTIAL_SUCCESS;
  auto* const kept = infos.release();
  answer(status, kept->empty() ? nullptr : kept->data(), kept->size(), data, free_infos, kept);
  return PMIX_SUCCESS;
}

std::optional<int> signal_of(const pmix_info_t& directive) {
  if (PMIX_CHECK_KEY(&directive, PMIX_JOB_CTRL_SIGNAL)) return directive.value.data.integer;
  const std::pair<const char*, int> by_name[] = {{PMIX_JOB_CTRL_KILL, SIGKILL},
                                                 {PMIX_JOB_CTRL_TERMINATE, SIGTERM},
                                                 {PMIX_JOB_CTRL_PAUSE, SIGSTOP},
                                                 {PMIX_JOB_CTRL_RESUME, SIGCONT}};
  for (const auto& [key, number] : by_name) {
    if (PMIX_CHECK_KEY(&directive, key) && is_true(directive)) return number;
  }
  return std::nullopt;
}

pmix_status_t on_job_control(const pmix_proc_t* requestor,
                             const pmix_proc_t targets[],
                             size_t count,
                             const pmix_info_t directives[],
                             size_t directive_count,
                             pmix_info_cbfunc_t,
                             void*) {
  const auto rank = number_of(*requestor);
  if (!rank) return PMIX_ERR_NOT_SUPPORTED;
  std::optional<int> number;
  for (size_t i = 0; i < directive_count && !number; ++i) number = signal_of(directives[i]);
  if (!number || *number <= 0 || *number >= NSIG) return PMIX_ERR_NOT_SUPPORTED;
  wire::PmixFence whom;
  if (targets != nullptr && count > 0) {
    if (const pmix_status_t bad = note_participants(targets, count, whom); bad != PMIX_SUCCESS) {
      return bad;
    }
  }
  auto event = std::make_unique<Event>();
  wire::PmixControl& control = *event->message.mutable_control();
  control.set_rank(*rank);
  control.set_signal(*number);
  control.set_all(whom.ranks().empty());
  *control.mutable_ranks() = whom.ranks();
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

// ---- spawning ----------------------------------------------------------------------------------

void note_placement(const pmix_info_t infos[], size_t count, wire::PmixApp& app) {
  for (size_t i = 0; i < count; ++i) {
    if (infos[i].value.type != PMIX_STRING || infos[i].value.data.string == nullptr) continue;
    if (PMIX_CHECK_KEY(&infos[i], PMIX_WDIR)) app.set_workdir(infos[i].value.data.string);
    if (!PMIX_CHECK_KEY(&infos[i], PMIX_HOST)) continue;
    for (const std::string_view host : split(infos[i].value.data.string, ',')) {
      // "n01:2": how many of them is for us to say.
      if (!host.empty()) app.add_hosts(std::string(host.substr(0, host.find(':'))));
    }
  }
}

pmix_status_t on_spawn(const pmix_proc_t* proc,
                       const pmix_info_t infos[],
                       size_t count,
                       const pmix_app_t apps[],
                       size_t app_count,
                       pmix_spawn_cbfunc_t answer,
                       void* data) {
  const auto rank = number_of(*proc);
  if (!rank) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  wire::PmixSpawn& spawn = *event->message.mutable_spawn();
  spawn.set_rank(*rank);
  for (size_t i = 0; i < app_count; ++i) {
    const pmix_app_t& given = apps[i];
    if (given.cmd == nullptr || given.maxprocs < 1) return PMIX_ERR_BAD_PARAM;
    wire::PmixApp& app = *spawn.add_apps();
    app.add_argv(given.cmd);
    // Its argv[0] is a name for the command; what follows are the arguments.
    for (char** word = given.argv; word != nullptr && *word != nullptr; ++word) {
      if (word != given.argv) app.add_argv(*word);
    }
    for (char** each = given.env; each != nullptr && *each != nullptr; ++each) app.add_env(*each);
    if (given.cwd != nullptr) app.set_workdir(given.cwd);
    app.set_count(static_cast<std::uint32_t>(given.maxprocs));
    note_placement(infos, count, app);
    note_placement(given.info, given.ninfo, app);
  }
  event->waiting = {.spawn = answer, .data = data};
  post(std::move(event));
  return PMIX_SUCCESS;
}

}  // namespace

pmix_server_module_t pmix_callbacks() {
  pmix_server_module_t module{};
  module.client_connected2 = on_connected;
  module.client_finalized = on_finalized;
  module.abort = on_abort;
  module.fence_nb = on_fence;
  module.direct_modex = on_direct_modex;
  module.publish = on_publish;
  module.lookup = on_lookup;
  module.unpublish = on_unpublish;
  module.spawn = on_spawn;
  module.connect = on_connect;
  module.disconnect = on_disconnect;
  module.register_events = on_register_events;
  module.deregister_events = on_deregister_events;
  module.notify_event = on_notify_event;
  module.query = on_query;
  module.job_control = on_job_control;
  return module;
}

void set_callee(Callee what) { the_callee = std::move(what); }
const Callee& callee() { return the_callee; }

void on_modex_known(pmix_status_t status, char* data, size_t size, void* number) {
  const std::unique_ptr<std::uint64_t> id(static_cast<std::uint64_t*>(number));
  auto event = std::make_unique<Event>();
  wire::PmixModexAnswer& answer = *event->message.mutable_modex_answer();
  answer.set_id(*id);
  answer.set_status(size <= kMaxFenceBytes ? status : kPmixOutOfResource);
  if (data != nullptr && size <= kMaxFenceBytes) answer.set_data(data, size);
  post(std::move(event));
}

std::string pack_values(const void* what, pmix_data_type_t type, std::int32_t count) {
  pmix_data_buffer_t buffer;
  PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
  std::string bytes;
  if (count > 0 &&
      PMIx_Data_pack(nullptr, &buffer, const_cast<void*>(what), count, type) == PMIX_SUCCESS) {
    bytes.assign(buffer.base_ptr, buffer.bytes_used);
  }
  PMIX_DATA_BUFFER_DESTRUCT(&buffer);
  return bytes;
}

bool unpack_values(const std::string& bytes,
                   void* what,
                   pmix_data_type_t type,
                   std::int32_t count) {
  pmix_data_buffer_t buffer;
  PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
  // A copy that the buffer may free.
  char* const copy = static_cast<char*>(std::malloc(bytes.size() + 1));  // NOLINT
  CHECK(copy != nullptr);
  std::memcpy(copy, bytes.data(), bytes.size());
  PMIX_DATA_BUFFER_LOAD(&buffer, copy, bytes.size());
  const pmix_status_t status = PMIx_Data_unpack(nullptr, &buffer, what, &count, type);
  PMIX_DATA_BUFFER_DESTRUCT(&buffer);
  return status == PMIX_SUCCESS;
}

void free_infos(void* infos) {
  const std::unique_ptr<std::vector<pmix_info_t>> all(
      static_cast<std::vector<pmix_info_t>*>(infos));
  for (pmix_info_t& info : *all) PMIX_INFO_DESTRUCT(&info);
}

}  // namespace gangway::executor
