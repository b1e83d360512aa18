// PmixLink: the shepherd's end of the dialogue with the PMIx server process of its job and node.
//
// The server (jpmixd) runs as the job's user, so it is not trusted: what it says is bounded, parsed
// here, and handed on as messages; a stream that makes no sense ends the link. A link is used once:
// open(), setup(), then messages both ways until on_pmix_closed(). The interface exists so that the
// simulator can play the server.
//
// One thread, that of the loop; the handler is called from turns of the loop, never from inside a
// call to the link.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "queues/base/fd.hpp"
#include "queues/base/result.hpp"
#include "queues/io/event_loop.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/node.pb.h"

namespace gangway::executor {

class PmixHandler {
 public:
  virtual ~PmixHandler() = default;
  // The environment each local rank must have, in order of ranks. Once.
  virtual void on_pmix_ready(wire::PmixReady ready) = 0;
  // A fence, a modex message or what else concerns others: GangExchange::on_pmix() knows what to do
  // with it.
  virtual void on_pmix_exchange(wire::FromPmix message) = 0;
  // A rank called for the end of all: MPI_Abort(status).
  virtual void on_pmix_abort(wire::PmixAbort abort) = 0;
  // A rank has connected (called MPI_Init) or finalized.
  virtual void on_pmix_rank_state(wire::PmixRankState state) = 0;
  // In answer to a sync: all that ranks had done when it was asked for has been told.
  virtual void on_pmix_synced() {}
  // The server is gone or has been cut off; it said why if it could. The last call, once; not after
  // close().
  virtual void on_pmix_closed(const Error& why) = 0;
};

class PmixLink {
 public:
  virtual ~PmixLink() = default;
  // Makes the socket pair. Returns the server's end, to be inherited by it as descriptor 3 and
  // closed here after its start (an empty Fd in simulation). Errors: Exhausted.
  [[nodiscard]] virtual Result<Fd> open() = 0;
  // Queues a message; dropped when the link is closed. What has been said before the server runs
  // waits for it. A server that lets more than kMaxPmixQueueBytes pile up is cut off.
  virtual void send(const wire::ToPmix& message) = 0;
  // The server sees the end of its input and leaves. The handler hears nothing more.
  virtual void close() = 0;

  void setup(wire::PmixSetup what) {
    wire::ToPmix message;
    *message.mutable_setup() = std::move(what);
    send(message);
  }
};

// Room for four answers of the largest size: more does not pile up before a server that reads.
inline constexpr std::size_t kMaxPmixQueueBytes = 4 * wire::kMaxPayloadBytes;

[[nodiscard]] std::unique_ptr<PmixLink> make_pmix_link(io::EventLoop& loop, PmixHandler& handler);

}  // namespace gangway::executor
