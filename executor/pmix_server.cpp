#include "executor/pmix_server.hpp"

#include <fcntl.h>
#include <pmix.h>
#include <pmix_server.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "executor/fence_tree.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

static_assert(kPmixSuccess == PMIX_SUCCESS && kPmixUnreachable == PMIX_ERR_UNREACH &&
              kPmixBadParameter == PMIX_ERR_BAD_PARAM &&
              kPmixOutOfResource == PMIX_ERR_OUT_OF_RESOURCE &&
              kPmixNotFound == PMIX_ERR_NOT_FOUND &&
              kPmixLostConnection == PMIX_ERR_LOST_CONNECTION);

namespace {
// A call of the library that waits for its answer.
struct Waiting {
  pmix_modex_cbfunc_t answer = nullptr;
  void* data = nullptr;
};
}  // namespace

struct PmixServer::State {
  std::string name_space;
  RankRange local;
  Fd events_out;  // read here
  std::map<std::uint64_t, Waiting> fences;
  std::map<std::uint64_t, Waiting> questions;
  std::uint64_t next_id = 1;
};

namespace {

constexpr std::size_t kMaxMessageBytes = 1024;  // of an abort

// What the library's thread tells ours.
struct Event {
  wire::FromPmix message;
  pmix_modex_cbfunc_t answer = nullptr;  // for a fence or a question
  void* answer_data = nullptr;
};

// What the callbacks need to know; they are given no pointer of ours. Set before the library starts
// its thread and constant from then on.
struct Callee {
  int events_in = -1;
  std::string name_space;
  std::uint32_t tasks = 0;
};
Callee callee;

// Through the pipe go pointers to events, as they lie in memory.
constexpr std::size_t kPointerBytes = sizeof(void*);

// Hands an event to the owner's thread. Blocks while the pipe is full: ranks that make noise wait
// for their server.
void post(std::unique_ptr<Event> event) {
  Event* const pointer = event.get();
  ssize_t written = 0;
  do {
    written = ::write(callee.events_in, &pointer, kPointerBytes);
  } while (written < 0 && errno == EINTR);
  if (written == kPointerBytes) (void)event.release();
}

bool is_ours(const pmix_proc_t& proc) { return callee.name_space == proc.nspace; }

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
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  event->message.mutable_rank_state()->set_rank(proc->rank);
  event->message.mutable_rank_state()->set_connected(true);
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
}

pmix_status_t on_finalized(const pmix_proc_t* proc, void*, pmix_op_cbfunc_t, void*) {
  if (!is_ours(*proc)) return PMIX_OPERATION_SUCCEEDED;
  auto event = std::make_unique<Event>();
  event->message.mutable_rank_state()->set_rank(proc->rank);
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
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  auto event = std::make_unique<Event>();
  event->message.mutable_abort()->set_rank(proc->rank);
  event->message.mutable_abort()->set_status(status);
  event->message.mutable_abort()->set_message(printable(message));
  post(std::move(event));
  return PMIX_OPERATION_SUCCEEDED;
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
  for (size_t i = 0; i < count; ++i) {
    if (!is_ours(procs[i])) return PMIX_ERR_NOT_SUPPORTED;
    if (procs[i].rank == PMIX_RANK_WILDCARD) {
      fence.set_whole(true);
    } else if (procs[i].rank < callee.tasks) {
      fence.add_ranks(procs[i].rank);
    } else {
      return PMIX_ERR_BAD_PARAM;
    }
  }
  if (fence.whole()) fence.clear_ranks();
  // What does not fit still has to be told, so that the others do not wait for it.
  if (size <= kMaxFenceBytes) {
    fence.set_data(data, size);
  } else {
    fence.set_status(kPmixOutOfResource);
  }
  std::free(data);  // NOLINT: the library hands over what it has allocated
  event->answer = answer;
  event->answer_data = answer_data;
  post(std::move(event));
  return PMIX_SUCCESS;
}

pmix_status_t on_direct_modex(const pmix_proc_t* proc,
                              const pmix_info_t[],
                              size_t,
                              pmix_modex_cbfunc_t answer,
                              void* answer_data) {
  if (!is_ours(*proc)) return PMIX_ERR_NOT_SUPPORTED;
  if (proc->rank >= callee.tasks) return PMIX_ERR_NOT_FOUND;
  auto event = std::make_unique<Event>();
  event->message.mutable_modex_ask()->set_rank(proc->rank);
  event->answer = answer;
  event->answer_data = answer_data;
  post(std::move(event));
  return PMIX_SUCCESS;
}

// `number` is a std::uint64_t of ours: which question of the shepherd's this answers.
void on_modex_known(pmix_status_t status, char* data, size_t size, void* number) {
  const std::unique_ptr<std::uint64_t> id(static_cast<std::uint64_t*>(number));
  auto event = std::make_unique<Event>();
  wire::PmixModexAnswer& answer = *event->message.mutable_modex_answer();
  answer.set_id(*id);
  answer.set_status(size <= kMaxFenceBytes ? status : kPmixOutOfResource);
  if (data != nullptr && size <= kMaxFenceBytes) answer.set_data(data, size);
  post(std::move(event));
}

pmix_server_module_t callbacks() {
  pmix_server_module_t module{};
  module.client_connected2 = on_connected;
  module.client_finalized = on_finalized;
  module.abort = on_abort;
  module.fence_nb = on_fence;
  module.direct_modex = on_direct_modex;
  return module;
}

// ---- calls, on the owner's thread --------------------------------------------------------------

Error refused(std::string_view what, pmix_status_t status) {
  return {ErrorKind::Unavailable, cat(what, ": ", PMIx_Error_string(status))};
}

bool is_success(pmix_status_t status) {
  return status == PMIX_SUCCESS || status == PMIX_OPERATION_SUCCEEDED;
}

// An array of keys and values as the library wants it.
class InfoList {
 public:
  InfoList() = default;
  InfoList(const InfoList&) = delete;
  InfoList& operator=(const InfoList&) = delete;
  ~InfoList() {
    for (pmix_info_t& info : infos_) PMIX_INFO_DESTRUCT(&info);
  }
  void add(const char* key, const std::string& value) {
    PMIX_INFO_LOAD(&append(), key, value.c_str(), PMIX_STRING);
  }
  void add(const char* key, std::uint32_t value) {
    PMIX_INFO_LOAD(&append(), key, &value, PMIX_UINT32);
  }
  [[nodiscard]] pmix_info_t* data() { return infos_.data(); }
  [[nodiscard]] std::size_t size() const { return infos_.size(); }

 private:
  pmix_info_t& append() {
    pmix_info_t& info = infos_.emplace_back();
    PMIX_INFO_CONSTRUCT(&info);
    return info;
  }
  std::vector<pmix_info_t> infos_;
};

pmix_proc_t make_proc(const std::string& name_space, std::uint32_t rank) {
  pmix_proc_t proc;
  PMIX_LOAD_PROCID(&proc, name_space.c_str(), rank);
  return proc;
}

// "4-7" or "4"; nullopt if it is neither.
std::optional<RankRange> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_integer<std::uint32_t>(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : parse_integer<std::uint32_t>(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return RankRange{*first, *last - *first + 1};
}

Result<RankRange> check(const wire::PmixSetup& setup) {
  const auto invalid = [](std::string what) { return Error(ErrorKind::Invalid, std::move(what)); };
  if (setup.name_space().empty() || setup.name_space().size() > PMIX_MAX_NSLEN) {
    return invalid(cat("name space \"", setup.name_space(), '"'));
  }
  if (setup.nodes_size() != setup.ranks_of_node_size()) return invalid("nodes and ranks differ");
  if (static_cast<int>(setup.node_index()) >= setup.nodes_size()) return invalid("node index");
  std::uint64_t ranks = 0;
  for (const std::string& text : setup.ranks_of_node()) {
    const std::optional<RankRange> range = parse_range(text);
    if (!range) return invalid(cat("ranks \"", text, '"'));
    ranks += range->count;
  }
  if (ranks != setup.tasks()) return invalid("number of tasks");
  return *parse_range(setup.ranks_of_node(static_cast<int>(setup.node_index())));
}

std::string node_list(const wire::PmixSetup& setup) {
  std::string result;
  for (const std::string& node : setup.nodes()) {
    if (!result.empty()) result.push_back(',');
    result += node;
  }
  return result;
}

// "0,1;2,3": each rank by its number, because the library's "raw" form, which it chooses whenever
// its own is not shorter, does not know ranges (4.2.2: the ranks then fail in MPI_Init).
std::string rank_list(const wire::PmixSetup& setup) {
  std::string result;
  for (const std::string& ranks : setup.ranks_of_node()) {
    if (!result.empty()) result.push_back(';');
    const RankRange range = *parse_range(ranks);
    for (std::uint32_t i = 0; i < range.count; ++i) {
      if (i > 0) result.push_back(',');
      result += cat(range.first + i);
    }
  }
  return result;
}

// The library's compressed forms of node and rank lists, or its refusal.
Result<std::string> compress(pmix_status_t (*how)(const char*, char**), const std::string& list) {
  char* result = nullptr;
  const pmix_status_t status = how(list.c_str(), &result);
  if (status != PMIX_SUCCESS) return refused("compress the list of nodes", status);
  // Longer lists may come as binary data that a string cannot carry; the plain list works as well.
  const std::string_view text(result);
  std::string kept = text.starts_with("blob") ? list : std::string(text);
  std::free(result);  // NOLINT: from malloc in the library
  return kept;
}

Result<void> register_job(const wire::PmixSetup& setup, const RankRange& local) {
  GANGWAY_ASSIGN(const std::string node_map, compress(PMIx_generate_regex, node_list(setup)));
  GANGWAY_ASSIGN(const std::string rank_map, compress(PMIx_generate_ppn, rank_list(setup)));
  // From the two maps the library derives all the rest: local ranks, peers, leaders.
  InfoList infos;
  infos.add(PMIX_NODE_MAP, node_map);
  infos.add(PMIX_PROC_MAP, rank_map);
  infos.add(PMIX_UNIV_SIZE, setup.tasks());
  infos.add(PMIX_JOB_SIZE, setup.tasks());
  infos.add(PMIX_MAX_PROCS, setup.tasks());
  infos.add(PMIX_JOB_NUM_APPS, std::uint32_t{1});
  infos.add(PMIX_NUM_NODES, static_cast<std::uint32_t>(setup.nodes_size()));
  infos.add(PMIX_LOCAL_SIZE, local.count);
  infos.add(PMIX_NODEID, setup.node_index());
  const std::string& name_space = setup.name_space();
  pmix_status_t status =
      PMIx_server_register_nspace(name_space.c_str(), static_cast<int>(local.count), infos.data(),
                                  infos.size(), nullptr, nullptr);
  if (!is_success(status)) return refused("register the job", status);
  for (std::uint32_t i = 0; i < local.count; ++i) {
    const pmix_proc_t proc = make_proc(name_space, local.first + i);
    status =
        PMIx_server_register_client(&proc, setup.uid(), setup.gid(), nullptr, nullptr, nullptr);
    if (!is_success(status)) return refused(cat("register rank ", local.first + i), status);
  }
  return {};
}

}  // namespace

PmixServer::PmixServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
PmixServer::~PmixServer() = default;

Result<std::unique_ptr<PmixServer>> PmixServer::start(const wire::PmixSetup& setup) {
  CHECK(callee.events_in < 0);
  GANGWAY_ASSIGN(const RankRange local, check(setup));
  GANGWAY_ASSIGN(Pipe events, make_pipe());
  auto state = std::make_unique<State>();
  state->name_space = setup.name_space();
  state->local = local;
  if (::fcntl(events.read.get(), F_SETFL, O_NONBLOCK) != 0) {
    return errno_error("set up a pipe", errno);
  }
  state->events_out = std::move(events.read);
  callee = Callee{.events_in = events.write.release(),
                  .name_space = setup.name_space(),
                  .tasks = setup.tasks()};

  InfoList infos;
  infos.add(PMIX_SERVER_TMPDIR, setup.temporary_directory());
  infos.add(PMIX_HOSTNAME, setup.nodes(static_cast<int>(setup.node_index())));
  // Written to by the library, and used for as long as it runs.
  static pmix_server_module_t module = callbacks();
  const pmix_status_t status = PMIx_server_init(&module, infos.data(), infos.size());
  if (status != PMIX_SUCCESS) return refused("start the PMIx library", status);
  GANGWAY_TRY(register_job(setup, local));
  return std::unique_ptr<PmixServer>(new PmixServer(std::move(state)));
}

Result<wire::PmixReady> PmixServer::rank_environments() const {
  wire::PmixReady ready;
  for (std::uint32_t i = 0; i < state_->local.count; ++i) {
    const std::uint32_t rank = state_->local.first + i;
    const pmix_proc_t proc = make_proc(state_->name_space, rank);
    char** env = nullptr;
    const pmix_status_t status = PMIx_server_setup_fork(&proc, &env);
    if (status != PMIX_SUCCESS) return refused(cat("environment of rank ", rank), status);
    wire::RankEnv& rank_env = *ready.add_ranks();
    rank_env.set_rank(rank);
    for (char** entry = env; entry != nullptr && *entry != nullptr; ++entry) {
      rank_env.add_env(*entry);
    }
    PMIX_ARGV_FREE(env);
  }
  return ready;
}

int PmixServer::fd() const { return state_->events_out.get(); }

std::optional<wire::FromPmix> PmixServer::next() {
  Event* pointer = nullptr;
  ssize_t got = 0;
  do {
    got = ::read(fd(), &pointer, kPointerBytes);
  } while (got < 0 && errno == EINTR);
  if (got != kPointerBytes) return std::nullopt;
  const std::unique_ptr<Event> event(pointer);
  const Waiting waiting{event->answer, event->answer_data};
  if (event->message.has_fence()) {
    event->message.mutable_fence()->set_id(state_->next_id);
    state_->fences.emplace(state_->next_id++, waiting);
  } else if (event->message.has_modex_ask()) {
    event->message.mutable_modex_ask()->set_id(state_->next_id);
    state_->questions.emplace(state_->next_id++, waiting);
  }
  return std::move(event->message);
}

namespace {
void give(pmix_modex_cbfunc_t answer, void* answer_data, std::int32_t status, std::string data) {
  auto* const kept = new std::string(std::move(data));  // until the library lets go of it
  answer(
      status, kept->empty() ? nullptr : kept->data(), kept->size(), answer_data,
      [](void* pointer) { delete static_cast<std::string*>(pointer); }, kept);
}
}  // namespace

std::optional<wire::FromPmix> PmixServer::on(wire::ToPmix message) {
  if (message.has_fence_done()) {
    wire::PmixFenceDone& done = *message.mutable_fence_done();
    if (const auto fence = state_->fences.extract(done.id())) {
      give(fence.mapped().answer, fence.mapped().data, done.status(),
           std::move(*done.mutable_data()));
    }
  } else if (message.has_modex_answer()) {
    wire::PmixModexAnswer& answer = *message.mutable_modex_answer();
    if (const auto question = state_->questions.extract(answer.id())) {
      give(question.mapped().answer, question.mapped().data, answer.status(),
           std::move(*answer.mutable_data()));
    }
  } else if (message.has_modex_ask()) {
    const pmix_proc_t proc = make_proc(state_->name_space, message.modex_ask().rank());
    auto id = std::make_unique<std::uint64_t>(message.modex_ask().id());
    const pmix_status_t status = PMIx_server_dmodex_request(&proc, on_modex_known, id.get());
    if (status == PMIX_SUCCESS) {
      (void)id.release();  // on_modex_known() owns it
    } else {
      wire::FromPmix answer;
      answer.mutable_modex_answer()->set_id(*id);
      answer.mutable_modex_answer()->set_status(status);
      return answer;
    }
  }
  return std::nullopt;
}

void PmixServer::finalize() {
  PMIx_server_deregister_nspace(state_->name_space.c_str(), nullptr, nullptr);
  PMIx_server_finalize();
}

}  // namespace gangway::executor
