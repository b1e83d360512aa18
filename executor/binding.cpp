#include "executor/binding.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

// The given processors as the machine has them, in logical order.
std::vector<Pu> given_pus(const Topology& topology, const std::vector<int>& given) {
  const std::set<int> wanted(given.begin(), given.end());
  std::vector<Pu> pus;
  std::set<int> known;
  for (const Pu& pu : topology) {
    if (!wanted.contains(pu.os)) continue;
    pus.push_back(pu);
    known.insert(pu.os);
  }
  for (const int os : wanted) {
    if (!known.contains(os)) pus.push_back({.os = os, .core = -1 - os, .socket = -1, .numa = -1});
  }
  return pus;
}

// Deals the processors of a node to its ranks; from the beginning again when none is left.
class Dealer {
 public:
  explicit Dealer(const std::vector<Pu>& pus) : pus_(pus) {
    for (std::size_t i = 0; i < pus.size(); ++i) {
      if (!place_of_.contains(pus[i].socket)) {
        place_of_.emplace(pus[i].socket, sockets_.size());
        sockets_.emplace_back();
      }
      sockets_[place_of_.at(pus[i].socket)].push_back(i);
    }
    refill();
  }

  std::vector<std::size_t> block(std::size_t count) {
    std::vector<std::size_t> dealt;
    for (; count > 0; --count) {
      if (left_ == 0) refill();
      std::size_t socket = 0;
      while (next_[socket] == sockets_[socket].size()) ++socket;
      dealt.push_back(take(socket));
    }
    return dealt;
  }

  // All from one socket if one has so many left: the next in turn.
  std::vector<std::size_t> cyclic(std::size_t count) {
    if (left_ == 0) refill();
    for (std::size_t tried = 0; tried < sockets_.size(); ++tried) {
      const std::size_t socket = (turn_ + tried) % sockets_.size();
      if (sockets_[socket].size() - next_[socket] < count) continue;
      turn_ = (socket + 1) % sockets_.size();
      std::vector<std::size_t> dealt;
      for (; count > 0; --count) dealt.push_back(take(socket));
      return dealt;
    }
    return block(count);  // none has: over several
  }

  std::vector<std::size_t> full_cyclic(std::size_t count) {
    std::vector<std::size_t> dealt;
    for (; count > 0; --count) {
      if (left_ == 0) refill();
      while (next_[turn_] == sockets_[turn_].size()) turn_ = (turn_ + 1) % sockets_.size();
      dealt.push_back(take(turn_));
      turn_ = (turn_ + 1) % sockets_.size();
    }
    return dealt;
  }

 private:
  void refill() {
    next_.assign(sockets_.size(), 0);
    left_ = pus_.size();
  }
  std::size_t take(std::size_t socket) {
    --left_;
    return sockets_[socket][next_[socket]++];
  }

  const std::vector<Pu>& pus_;
  std::map<int, std::size_t> place_of_;
  std::vector<std::vector<std::size_t>> sockets_;  // places in pus_
  std::vector<std::size_t> next_;
  std::size_t left_ = 0;
  std::size_t turn_ = 0;
};

// All given processors that share with one of `dealt` what `of` names.
std::vector<int> widen(const std::vector<Pu>& pus,
                       const std::vector<std::size_t>& dealt,
                       int Pu::*of) {
  std::set<int> touched;
  for (const std::size_t i : dealt) touched.insert(pus[i].*of);
  std::vector<int> cpus;
  for (const Pu& pu : pus) {
    if (touched.contains(pu.*of)) cpus.push_back(pu.os);
  }
  return cpus;
}

}  // namespace

std::vector<std::vector<int>> bind_ranks(const Topology& topology,
                                         const std::vector<int>& given,
                                         const BindRequest& request) {
  const auto ranks = static_cast<std::size_t>(std::max(request.ranks, 0));
  const auto each = static_cast<std::size_t>(std::max(request.cpus_per_task, 1));
  std::vector<std::vector<int>> sets(ranks);
  const std::vector<Pu> pus = given_pus(topology, given);
  BindTo to = request.to;
  if (to == BindTo::Auto) to = ranks * each <= pus.size() ? BindTo::Cores : BindTo::None;
  if (to == BindTo::None || pus.empty()) return sets;
  if (to == BindTo::MapCpu || to == BindTo::MaskCpu) {
    for (std::size_t i = 0; i < ranks && !request.list.empty(); ++i) {
      sets[i] = request.list[i % request.list.size()];
      std::sort(sets[i].begin(), sets[i].end());
    }
    return sets;
  }
  Dealer dealer(pus);
  for (std::vector<int>& set : sets) {
    std::vector<std::size_t> dealt;
    switch (request.distribution) {
      case SocketDistribution::Block:
        dealt = dealer.block(each);
        break;
      case SocketDistribution::Cyclic:
        dealt = dealer.cyclic(each);
        break;
      case SocketDistribution::FullCyclic:
        dealt = dealer.full_cyclic(each);
        break;
    }
    if (to == BindTo::Cores) {
      set = widen(pus, dealt, &Pu::core);
    } else if (to == BindTo::Sockets) {
      set = widen(pus, dealt, &Pu::socket);
    } else if (to == BindTo::Numa) {
      set = widen(pus, dealt, &Pu::numa);
    } else {
      for (const std::size_t i : dealt) set.push_back(pus[i].os);
    }
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
  }
  return sets;
}

std::string render_cpus(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += cat(cpus[i]);
    if (last > i) text += cat('-', cpus[last]);
    i = last + 1;
  }
  return text;
}

Result<std::vector<int>> parse_cpus(std::string_view text) {
  constexpr int kMost = 1 << 16;
  std::vector<int> cpus;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const auto first = parse_integer<int>(part.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : parse_integer<int>(part.substr(dash + 1));
    if (!first || !last || *first < 0 || *last < *first || *last >= kMost) {
      return Error(ErrorKind::Invalid, cat("\"", text, "\" is no list of processors"));
    }
    for (int cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace gangway::executor
