/*
 * gss_peer.c with the calls whose messages lie in several buffers. A buffer is written as its kind's letter and, where it has
 * contents already, a colon and these in hex: H header, D data, S sign-only, P padding, T trailer, X stream, M MIC token. The
 * answer lists the buffers in their order as the call leaves them, for all but those that only it reads.
 *
 *   wrap-iov CONF BUFFER...             ->  ok MAJOR CONF BUFFER...      (header, padding and trailer as long as asked for)
 *   unwrap-iov BUFFER...                ->  ok MAJOR CONF BUFFER...
 *   mic-iov BUFFER...                   ->  ok MAJOR 0 BUFFER...
 *   verify-iov BUFFER...                ->  ok MAJOR 0 BUFFER...
 *   wrap-aead CONF ASSOCIATED MESSAGE   ->  ok MAJOR CONF TOKEN
 *   unwrap-aead ASSOCIATED TOKEN        ->  ok MAJOR CONF MESSAGE
 *
 * And the lucid form, which ends the context; a key is its type and its bytes, and 0 and - where there is none:
 *
 *   lucid  ->  ok MAJOR VERSION INITIATE ENDTIME SEND RECEIVE PROTOCOL SIGN-ALG SEAL-ALG KEY ACCEPTOR-SUBKEY
 *
 * What a library does not have answers with major 0x100000 (GSS_S_UNAVAILABLE).
 */
#define MORE_COMMANDS(command, a, b, c) messages(command, a, b, c)
static int messages(const char *command, const char *a, const char *b, const char *c);

#include "gss_peer.c"

/* The guard of Heimdal's header. */
#ifdef GSSAPI_GSSAPI_H_
#define HAVE_MIC_IOV 0
#define GSS_IOV_BUFFER_TYPE_MIC_TOKEN 12
#else
#include <gssapi/gssapi_ext.h>
#define HAVE_MIC_IOV 1
#endif

#include <gssapi/gssapi_krb5.h>

#define BUFFERS 64
static gss_iov_buffer_desc iov[BUFFERS];
static void *given[BUFFERS];
static int count;

static OM_uint32 type_of(char letter) {
    switch (letter) {
    case 'H': return GSS_IOV_BUFFER_TYPE_HEADER;
    case 'S': return GSS_IOV_BUFFER_TYPE_SIGN_ONLY;
    case 'P': return GSS_IOV_BUFFER_TYPE_PADDING;
    case 'T': return GSS_IOV_BUFFER_TYPE_TRAILER;
    case 'X': return GSS_IOV_BUFFER_TYPE_STREAM;
    case 'M': return GSS_IOV_BUFFER_TYPE_MIC_TOKEN;
    default: return GSS_IOV_BUFFER_TYPE_DATA;
    }
}

static void add_buffer(const char *text) {
    if (!text || count == BUFFERS) return;
    iov[count].type = type_of(text[0]);
    iov[count].buffer = from_hex(text[1] == ':' ? text + 2 : "");
    given[count] = iov[count].buffer.value;
    count++;
}

static void add_the_rest(void) {
    char *next;
    while ((next = strtok(NULL, " \n"))) add_buffer(next);
}

/* Buffers that are still empty get the lengths that they were found to need. */
static void allocate(void) {
    int i;
    for (i = 0; i < count; i++) {
        OM_uint32 type = GSS_IOV_BUFFER_TYPE(iov[i].type);
        if (type == GSS_IOV_BUFFER_TYPE_DATA || type == GSS_IOV_BUFFER_TYPE_SIGN_ONLY) continue;
        iov[i].buffer.value = malloc(iov[i].buffer.length + 1);
    }
}

static void answer(OM_uint32 major, int conf_state) {
    int i;
    printf("ok %u %d", major, conf_state);
    for (i = 0; i < count; i++) {
        putchar(' ');
        print_hex(&iov[i].buffer);
    }
    putchar('\n');
    for (i = 0; i < count; i++) free(given[i]);
    count = 0;
}

static void wrap_iov(int conf) {
    OM_uint32 major, minor;
    int conf_state = 0;
    major = gss_wrap_iov_length(&minor, context, conf, GSS_C_QOP_DEFAULT, &conf_state, iov, count);
    if (!GSS_ERROR(major)) {
        allocate();
        major = gss_wrap_iov(&minor, context, conf, GSS_C_QOP_DEFAULT, &conf_state, iov, count);
    }
    answer(major, conf_state);
}

static void mic_iov(void) {
    OM_uint32 major = GSS_S_UNAVAILABLE;
#if HAVE_MIC_IOV
    OM_uint32 minor;
    major = gss_get_mic_iov_length(&minor, context, GSS_C_QOP_DEFAULT, iov, count);
    if (!GSS_ERROR(major)) {
        allocate();
        major = gss_get_mic_iov(&minor, context, GSS_C_QOP_DEFAULT, iov, count);
    }
#endif
    answer(major, 0);
}

static void verify_iov(void) {
    OM_uint32 major = GSS_S_UNAVAILABLE;
#if HAVE_MIC_IOV
    OM_uint32 minor;
    major = gss_verify_mic_iov(&minor, context, NULL, iov, count);
#endif
    answer(major, 0);
}

static void unwrap_iov(void) {
    OM_uint32 minor, major;
    int conf_state = 0;
    major = gss_unwrap_iov(&minor, context, &conf_state, NULL, iov, count);
    answer(major, conf_state);
}

static void aead(int wrapping, int conf, const char *associated, const char *input) {
    OM_uint32 major, minor;
    int conf_state = 0;
    gss_buffer_desc beside = from_hex(associated), in = from_hex(input), out = GSS_C_EMPTY_BUFFER;
    if (wrapping)
        major = gss_wrap_aead(&minor, context, conf, GSS_C_QOP_DEFAULT, &beside, &in, &conf_state, &out);
    else
        major = gss_unwrap_aead(&minor, context, &in, &beside, &out, &conf_state, NULL);
    printf("ok %u %d ", major, conf_state);
    print_hex(&out);
    putchar('\n');
    gss_release_buffer(&minor, &out);
    free(beside.value);
    free(in.value);
}

static void print_key(const gss_krb5_lucid_key_t *key, int is_there) {
    gss_buffer_desc bytes = {is_there ? key->length : 0, is_there ? key->data : NULL};
    printf(" %u ", is_there ? key->type : 0);
    print_hex(&bytes);
}

static void lucid(void) {
    OM_uint32 minor;
    void *form = NULL;
    OM_uint32 major = gss_krb5_export_lucid_sec_context(&minor, &context, 1, &form);
    printf("ok %u", major);
    if (!GSS_ERROR(major)) {
        const gss_krb5_lucid_context_v1_t *v1 = form;
        int older = v1->protocol == 0;
        printf(" %u %u %u %llu %llu %u %u %u", v1->version, v1->initiate, v1->endtime, (unsigned long long)v1->send_seq,
               (unsigned long long)v1->recv_seq, v1->protocol, v1->rfc1964_kd.sign_alg, v1->rfc1964_kd.seal_alg);
        print_key(older ? &v1->rfc1964_kd.ctx_key : &v1->cfx_kd.ctx_key, 1);
        print_key(&v1->cfx_kd.acceptor_subkey, !older && v1->cfx_kd.have_acceptor_subkey);
        gss_krb5_free_lucid_sec_context(&minor, form);
    }
    putchar('\n');
}

static int messages(const char *command, const char *a, const char *b, const char *c) {
    count = 0;
    if (!strcmp(command, "lucid")) { lucid(); return 1; }
    if (!strcmp(command, "wrap-aead")) { aead(1, atoi(a), b, c); return 1; }
    if (!strcmp(command, "unwrap-aead")) { aead(0, 0, a, b); return 1; }
    if (strcmp(command, "wrap-iov")) add_buffer(a);
    add_buffer(b);
    add_buffer(c);
    if (c) add_the_rest();
    if (!strcmp(command, "wrap-iov")) wrap_iov(atoi(a));
    else if (!strcmp(command, "unwrap-iov")) unwrap_iov();
    else if (!strcmp(command, "mic-iov")) mic_iov();
    else if (!strcmp(command, "verify-iov")) verify_iov();
    else return 0;
    return 1;
}
