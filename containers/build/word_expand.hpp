// Variables in a Dockerfile's words: $name, ${name}, ${name:-default} and their relations, quotes
// and escapes taken off, as BuildKit does it.
//
// In a word: '…' keeps everything, "…" expands and knows only \" \$ \\, a bare escape takes the
// next character as it is. ${x-w} ${x:-w} ${x+w} ${x:+w} ${x?w} ${x:?w}; ${x#p} ${x##p} ${x%p}
// ${x%%p} cut the shortest or longest match off the front or the end; ${x/p/w} ${x//p/w} replace
// the first or every match. Patterns have * and ?; with the colon an empty value counts as unset.
//
// Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queues/base/result.hpp"

namespace gangway::containers::build {

using Variables = std::map<std::string, std::string, std::less<>>;

// Errors: Invalid (an open quote or brace, an unknown modifier, ${x:?message}).
[[nodiscard]] Result<std::string> expand_word(std::string_view word,
                                              const Variables& variables,
                                              char escape);
// The same, and blanks outside of quotes, also those that come out of a variable, part the words.
[[nodiscard]] Result<std::vector<std::string>> expand_words(std::string_view text,
                                                            const Variables& variables,
                                                            char escape);
// Variables alone: quotes and escapes are ordinary characters, but for \$. For here-documents.
[[nodiscard]] Result<std::string> expand_text(std::string_view text,
                                              const Variables& variables,
                                              char escape);

}  // namespace gangway::containers::build
