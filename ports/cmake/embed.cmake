# rnnpool_embed(TARGET MODEL.rnnp): makes MODEL_rnnp.h, a C header with the model's bytes, which the target's sources include.

# In the repository, or installed beside this file.
find_file(RNNPOOL_EMBED_MODELS embed_models.py NO_DEFAULT_PATH
          PATHS ${CMAKE_CURRENT_LIST_DIR} ${CMAKE_CURRENT_LIST_DIR}/../../mp_module)

function(rnnpool_embed target model)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    get_filename_component(model ${model} ABSOLUTE)
    get_filename_component(name ${model} NAME_WLE)
    get_source_file_property(made ${model} GENERATED)
    if(NOT made AND (NOT EXISTS ${model} OR IS_DIRECTORY ${model} OR NOT model MATCHES "\\.rnnp$"))
        message(FATAL_ERROR "rnnpool_embed: there is no .rnnp file ${model}")
    elseif(NOT name MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
        message(FATAL_ERROR "rnnpool_embed: ${model}: ${name} is no name for a model (letters, digits and _ only)")
    endif()
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/rnnpool_models)
    add_custom_command(
        OUTPUT ${folder}/${name}_rnnp.h
        COMMAND ${Python3_EXECUTABLE} ${RNNPOOL_EMBED_MODELS} --header --output ${folder}/${name}_rnnp.h ${model}
        DEPENDS ${model} ${RNNPOOL_EMBED_MODELS}
        VERBATIM)
    target_sources(${target} PRIVATE ${folder}/${name}_rnnp.h)
    target_include_directories(${target} PRIVATE ${folder})
endfunction()
