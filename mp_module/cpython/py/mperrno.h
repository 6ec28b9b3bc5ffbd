// This file is part of rnnpool. MIT licence, see LICENSE.
//
// In the place of MicroPython's header of this name: ../port.h has what the binding uses of it.
