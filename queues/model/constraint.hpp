// What a job asks of the features of its nodes: --constraint, read and put in a form that can be
// looked up.
//
// Features are names that a node's operator gives it (skylake, ib, bigmem). The grammar is Slurm's
// as far as it has a meaning here:
//   a&b  a,b     nodes with both            a|b      with one of them, each node for itself
//   (a|b)&c      parentheses                !a       nodes without it (Slurm has no such thing)
//   [a|b]        all nodes have a, or all have b
//   a*2&b*1      two nodes with a and one more with b; [a*2&b*1] says the same
// & binds more than |. Counts and [..|..] stand in a conjunction with the rest: ib&[a|b].
// A node counts once: where two are asked with a and one with b, three nodes are needed.
//
// Source: sbatch(1), --constraint.
// Pure values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway {

inline constexpr std::size_t kMaxConstraintBytes = 1024;
inline constexpr std::size_t kMaxFeatureBytes = 64;
inline constexpr std::size_t kMaxFeaturesOfNode = 128;

// A node that has all of these, and none of those. Both sorted, nothing in both.
struct FeatureTerm {
  std::vector<std::string> all;
  std::vector<std::string> none;
  friend auto operator<=>(const FeatureTerm&, const FeatureTerm&) = default;
  friend bool operator==(const FeatureTerm&, const FeatureTerm&) = default;
};
// A node for which one of these is true; sorted, never empty. One empty term: any node.
using FeatureChoice = std::vector<FeatureTerm>;

struct Constraint {
  // All nodes are of one of these; a single one unless [a|b] was asked for.
  std::vector<FeatureChoice> choices;
  // So many of the nodes are, beside that, of these.
  struct Counted {
    std::int32_t nodes = 0;
    FeatureChoice choice;
    friend bool operator==(const Counted&, const Counted&) = default;
  };
  std::vector<Counted> counted;
  friend bool operator==(const Constraint&, const Constraint&) = default;

  [[nodiscard]] std::int64_t counted_nodes() const;
};

// Errors: Invalid, a clause without the option's name, with the position where it helps; also for
// what no node could ever have ("a&!a"), and for what would expand to too many cases.
[[nodiscard]] Result<Constraint> parse_constraint(std::string_view text);

// Letters, digits and _ - . : = + / @ %, at most kMaxFeatureBytes.
[[nodiscard]] bool is_feature_name(std::string_view name);

// As nodes have them: sorted, each once.
[[nodiscard]] std::vector<std::string> sorted_features(std::vector<std::string> names);

// `features` are sorted.
[[nodiscard]] bool is_satisfied(const FeatureChoice& choice,
                                const std::vector<std::string>& features);

// "a&b|!c"; "" if it is any node.
[[nodiscard]] std::string render_choice(const FeatureChoice& choice);

// All names in it, sorted, each once.
[[nodiscard]] std::vector<std::string> names_in(const Constraint& constraint);

}  // namespace gangway
