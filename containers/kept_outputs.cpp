#include "containers/kept_outputs.hpp"

#include <algorithm>
#include <utility>

namespace gangway::containers {

void KeptOutputs::keep(const std::vector<ProgramOutput>& outputs, std::vector<Fd> opened) {
  for (std::size_t i = 0; i < opened.size(); ++i) kept_[outputs[i].path] = std::move(opened[i]);
}

std::vector<Fd> KeptOutputs::take(const std::vector<UserFile>& files) {
  const auto is_kept = [&](const UserFile& file) {
    return file.mode == UserFile::Mode::Append && kept_.contains(file.path);
  };
  std::vector<Fd> taken;
  if (files.empty() || !std::ranges::all_of(files, is_kept)) return taken;
  for (const UserFile& file : files) taken.push_back(std::move(kept_.extract(file.path).mapped()));
  kept_.clear();
  return taken;
}

}  // namespace gangway::containers
