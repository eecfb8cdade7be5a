/*
 * Two GSS-API libraries in one process. This file is compiled twice: as a shared library over MIT's (SIDE is mit), and with MAIN as a
 * program over ours (SIDE is baton), which has that shared library in it. Each side calls what it was linked with, by the same names;
 * the program has both make a context with one another, each as initiator and as acceptor, and pass messages.
 */
#include <gssapi/gssapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN(side, name) side##_##name
#define OF(side, name) JOIN(side, name)

struct party {
    void *wrap; /* where this side's gss_wrap is */
    int (*begin)(const char *service);
    int (*step)(const gss_buffer_desc *in, gss_buffer_desc *out); /* 0 done, 1 to be continued, -1 failed */
    int (*seal)(const char *message, gss_buffer_desc *out);
    int (*opens)(gss_buffer_desc *token, const char *message);
};

static gss_ctx_id_t context;
static gss_name_t target;

/* SERVICE is whom to initiate a context with; null is to accept one. */
static int begin(const char *service) {
    OM_uint32 minor;
    gss_buffer_desc name;
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    target = GSS_C_NO_NAME;
    if (!service) return 0;
    name.value = (void *)service;
    name.length = strlen(service);
    return gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target) == GSS_S_COMPLETE ? 0 : -1;
}

static int step(const gss_buffer_desc *in, gss_buffer_desc *out) {
    OM_uint32 major, minor;
    gss_buffer_desc token = *in;
    if (target)
        major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &context, target, GSS_C_NO_OID, GSS_C_MUTUAL_FLAG, 0, NULL,
                                     &token, NULL, out, NULL, NULL);
    else
        major = gss_accept_sec_context(&minor, &context, GSS_C_NO_CREDENTIAL, &token, NULL, NULL, NULL, out, NULL, NULL, NULL);
    return GSS_ERROR(major) ? -1 : major == GSS_S_CONTINUE_NEEDED;
}

static int seal(const char *message, gss_buffer_desc *out) {
    OM_uint32 minor;
    gss_buffer_desc in;
    in.value = (void *)message;
    in.length = strlen(message);
    return gss_wrap(&minor, context, 1, GSS_C_QOP_DEFAULT, &in, NULL, out) == GSS_S_COMPLETE ? 0 : -1;
}

static int opens(gss_buffer_desc *token, const char *message) {
    OM_uint32 minor;
    gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
    if (gss_unwrap(&minor, context, token, &out, NULL, NULL) != GSS_S_COMPLETE) return -1;
    if (out.length != strlen(message) || memcmp(out.value, message, out.length)) return -1;
    gss_release_buffer(&minor, &out);
    return 0;
}

struct party OF(SIDE, party)(void);
struct party OF(SIDE, party)(void) {
    struct party party;
    party.wrap = (void *)(size_t)&gss_wrap;
    party.begin = begin;
    party.step = step;
    party.seal = seal;
    party.opens = opens;
    return party;
}

#ifdef MAIN
struct party mit_party(void);

static void check(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void meet(struct party initiator, struct party acceptor, const char *service) {
    gss_buffer_desc none = GSS_C_EMPTY_BUFFER, request = GSS_C_EMPTY_BUFFER, reply = GSS_C_EMPTY_BUFFER, rest = GSS_C_EMPTY_BUFFER;
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
    check(initiator.begin(service) == 0 && acceptor.begin(NULL) == 0, "names");
    check(initiator.step(&none, &request) == 1, "the request");
    check(acceptor.step(&request, &reply) == 0, "the reply");
    check(initiator.step(&reply, &rest) == 0, "the end");
    check(initiator.seal("to the acceptor", &token) == 0, "a message");
    check(acceptor.opens(&token, "to the acceptor") == 0, "a message that is received");
    check(acceptor.seal("to the initiator", &token) == 0, "an answer");
    check(initiator.opens(&token, "to the initiator") == 0, "an answer that is received");
}

int main(int argc, char **argv) {
    struct party ours = baton_party(), theirs = mit_party();
    check(argc == 2, "a service");
    check(ours.wrap != theirs.wrap, "two libraries");
    meet(ours, theirs, argv[1]);
    meet(theirs, ours, argv[1]);
    puts("side by side");
    return 0;
}
#endif
