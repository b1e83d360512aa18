// PmixServer: the PMIx library as a server of one job on one node. Only its .cpp and
// pmix_callbacks.* include pmix_server.h.
//
// The library runs a thread of its own and calls back on it. Nothing is shared with that thread:
// each callback writes a pointer to what happened into a pipe, and the owner's thread takes it out
// with next(). So fd() becoming readable is the only synchronisation, and there is no lock.
//
// The library keeps its state in the process: there is one PmixServer in a process, ever.
#pragma once

#include <memory>
#include <optional>

#include "queues/base/result.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

class PmixServer {
 public:
  // Starts the library and registers the job and its local ranks; blocks for some 20 to 50 ms.
  // Errors: Invalid (the setup contradicts itself), Unavailable (what the library refused).
  [[nodiscard]] static Result<std::unique_ptr<PmixServer>> start(const wire::PmixSetup& setup);
  ~PmixServer();
  PmixServer(const PmixServer&) = delete;
  PmixServer& operator=(const PmixServer&) = delete;

  // The environment of each local rank. Errors: Unavailable.
  [[nodiscard]] Result<wire::PmixReady> rank_environments() const;

  // Readable when next() has something.
  [[nodiscard]] int fd() const;
  // What the ranks want the shepherd to know, in order; nullopt if nothing has happened.
  [[nodiscard]] std::optional<wire::FromPmix> next();
  // All but Setup and Quit. An answer that is known at once is returned.
  [[nodiscard]] std::optional<wire::FromPmix> on(wire::ToPmix message);

  // Ends the library and its thread, and removes its files. Nothing may be called afterwards.
  void finalize();

 private:
  struct State;
  explicit PmixServer(std::unique_ptr<State> state);
  std::optional<wire::FromPmix> ask_rank(const wire::PmixModexAsk& ask);
  wire::FromPmix add_world(const wire::PmixWorld& world);
  Result<void> register_world(const wire::PmixWorld& world, wire::PmixWorldReady& ready);

  std::unique_ptr<State> state_;
};

}  // namespace gangway::executor
