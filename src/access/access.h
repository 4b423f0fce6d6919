// Who asks: from the key or token that a request brings to its Caller. The module's door.
#pragma once

#include "access/key_book.h"  // IWYU pragma: export
#include "access/office.h"    // IWYU pragma: export
#include "access/refused.h"   // IWYU pragma: export
#include "access/tokens.h"    // IWYU pragma: export
