/* Memory that callers of GSS-API free: that of malloc. For mechanisms in plug-ins. */
#ifndef GSSAPI_ALLOC_H
#define GSSAPI_ALLOC_H

#include <stdlib.h>
#include <string.h>

/* `inline` is no word of C before 1999; the compilers know this one in every version. */
#define GSSALLOC_FUNCTION static __inline__

GSSALLOC_FUNCTION void gssalloc_free(void *value) { free(value); }

GSSALLOC_FUNCTION void *gssalloc_malloc(size_t size) { return malloc(size); }

GSSALLOC_FUNCTION void *gssalloc_calloc(size_t count, size_t size) { return calloc(count, size); }

GSSALLOC_FUNCTION void *gssalloc_realloc(void *value, size_t size) { return realloc(value, size); }

GSSALLOC_FUNCTION char *gssalloc_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    void *copy = malloc(size);
    return copy == NULL ? NULL : (char *)memcpy(copy, text, size);
}

#undef GSSALLOC_FUNCTION

#endif
