// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a firmware may leave out, by -DRNNP_WITH_<NAME>=0 (RNNPOOL_WITHOUT=<NAME>, or auto for all that its built-in models
// do without: embed_models.py). A blob, or a frame, that needs it is refused by that name.
#ifndef RNNP_LEFT_OUT_H
#define RNNP_LEFT_OUT_H

// ---- Kinds of operator

#ifndef RNNP_WITH_CONV
#define RNNP_WITH_CONV (1)
#endif
#ifndef RNNP_WITH_RNNPOOL
#define RNNP_WITH_RNNPOOL (1)
#endif
#ifndef RNNP_WITH_INVERTED_RESIDUAL
#define RNNP_WITH_INVERTED_RESIDUAL (1)
#endif
#ifndef RNNP_WITH_DETECT_HEAD // and detections
#define RNNP_WITH_DETECT_HEAD (1)
#endif
#ifndef RNNP_WITH_GLOBAL_AVERAGE_POOL
#define RNNP_WITH_GLOBAL_AVERAGE_POOL (1)
#endif
#ifndef RNNP_WITH_DENSE // and probabilities
#define RNNP_WITH_DENSE (1)
#endif
#ifndef RNNP_WITH_DEPTHWISE
#define RNNP_WITH_DEPTHWISE (1)
#endif
#ifndef RNNP_WITH_POOL
#define RNNP_WITH_POOL (1)
#endif
#ifndef RNNP_WITH_ADD
#define RNNP_WITH_ADD (1)
#endif
#ifndef RNNP_WITH_CONCAT
#define RNNP_WITH_CONCAT (1)
#endif
#ifndef RNNP_WITH_LOOKUP
#define RNNP_WITH_LOOKUP (1)
#endif
#ifndef RNNP_WITH_MUL
#define RNNP_WITH_MUL (1)
#endif
#ifndef RNNP_WITH_UPSAMPLE
#define RNNP_WITH_UPSAMPLE (1)
#endif
#ifndef RNNP_WITH_L2_NORM
#define RNNP_WITH_L2_NORM (1)
#endif

// ---- What operators of several kinds, or some operators of a kind, need

#ifndef RNNP_WITH_TFLITE // rounding as TensorFlow Lite (flag TFLITE)
#define RNNP_WITH_TFLITE (1)
#endif
#ifndef RNNP_WITH_FINE // biases with fraction bits (flag FINE)
#define RNNP_WITH_FINE (1)
#endif
#ifndef RNNP_WITH_SHIFT // factors of 1/2 and more: a shift of CONV, DEPTHWISE, ADD, MUL
#define RNNP_WITH_SHIFT (1)
#endif
#ifndef RNNP_WITH_ANY_DENSE // dense layers with the flag WIDE, or, but for results, outputs that are no multiple of four
#define RNNP_WITH_ANY_DENSE (1)
#endif
#ifndef RNNP_WITH_ANY_CELL // RNNPOOL beside what operators/rnnpool.c calls a usual cell
#define RNNP_WITH_ANY_CELL (1)
#endif
#ifndef RNNP_WITH_CELL_SHIFT // RNNPOOL with other shifts of W than operators/rnnpool.c calls usual
#define RNNP_WITH_CELL_SHIFT (1)
#endif
#ifndef RNNP_WITH_CLASSES // detectors of several classes
#define RNNP_WITH_CLASSES (1)
#endif
#ifndef RNNP_WITH_CLAMP // outputs that are clamped to less than int8
#define RNNP_WITH_CLAMP (1)
#endif
#ifndef RNNP_WITH_RECOMPUTE // INVERTED_RESIDUAL with channels that are expanded again
#define RNNP_WITH_RECOMPUTE (1)
#endif
#ifndef RNNP_WITH_PROJECT // DEPTHWISE with a projection (flag PROJECT)
#define RNNP_WITH_PROJECT (1)
#endif
#ifndef RNNP_WITH_RGB // models of three channels, and all colours of frames
#define RNNP_WITH_RGB (1)
#endif
#ifndef RNNP_WITH_MATERIALIZE // maps that are kept whole, and so segments (flag MATERIALIZE)
#define RNNP_WITH_MATERIALIZE (1)
#endif

// ---- Checks

// Of what a blob holds, but for its version and checksum. Without them models must be trusted: MicroPython's binding loads
// those alone that are built in.
#ifndef RNNP_WITH_CHECKS
#define RNNP_WITH_CHECKS (1)
#endif

// ---- Tasks, beside those of DETECT_HEAD and DENSE

#ifndef RNNP_WITH_MAP // models whose result is a map
#define RNNP_WITH_MAP (1)
#endif
#ifndef RNNP_WITH_LAYER // operators for scripts
#define RNNP_WITH_LAYER (1)
#endif

// ---- What frames are, and what is asked for them, which no model says: `auto` keeps it

#ifndef RNNP_WITH_YUV // frames in YUYV, UYVY, YUV420
#define RNNP_WITH_YUV (1)
#endif
#ifndef RNNP_WITH_VIEW // a part of a frame (roi), turned and mirrored frames
#define RNNP_WITH_VIEW (1)
#endif
#ifndef RNNP_WITH_LIGHT // gain and bias, given or measured
#define RNNP_WITH_LIGHT (1)
#endif

// ---- What saves some shapes time or memory: without it nothing is refused

#ifndef RNNP_WITH_BY_STEP // RNNPOOL step by step, where that needs less memory than at once (operators/rnnpool.c)
#define RNNP_WITH_BY_STEP (1)
#endif
#ifndef RNNP_WITH_TILE1 // one pixel at the end of a row of an odd number
#define RNNP_WITH_TILE1 (1)
#endif
#ifndef RNNP_WITH_COLUMNS2 // one or two columns at the end of a row of a depthwise convolution
#define RNNP_WITH_COLUMNS2 (1)
#endif
#ifndef RNNP_WITH_TAPS4 // convolutions of one channel by windows four columns wide
#define RNNP_WITH_TAPS4 (1)
#endif

#ifndef RNNP_WITH_FIRST_GRAY // first convolutions: 3x3, stride 2, of one channel to four
#define RNNP_WITH_FIRST_GRAY (1)
#endif
#ifndef RNNP_WITH_FIRST_RGB // the same of three channels, to any number
#define RNNP_WITH_FIRST_RGB (1)
#endif

// ---- What follows

// Operators of several inputs.
#define RNNP_JOINS (RNNP_WITH_ADD || RNNP_WITH_CONCAT || RNNP_WITH_MUL)

// Every model that is accepted is a detector.
#define RNNP_DETECTORS_ONLY (RNNP_WITH_DETECT_HEAD && !RNNP_WITH_DENSE && !RNNP_WITH_MAP && !RNNP_WITH_LAYER)

#endif // RNNP_LEFT_OUT_H
