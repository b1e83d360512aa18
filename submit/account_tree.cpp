#include "submit/account_tree.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

constexpr std::array<std::string_view, 9> kHeadings = {"Account",      "User",      "RawShares",
                                                       "NormShares",   "RawUsage",  "NormUsage",
                                                       "EffectvUsage", "FairShare", "LevelFS"};

std::string six_digits(double value) {
  if (std::isinf(value)) return "inf";
  std::array<char, 400> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.6f", value);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::array<std::string, 9> cells_of(const wire::ShareView& row) {
  const bool is_root = row.depth() == 0;
  return {cat(std::string(static_cast<std::size_t>(std::clamp(row.depth(), 0, 100)), ' '),
              row.account()),
          row.user(),
          is_root ? std::string() : cat(row.shares()),
          six_digits(row.norm_shares()),
          cat(static_cast<std::int64_t>(row.usage())),
          is_root ? std::string() : six_digits(row.norm_usage()),
          six_digits(row.effective_usage()),
          row.has_factor() ? six_digits(row.factor()) : std::string(),
          row.has_level_share() ? six_digits(row.level_share()) : std::string()};
}

}  // namespace

Result<std::vector<wire::ShareView>> list_shares(Client& client) {
  wire::Request request;
  request.mutable_list_shares();
  std::vector<wire::ShareView> rows;
  GANGWAY_TRY(client.exchange({&request, 1}, kReplyDeadline, [&](wire::Response&& response) {
    for (wire::ShareView& row : *response.mutable_shares()->mutable_rows()) {
      rows.push_back(std::move(row));
    }
  }));
  return rows;
}

std::vector<wire::ShareView> select_shares(std::vector<wire::ShareView> rows,
                                           const std::vector<std::string>& users,
                                           const std::vector<std::string>& accounts) {
  const auto among = [](const std::vector<std::string>& list, const std::string& what) {
    return list.empty() || std::ranges::find(list, what) != list.end();
  };
  if (users.empty() && accounts.empty()) return rows;
  // From the end: an account stays if it is named or something below it does.
  std::vector<wire::ShareView> kept;
  int needed = -1;  // the rows above the last kept one, as far as this depth, stay too
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    const bool named = row->user().empty()
                           ? users.empty() && !accounts.empty() && among(accounts, row->account())
                           : among(users, row->user()) && among(accounts, row->account());
    if (!named && row->depth() >= needed) continue;
    needed = row->depth();
    kept.push_back(std::move(*row));
  }
  std::ranges::reverse(kept);
  return kept;
}

std::string render_shares(const std::vector<wire::ShareView>& rows, const TableStyle& style) {
  std::vector<Column> columns;
  columns.reserve(std::size(kHeadings));
  for (const std::string_view heading : kHeadings) {
    columns.push_back(
        {std::string(heading), columns.size() < 2 ? Align::Left : Align::Right, false});
  }
  Table table(std::move(columns));
  for (const wire::ShareView& row : rows) {
    std::vector<Cell> cells;
    for (std::string& text : cells_of(row)) cells.push_back({std::move(text)});
    table.add(std::move(cells));
  }
  return table.render(style);
}

std::string render_shares_parsable(const std::vector<wire::ShareView>& rows, bool header) {
  std::string out;
  const auto add_line = [&out](const auto& cells) {
    std::string_view separator;
    for (const auto& cell : cells) {
      out += cat(separator, std::string_view(cell));
      separator = "|";
    }
    out += '\n';
  };
  if (header) add_line(kHeadings);
  for (const wire::ShareView& row : rows) add_line(cells_of(row));
  return out;
}

std::string render_shares_json(const std::vector<wire::ShareView>& rows) {
  JsonWriter json;
  // Numbers as texts where they have a fraction: infinity is none of JSON's.
  json.begin_object().key("shares").begin_array();
  for (const wire::ShareView& row : rows) {
    json.begin_object();
    json.field("account", row.account());
    json.field("user", row.user());
    json.field("depth", std::int64_t{row.depth()});
    json.field("shares", std::int64_t{row.shares()});
    json.field("norm_shares", six_digits(row.norm_shares()));
    json.field("usage", static_cast<std::int64_t>(row.usage()));
    json.field("norm_usage", six_digits(row.norm_usage()));
    json.field("effective_usage", six_digits(row.effective_usage()));
    json.key("fair_share");
    row.has_factor() ? json.value(six_digits(row.factor())) : json.null();
    json.key("level_fs");
    row.has_level_share() ? json.value(six_digits(row.level_share())) : json.null();
    json.end_object();
  }
  json.end_array().end_object();
  return cat(json.take(), "\n");
}

}  // namespace gangway::submit
