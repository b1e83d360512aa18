// The columns of nodes: sinfo's letters and names (column_format.hpp). Pure.
#pragma once

#include "submit/column_format.hpp"
#include "submit/node_row.hpp"

namespace gangway::submit {

[[nodiscard]] RowColumns<NodeRow> node_columns();

}  // namespace gangway::submit
