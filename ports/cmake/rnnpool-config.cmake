# For find_package(rnnpool), installed by CMakeLists.txt.
include(${CMAKE_CURRENT_LIST_DIR}/rnnpool-targets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/embed.cmake)
