// OrderQueue: orders for a process that may not read for a while, because it is busy or stands
// still, over a socket whose buffer is small.
//
// Signals do not queue: an order that waits already is not added again, so that no more wait than
// there are different ones. They leave in the order in which they came.
#pragma once

#include <cstddef>
#include <deque>
#include <string>

namespace gangway::containers {

class OrderQueue {
 public:
  void add(std::string order);
  // As many as there is room for; true: none waits any more. To a process that is gone they are
  // lost.
  bool send(int socket);
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  std::deque<std::string> waiting_;
};

}  // namespace gangway::containers
