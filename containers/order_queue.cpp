#include "containers/order_queue.hpp"

#include <algorithm>
#include <utility>

#include "containers/init_protocol.hpp"

namespace gangway::containers {

void OrderQueue::add(std::string order) {
  if (std::ranges::find(waiting_, order) == waiting_.end()) waiting_.push_back(std::move(order));
}

bool OrderQueue::send(int socket) {
  while (!waiting_.empty()) {
    const Result<void> sent = send_packet(socket, waiting_.front(), {}, /*wait=*/false);
    if (!sent && sent.error().kind() == ErrorKind::Exhausted) return false;
    waiting_.pop_front();
  }
  return true;
}

}  // namespace gangway::containers
