// What memory is in use, and what was allocated, by where it was asked for: about one allocation in
// half a mebibyte is written down with its stack, and stands for those that were not (as tcmalloc
// and Go do).
//
// The program's malloc is a step before glibc's: a thread counts its bytes down and looks up when
// they are used up. What is sampled has a size that others seldom have, so that a free() need look
// in the table only for such. All memory stays glibc's own.
//
// Not of a build with a sanitizer, which has a malloc of its own.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "profile/profile.h"

namespace penstock::profile {

inline constexpr std::size_t kHeapPeriod = 512 * 1024;  // bytes, on average

// From now on. Once, before there are threads; what was allocated before is never seen.
void sample_heap(std::size_t period = kHeapPeriod);

// What is and was in use since then; `not_found` where nothing is sampled.
Result<Profile> heap_profile();

}  // namespace penstock::profile
