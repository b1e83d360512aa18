// Bytes that are filled before they are read, and so are not cleared: a page that nobody writes to
// is never made, and on a virtual machine that is dear.
#pragma once

#include <cstddef>
#include <memory>

namespace gangway {

class RawBuffer {
 public:
  RawBuffer() = default;
  explicit RawBuffer(std::size_t size)
      : bytes_(std::make_unique_for_overwrite<char[]>(size)), size_(size) {}

  [[nodiscard]] char* data() { return bytes_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace gangway
