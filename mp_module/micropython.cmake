# rnnpool as a MicroPython user C module, for ports that build with CMake (esp32, rp2, ...):
#
#     make -C ports/<port> BOARD=<board> USER_C_MODULES=<absolute path of this file> [RNNPOOL_MODELS=face,person]
#
# RNNPOOL_MODELS: the models built into the firmware (names of files in models/, or absolute paths), with commas between;
# may be empty. RNNPOOL_WITHOUT: what no model needs, left out of the firmware: kinds of operator and other names of
# engine/left_out.h, e.g. RNNPOOL,DETECT_HEAD,TFLITE; auto: all that none of RNNPOOL_MODELS needs. A model that does is then
# refused by that name.
# Both are read from the environment, to which make passes what stands on its command line, when CMake configures. (Not
# through CMAKE_ARGS: on make's command line it would take the place of the port's own, which name this file and the board.)

set(RNNPOOL_DIR ${CMAKE_CURRENT_LIST_DIR})

if(DEFINED ENV{RNNPOOL_MODELS})
    string(REGEX REPLACE "[, ]+" ";" RNNPOOL_MODELS "$ENV{RNNPOOL_MODELS}")
elseif(NOT DEFINED RNNPOOL_MODELS AND EXISTS ${RNNPOOL_DIR}/../models/face.rnnp)
    set(RNNPOOL_MODELS face)
endif()
if(DEFINED ENV{RNNPOOL_WITHOUT})
    string(REGEX REPLACE "[, ]+" ";" RNNPOOL_WITHOUT "$ENV{RNNPOOL_WITHOUT}")
endif()
message(STATUS "rnnpool: models in the firmware: ${RNNPOOL_MODELS}")

set(RNNPOOL_EMBED ${RNNPOOL_DIR}/embed_models.py)
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
if(RNNPOOL_WITHOUT)
    execute_process(
        COMMAND ${Python3_EXECUTABLE} ${RNNPOOL_EMBED} --without "${RNNPOOL_WITHOUT}" ${RNNPOOL_MODELS}
        OUTPUT_VARIABLE RNNPOOL_WITHOUT
        OUTPUT_STRIP_TRAILING_WHITESPACE
        RESULT_VARIABLE RNNPOOL_FAILED
    )
    if(RNNPOOL_FAILED)
        message(FATAL_ERROR "rnnpool: what RNNPOOL_WITHOUT=${RNNPOOL_WITHOUT} leaves out could not be found out")
    endif()
    string(REGEX REPLACE "[, ]+" ";" RNNPOOL_WITHOUT "${RNNPOOL_WITHOUT}")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${RNNPOOL_EMBED} ${RNNPOOL_BLOBS})

# The kernels are where the time goes: -O2 even in a port that is built for size, and the rest small even in another.
file(GLOB RNNPOOL_KERNELS CONFIGURE_DEPENDS
     ${RNNPOOL_DIR}/engine/kernels/portable*.c ${RNNPOOL_DIR}/engine/arch/*.c ${RNNPOOL_DIR}/engine/frame/*.c)
set(RNNPOOL_FLAGS ${RNNPOOL_WITHOUT})
list(TRANSFORM RNNPOOL_FLAGS REPLACE "(.+)" "-DRNNP_WITH_\\1=0")
set_source_files_properties(${RNNPOOL_BINDING} PROPERTIES COMPILE_OPTIONS "${RNNPOOL_FLAGS}")
set_source_files_properties(${RNNPOOL_ENGINE} PROPERTIES COMPILE_OPTIONS "-Os;${RNNPOOL_FLAGS}")
set_source_files_properties(${RNNPOOL_KERNELS} PROPERTIES COMPILE_OPTIONS "-O2;${RNNPOOL_FLAGS}")

add_library(usermod_rnnpool INTERFACE)
target_sources(usermod_rnnpool INTERFACE ${RNNPOOL_BINDING} ${RNNPOOL_ENGINE} ${RNNPOOL_BUILTIN})
target_include_directories(usermod_rnnpool INTERFACE ${RNNPOOL_DIR})
target_link_libraries(usermod INTERFACE usermod_rnnpool)
