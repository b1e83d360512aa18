// Accounts and shares as people see them: asked of the scheduler, printed in the columns of Slurm's
// sshare, and changed by operators.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/client.hpp"
#include "submit/render.hpp"

namespace gangway::submit {

// The root first, each account followed by what is below it.
[[nodiscard]] Result<std::vector<wire::ShareView>> list_shares(Client& client);

// Only these users and accounts and what is above them; an empty list means all.
[[nodiscard]] std::vector<wire::ShareView> select_shares(std::vector<wire::ShareView> rows,
                                                         const std::vector<std::string>& users,
                                                         const std::vector<std::string>& accounts);

// As `sshare -l`: what does not apply is empty, usage is cut to whole numbers.
[[nodiscard]] std::string render_shares(const std::vector<wire::ShareView>& rows,
                                        const TableStyle& style);
// As `sshare -l -P`: separated by "|".
[[nodiscard]] std::string render_shares_parsable(const std::vector<wire::ShareView>& rows,
                                                 bool header);
[[nodiscard]] std::string render_shares_json(const std::vector<wire::ShareView>& rows);

}  // namespace gangway::submit
