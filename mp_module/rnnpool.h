// This file is part of rnnpool. MIT licence, see LICENSE.
//
// The engine's header by the name of the library, for programs in C and C++ (docs/c.md): CMake, Arduino, PlatformIO, Zephyr.
#ifndef RNNPOOL_H
#define RNNPOOL_H

#include "engine/rnnp.h"

#endif // RNNPOOL_H
