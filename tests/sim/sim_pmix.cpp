#include "tests/sim/sim_pmix.hpp"

#include "queues/base/text.hpp"

namespace gangway::sim {

namespace {

class SimPmixLink final : public executor::PmixLink {
 public:
  SimPmixLink(Process& shepherd, Ledger& ledger, executor::PmixHandler& handler)
      : process_(shepherd),
        ledger_(ledger),
        handler_(handler),
        open_(std::make_shared<bool>(true)) {}
  ~SimPmixLink() override { *open_ = false; }

  Result<Fd> open() override { return Fd{}; }
  void close() override { *open_ = false; }

  void send(const wire::ToPmix& message) override {
    if (!*open_) return;
    if (message.has_setup()) {
      setup_ = message.setup();
      later([this] {
        wire::PmixReady ready;
        for (std::uint32_t rank = 0; rank < setup_.tasks(); ++rank) {
          if (ranks_here(rank)) ready.add_ranks()->set_rank(rank);
        }
        handler_.on_pmix_ready(ready);
        for (const wire::RankEnv& rank : ready.ranks()) {
          wire::PmixRankState state;
          state.set_rank(rank.rank());
          state.set_connected(true);
          handler_.on_pmix_rank_state(state);
        }
        later([this] {
          wire::FromPmix fence;
          fence.mutable_fence()->set_id(1);
          fence.mutable_fence()->set_whole(true);
          fence.mutable_fence()->set_data(cat("<", setup_.node_index(), ">"));
          handler_.on_pmix_exchange(fence);
        });
      });
    } else if (message.has_fence_done() && message.fence_done().status() == 0) {
      const std::string& data = message.fence_done().data();
      for (int node = 0; node < setup_.nodes_size(); ++node) {
        if (data.find(cat("<", node, ">")) == std::string::npos) {
          ledger_.violate(cat("fence of ", setup_.name_space(), " ends without the data of node ",
                              node, ": ", data));
        }
      }
    }
  }

 private:
  void later(std::function<void()> then) {
    const Duration takes{process_.world().rng().between(100'000, 30'000'000)};
    process_.arm(process_.now().boot + takes, [open = open_, then = std::move(then)] {
      if (*open) then();
    });
  }
  [[nodiscard]] bool ranks_here(std::uint32_t rank) const {
    const std::string& range = setup_.ranks_of_node(static_cast<int>(setup_.node_index()));
    const auto dash = range.find('-');
    const auto first = parse_integer<std::uint32_t>(range.substr(0, dash)).value_or(0);
    const auto last = dash == std::string::npos
                          ? first
                          : parse_integer<std::uint32_t>(range.substr(dash + 1)).value_or(first);
    return first <= rank && rank <= last;
  }

  Process& process_;
  Ledger& ledger_;
  executor::PmixHandler& handler_;
  wire::PmixSetup setup_;
  std::shared_ptr<bool> open_;
};

}  // namespace

std::unique_ptr<executor::PmixLink> make_sim_pmix_link(Process& shepherd,
                                                       Ledger& ledger,
                                                       executor::PmixHandler& handler) {
  return std::make_unique<SimPmixLink>(shepherd, ledger, handler);
}

}  // namespace gangway::sim
