#include "executor/pmix_server.hpp"

#include <fcntl.h>
#include <pmix.h>
#include <pmix_server.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "executor/fence_tree.hpp"
#include "executor/job_exchange.hpp"
#include "executor/pmix_callbacks.hpp"
#include "queues/base/fd.hpp"
#include "queues/base/log.hpp"
#include "queues/base/pipe.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

static_assert(kPmixSuccess == PMIX_SUCCESS && kPmixUnreachable == PMIX_ERR_UNREACH &&
              kPmixBadParameter == PMIX_ERR_BAD_PARAM &&
              kPmixOutOfResource == PMIX_ERR_OUT_OF_RESOURCE &&
              kPmixNotFound == PMIX_ERR_NOT_FOUND && kPmixDuplicateKey == PMIX_ERR_DUPLICATE_KEY &&
              kPmixLostConnection == PMIX_ERR_LOST_CONNECTION);

namespace {

struct World {
  RankRange ranks;  // by their numbers in the job
  std::string name_space;
};

}  // namespace

struct PmixServer::State {
  std::string name_space;
  RankRange local;
  Fd events_out;  // read here
  wire::PmixSetup setup;
  std::vector<World> worlds;  // the job's own ranks, and those spawned since
  std::map<std::uint64_t, Waiting> waiting;
  std::uint64_t next_id = 1;

  [[nodiscard]] std::optional<pmix_proc_t> find_proc(std::uint32_t rank) const {
    for (const World& world : worlds) {
      if (rank - world.ranks.first >= world.ranks.count) continue;
      pmix_proc_t proc;
      PMIX_LOAD_PROCID(&proc, world.name_space.c_str(), rank - world.ranks.first);
      return proc;
    }
    return std::nullopt;
  }
};

namespace {

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
  void add(const char* key, const pmix_proc_t& value) {
    PMIX_INFO_LOAD(&append(), key, &value, PMIX_PROC);
  }
  void add_true(const char* key) {
    const bool value = true;
    PMIX_INFO_LOAD(&append(), key, &value, PMIX_BOOL);
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
  infos.add(PMIX_UNIV_SIZE, std::max(setup.universe(), setup.tasks()));
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
  CHECK(callee().events_in < 0);
  GANGWAY_ASSIGN(const RankRange local, check(setup));
  GANGWAY_ASSIGN(Pipe events, make_pipe());
  auto state = std::make_unique<State>();
  state->name_space = setup.name_space();
  state->local = local;
  state->setup = setup;
  state->worlds.push_back({{0, setup.tasks()}, setup.name_space()});
  if (::fcntl(events.read.get(), F_SETFL, O_NONBLOCK) != 0) {
    return errno_error("set up a pipe", errno);
  }
  state->events_out = std::move(events.read);
  set_callee({.events_in = events.write.release(),
              .name_space = setup.name_space(),
              .tasks = setup.tasks(),
              .universe = std::max(setup.universe(), setup.tasks()),
              .nodes = static_cast<std::uint32_t>(setup.nodes_size()),
              .node_index = setup.node_index()});

  InfoList infos;
  infos.add(PMIX_SERVER_TMPDIR, setup.temporary_directory());
  infos.add(PMIX_HOSTNAME, setup.nodes(static_cast<int>(setup.node_index())));
  // Written to by the library, and used for as long as it runs.
  static pmix_server_module_t module = pmix_callbacks();
  const pmix_status_t status = PMIx_server_init(&module, infos.data(), infos.size());
  if (status != PMIX_SUCCESS) return refused("start the PMIx library", status);
  GANGWAY_TRY(register_job(setup, local));
  return std::unique_ptr<PmixServer>(new PmixServer(std::move(state)));
}

namespace {

// What the library wants the process to have in its environment.
Result<wire::RankEnv> environment_of(const pmix_proc_t& proc, std::uint32_t number) {
  char** env = nullptr;
  const pmix_status_t status = PMIx_server_setup_fork(&proc, &env);
  if (status != PMIX_SUCCESS) return refused(cat("environment of rank ", number), status);
  wire::RankEnv rank;
  rank.set_rank(number);
  for (char** entry = env; entry != nullptr && *entry != nullptr; ++entry) rank.add_env(*entry);
  PMIX_ARGV_FREE(env);
  return rank;
}

}  // namespace

Result<wire::PmixReady> PmixServer::rank_environments() const {
  wire::PmixReady ready;
  for (std::uint32_t i = 0; i < state_->local.count; ++i) {
    const std::uint32_t rank = state_->local.first + i;
    GANGWAY_ASSIGN(*ready.add_ranks(), environment_of(make_proc(state_->name_space, rank), rank));
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
  wire::FromPmix& message = event->message;
  const std::uint64_t id = state_->next_id;
  switch (message.what_case()) {
    case wire::FromPmix::kFence:
      message.mutable_fence()->set_id(id);
      break;
    case wire::FromPmix::kModexAsk:
      message.mutable_modex_ask()->set_id(id);
      break;
    case wire::FromPmix::kNames:
      message.mutable_names()->set_id(id);
      break;
    case wire::FromPmix::kSpawn:
      message.mutable_spawn()->set_id(id);
      break;
    default:
      return std::move(message);
  }
  ++state_->next_id;
  state_->waiting.emplace(id, event->waiting);
  return std::move(message);
}

namespace {
void give(pmix_modex_cbfunc_t answer, void* answer_data, std::int32_t status, std::string data) {
  auto* const kept = new std::string(std::move(data));  // until the library lets go of it
  answer(
      status, kept->empty() ? nullptr : kept->data(), kept->size(), answer_data,
      [](void* pointer) { delete static_cast<std::string*>(pointer); }, kept);
}
}  // namespace

namespace {

// The end of a meeting, in the form that its callers wait for.
void end_meeting(const Waiting& waiting, wire::PmixFenceDone& done) {
  if (waiting.modex != nullptr) {
    give(waiting.modex, waiting.data, done.status(), std::move(*done.mutable_data()));
    return;
  }
  if (waiting.done != nullptr) waiting.done(done.status(), waiting.data);
}

void answer_names(const Waiting& waiting,
                  const wire::PmixNamesDone& done,
                  const std::vector<pmix_proc_t>& publishers) {
  if (waiting.lookup == nullptr) {
    if (waiting.done != nullptr) waiting.done(done.status(), waiting.data);
    return;
  }
  std::vector<pmix_pdata_t> found;
  for (int i = 0; i < done.found_size(); ++i) {
    pmix_pdata_t& data = found.emplace_back();
    PMIX_PDATA_CONSTRUCT(&data);
    data.proc = publishers[static_cast<std::size_t>(i)];
    PMIX_LOAD_KEY(data.key, done.found(i).key().c_str());
    if (!unpack_values(done.found(i).value(), &data.value, PMIX_VALUE, 1)) found.pop_back();
  }
  // The library copies what it needs before it comes back.
  waiting.lookup(done.status(), found.empty() ? nullptr : found.data(), found.size(), waiting.data);
  for (pmix_pdata_t& data : found) PMIX_PDATA_DESTRUCT(&data);
}

struct Notice {
  std::vector<pmix_info_t> infos;
  ~Notice() {
    for (pmix_info_t& info : infos) PMIX_INFO_DESTRUCT(&info);
  }
};

// To the ranks of this node alone: other nodes hear of it from others.
void notify(const wire::PmixEvent& event, const pmix_proc_t& source) {
  if (event.info_count() > event.infos().size()) return;  // each has at least a byte
  auto notice = std::make_unique<Notice>();
  for (std::uint32_t i = 0; i < event.info_count(); ++i) {
    PMIX_INFO_CONSTRUCT(&notice->infos.emplace_back());
  }
  if (!notice->infos.empty() && !unpack_values(event.infos(), notice->infos.data(), PMIX_INFO,
                                               static_cast<std::int32_t>(event.info_count()))) {
    return;
  }
  Notice* const kept = notice.release();
  const auto over = [](pmix_status_t, void* data) { delete static_cast<Notice*>(data); };
  const pmix_status_t status = PMIx_Notify_event(
      event.code(), &source, PMIX_RANGE_LOCAL, kept->infos.data(), kept->infos.size(), over, kept);
  if (status != PMIX_SUCCESS) delete kept;
}

}  // namespace

std::optional<wire::FromPmix> PmixServer::on(wire::ToPmix message) {
  const auto extract = [&](std::uint64_t id) -> std::optional<Waiting> {
    const auto waiting = state_->waiting.extract(id);
    return waiting ? std::optional(waiting.mapped()) : std::nullopt;
  };
  if (message.has_fence_done()) {
    if (const auto waiting = extract(message.fence_done().id())) {
      end_meeting(*waiting, *message.mutable_fence_done());
    }
  } else if (message.has_modex_answer()) {
    wire::PmixModexAnswer& answer = *message.mutable_modex_answer();
    const auto waiting = extract(answer.id());
    if (waiting && waiting->modex != nullptr) {
      give(waiting->modex, waiting->data, answer.status(), std::move(*answer.mutable_data()));
    }
  } else if (message.has_names_done()) {
    std::vector<pmix_proc_t> publishers;
    for (const wire::PmixName& name : message.names_done().found()) {
      publishers.push_back(
          state_->find_proc(name.rank()).value_or(make_proc(state_->name_space, name.rank())));
    }
    if (const auto waiting = extract(message.names_done().id())) {
      answer_names(*waiting, message.names_done(), publishers);
    }
  } else if (message.has_spawn_done()) {
    const auto waiting = extract(message.spawn_done().id());
    if (!waiting || waiting->spawn == nullptr) return std::nullopt;
    pmix_nspace_t name;
    PMIX_LOAD_NSPACE(name, cat(state_->name_space, message.spawn_done().name_space()).c_str());
    waiting->spawn(message.spawn_done().status(), name, waiting->data);
  } else if (message.has_event()) {
    if (const auto source = state_->find_proc(message.event().rank())) {
      notify(message.event(), *source);
    }
  } else if (message.has_add_world()) {
    return add_world(message.add_world());
  } else if (message.has_modex_ask()) {
    return ask_rank(message.modex_ask());
  }
  return std::nullopt;
}

std::optional<wire::FromPmix> PmixServer::ask_rank(const wire::PmixModexAsk& ask) {
  auto id = std::make_unique<std::uint64_t>(ask.id());
  const auto proc = state_->find_proc(ask.rank());
  const pmix_status_t status =
      proc ? PMIx_server_dmodex_request(&*proc, on_modex_known, id.get()) : PMIX_ERR_NOT_FOUND;
  if (status == PMIX_SUCCESS) {
    (void)id.release();  // on_modex_known() owns it
    return std::nullopt;
  }
  wire::FromPmix answer;
  answer.mutable_modex_answer()->set_id(*id);
  answer.mutable_modex_answer()->set_status(status);
  return answer;
}

wire::FromPmix PmixServer::add_world(const wire::PmixWorld& world) {
  wire::FromPmix answer;
  wire::PmixWorldReady& ready = *answer.mutable_world_ready();
  ready.set_first(world.first());
  if (const Result<void> done = register_world(world, ready); !done) {
    log_error("world_not_registered", {{"why", done.error().message()}});
    ready.clear_ranks();
    ready.set_status(PMIX_ERR_OUT_OF_RESOURCE);
  }
  return answer;
}

Result<void> PmixServer::register_world(const wire::PmixWorld& world, wire::PmixWorldReady& ready) {
  const wire::PmixSetup& setup = state_->setup;
  const std::string name = cat(state_->name_space, world_suffix(world.first(), world.count()));
  if (name.size() > PMIX_MAX_NSLEN) return Error(ErrorKind::Invalid, "the name is too long");
  RankRange local;
  wire::PmixSetup part;  // nodes and ranks as the library knows them: from 0
  for (const wire::PmixBlock& block : world.blocks()) {
    if (static_cast<int>(block.node_index()) >= setup.nodes_size() || block.count() == 0) {
      return Error(ErrorKind::Invalid, "blocks of ranks");
    }
    const std::uint32_t first = block.first() - world.first();
    part.add_nodes(setup.nodes(static_cast<int>(block.node_index())));
    part.add_ranks_of_node(cat(first, '-', first + block.count() - 1));
    if (block.node_index() == setup.node_index()) local = {first, block.count()};
  }
  GANGWAY_ASSIGN(const std::string node_map, compress(PMIx_generate_regex, node_list(part)));
  GANGWAY_ASSIGN(const std::string rank_map, compress(PMIx_generate_ppn, rank_list(part)));
  InfoList infos;
  infos.add(PMIX_NODE_MAP, node_map);
  infos.add(PMIX_PROC_MAP, rank_map);
  infos.add(PMIX_UNIV_SIZE, callee().universe);
  infos.add(PMIX_JOB_SIZE, world.count());
  infos.add(PMIX_MAX_PROCS, world.count());
  infos.add(PMIX_JOB_NUM_APPS, static_cast<std::uint32_t>(world.apps_size()));
  infos.add(PMIX_NUM_NODES, static_cast<std::uint32_t>(world.blocks_size()));
  if (local.count > 0) infos.add(PMIX_LOCAL_SIZE, local.count);
  infos.add_true(PMIX_SPAWNED);
  if (const auto parent = state_->find_proc(world.parent())) infos.add(PMIX_PARENT_ID, *parent);
  pmix_status_t status = PMIx_server_register_nspace(name.c_str(), static_cast<int>(local.count),
                                                     infos.data(), infos.size(), nullptr, nullptr);
  if (!is_success(status)) return refused("register spawned ranks", status);
  state_->worlds.push_back({{world.first(), world.count()}, name});
  for (std::uint32_t i = 0; i < local.count; ++i) {
    const pmix_proc_t proc = make_proc(name, local.first + i);
    status =
        PMIx_server_register_client(&proc, setup.uid(), setup.gid(), nullptr, nullptr, nullptr);
    if (!is_success(status)) return refused("register a spawned rank", status);
    GANGWAY_ASSIGN(*ready.add_ranks(), environment_of(proc, world.first() + local.first + i));
  }
  return {};
}

void PmixServer::finalize() {
  PMIx_server_deregister_nspace(state_->name_space.c_str(), nullptr, nullptr);
  PMIx_server_finalize();
}

}  // namespace gangway::executor
