// Unpacking one layer: decompress, hash, bound; parse; write.
//
// Three processes share the work: one forked child decompresses, one hashes the whole stream, the
// caller parses and writes. A tar reader stops at the end-of-archive blocks, but a layer's diff id
// is the digest of all of its bytes: so the rest is read too. All run in the confined worker, see
// unpack_worker.hpp.
#pragma once

#include "containers/archive_reader.hpp"
#include "containers/image_ref.hpp"
#include "containers/tree_writer.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// Errors: Corrupt (not a tar archive, truncated, another diff id), Invalid (a bound),
// Unsupported. After an error the tree is of no use.
Result<void> unpack_layer(const FileRange& layer,
                          const Digest& diff_id,
                          const UnpackLimits& limits,
                          TreeWriter& writer);

}  // namespace gangway::containers
