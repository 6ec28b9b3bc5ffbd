# rnnpool as a MicroPython user C module, for ports that build with CMake (esp32, rp2, ...):
#
#     make -C ports/<port> USER_C_MODULES=<this repository>/mp_module/micropython.cmake [CMAKE_ARGS=-DRNNPOOL_MODELS=face]
#
# RNNPOOL_MODELS: the models built into the firmware (names of files in models/, or absolute paths), separated by ";";
# may be empty.
# RNNPOOL_WITHOUT: kinds of operator that no model needs, left out of the firmware, e.g. "RNNPOOL;DETECT_HEAD".

set(RNNPOOL_MODELS "face" CACHE STRING "Models built into the firmware")

set(RNNPOOL_WITHOUT "" CACHE STRING "Kinds of operator that are left out")

set(RNNPOOL_DIR ${CMAKE_CURRENT_LIST_DIR})
set(RNNPOOL_EMBED ${RNNPOOL_DIR}/../tools/embed_models.py)
set(RNNPOOL_BUILTIN ${CMAKE_CURRENT_BINARY_DIR}/rnnpool_builtin_models.c)
file(GLOB RNNPOOL_ENGINE CONFIGURE_DEPENDS ${RNNPOOL_DIR}/engine/*.c ${RNNPOOL_DIR}/engine/*/*.c)
file(GLOB RNNPOOL_BINDING CONFIGURE_DEPENDS ${RNNPOOL_DIR}/binding/*.c)
file(GLOB RNNPOOL_BLOBS CONFIGURE_DEPENDS ${RNNPOOL_DIR}/../models/*.rnnp)

# When configuring, not when building: MicroPython scans the sources of user modules before anything is built.
if(NOT Python3_EXECUTABLE)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
endif()
execute_process(
    COMMAND ${Python3_EXECUTABLE} ${RNNPOOL_EMBED} --output ${RNNPOOL_BUILTIN} ${RNNPOOL_MODELS}
    RESULT_VARIABLE RNNPOOL_FAILED
)
if(RNNPOOL_FAILED)
    message(FATAL_ERROR "rnnpool: the models (${RNNPOOL_MODELS}) could not be embedded")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${RNNPOOL_EMBED} ${RNNPOOL_BLOBS})

# The kernels are where the time goes: -O2 even in a port that is built for size, and the rest small even in another.
file(GLOB RNNPOOL_KERNELS CONFIGURE_DEPENDS ${RNNPOOL_DIR}/engine/kernels/portable.c ${RNNPOOL_DIR}/engine/arch/*.c)
set(RNNPOOL_FLAGS ${RNNPOOL_WITHOUT})
list(TRANSFORM RNNPOOL_FLAGS REPLACE "(.+)" "-DRNNP_WITH_\\1=0")
set_source_files_properties(${RNNPOOL_ENGINE} PROPERTIES COMPILE_OPTIONS "-Os;${RNNPOOL_FLAGS}")
set_source_files_properties(${RNNPOOL_KERNELS} PROPERTIES COMPILE_OPTIONS -O2)

add_library(usermod_rnnpool INTERFACE)
target_sources(usermod_rnnpool INTERFACE ${RNNPOOL_BINDING} ${RNNPOOL_ENGINE} ${RNNPOOL_BUILTIN})
target_include_directories(usermod_rnnpool INTERFACE ${RNNPOOL_DIR})
target_link_libraries(usermod INTERFACE usermod_rnnpool)
