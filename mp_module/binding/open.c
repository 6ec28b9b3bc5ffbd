// This file is part of rnnpool. MIT licence, see LICENSE.
//
// What a script gives as a model: a name (in the firmware, in ROMFS, where mip puts files), a path or a buffer.

#include <string.h>

#include "py/mperrno.h"

#include "engine/left_out.h"

#include "binding/binding.h"
#include "binding/builtin_models.h"

static bool find_builtin(rnnpool_source_t *source, const char *name) {
    for (uint32_t i = 0; i < rnnp_builtin_models_len; i++) {
        if (strcmp(rnnp_builtin_models[i].name, name) == 0) {
            rnnpool_source_open_firmware(source, rnnp_builtin_models[i].data, rnnp_builtin_models[i].size);
            return true;
        }
    }
    return false;
}

// Raises OSError (ENOENT) with a sentence.
static MP_NORETURN void raise_missing(mp_obj_t text) {
    // "No such file" alone would not tell which.
    mp_obj_t args[] = { MP_OBJ_NEW_SMALL_INT(MP_ENOENT), text };
    nlr_raise(mp_obj_new_exception_args(&mp_type_OSError, MP_ARRAY_SIZE(args), args));
}

// Whether a str is the name of a model rather than a path.
static bool is_name(mp_obj_t from) {
    size_t len;
    const char *text = mp_obj_str_get_data(from, &len);
    if (memchr(text, 0, len) != NULL) {
        mp_raise_ValueError(MP_ERROR_TEXT("model name or path with a NUL byte"));
    }
    return memchr(text, '/', len) == NULL && memchr(text, '.', len) == NULL;
}

static void open_name(rnnpool_source_t *source, const char *name) {
    if (find_builtin(source, name)) {
        return;
    }
    if (!RNNP_WITH_CHECKS) { // files are not looked for
        raise_missing(rnnpool_new_text("no model '%s' in this firmware", name));
    }
    static const char *const folders[] = { "/rom/", "/lib/", "/flash/lib/" };
    for (size_t i = 0; i < MP_ARRAY_SIZE(folders); i++) {
        if (rnnpool_source_open_file(source, rnnpool_new_text("%s%s.rnnp", folders[i], name))) {
            return;
        }
    }
    raise_missing(
        rnnpool_new_text("no model '%s' in this firmware, and no %s.rnnp in /rom, /lib or /flash/lib", name, name));
}

void rnnpool_source_open(rnnpool_source_t *source, mp_obj_t from) {
    mp_obj_t path = mp_obj_is_str(from) ? from : RNNPOOL_PATH_OF(from);
    if (path == MP_OBJ_NULL) {
        rnnpool_source_open_buffer(source, from);
    } else if (is_name(path) && path == from) {
        open_name(source, mp_obj_str_get_str(path));
    } else if (!rnnpool_source_open_file(source, path)) {
        raise_missing(rnnpool_new_text("no file '%s'", mp_obj_str_get_str(path)));
    }
}

// builtin_models()
static mp_obj_t builtin_models(void) {
    mp_obj_t names = mp_obj_new_tuple(rnnp_builtin_models_len, NULL);
    mp_obj_t *items = rnnpool_empty_items(names);
    for (uint32_t i = 0; i < rnnp_builtin_models_len; i++) {
        items[i] = mp_obj_new_str(rnnp_builtin_models[i].name, strlen(rnnp_builtin_models[i].name));
    }
    return names;
}
MP_DEFINE_CONST_FUN_OBJ_0(rnnpool_builtin_models_obj, builtin_models);
