/*
 * gss_peer.c over the interface of GNU GSS (gss.h), which lacks three of its calls, and with commands for what that has of its own.
 *
 *   without-minor                       ->  ok MAJOR SIZE   (gss_wrap_size_limit without a place for the minor status)
 *   userok USER                         ->  ok 0|1          (whether the initiator may act as the user)
 *   transfer                            ->  ok MAJOR MAJOR  (the context is exported and imported)
 */
#include <gss.h>

#define GSS_PEER_GNU

typedef struct {
    size_t count;
    gss_buffer_desc *elements;
} *gss_buffer_set_t;
#define GSS_C_NO_BUFFER_SET NULL
#define gss_pseudo_random(minor, context, key, in, length, out) \
    ((void)(key), (void)(length), (void)(in), (void)(out), GSS_S_UNAVAILABLE)
#define gss_inquire_sec_context_by_oid(minor, context, oid, set) ((void)(oid), GSS_S_UNAVAILABLE)
#define gss_release_buffer_set(minor, set) ((void)(minor))

#define MORE_COMMANDS(command, a, b, c) gnu(command, a)
static int gnu(const char *command, const char *a);

#include "gss_peer.c"

static int gnu(const char *command, const char *a) {
    OM_uint32 major, minor, size = 0;
    if (!strcmp(command, "without-minor")) {
        major = gss_wrap_size_limit(NULL, context, 1, GSS_C_QOP_DEFAULT, 1000, &size);
        printf("ok %u %u\n", major, size);
    } else if (!strcmp(command, "userok")) {
        gss_name_t source = GSS_C_NO_NAME;
        gss_inquire_context(NULL, context, &source, NULL, NULL, NULL, NULL, NULL, NULL);
        printf("ok %d\n", gss_userok(source, a));
        gss_release_name(NULL, &source);
    } else if (!strcmp(command, "transfer")) {
        gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
        major = gss_export_sec_context(&minor, &context, &token);
        printf("ok %u %u\n", major, gss_import_sec_context(&minor, &token, &context));
        gss_release_buffer(&minor, &token);
    } else
        return 0;
    return 1;
}
