/*
 * A GSS-API party that is driven over standard input: one command a line, one answer a line, byte strings in hex ("-" is
 * the empty one). It is compiled once against MIT krb5 and once against Heimdal, and sees every token pass through the
 * test's hands, which can so keep, alter, repeat and reorder them.
 *
 *   initiate TARGET FLAGS BINDINGS      ->  TARGET a host-based service, FLAGS a decimal mask of GSS_C_*_FLAG
 *   accept BINDINGS
 *   step TOKEN                          ->  ok|continue|failed MAJOR MINOR TOKEN TEXT
 *   wrap CONF MESSAGE                   ->  ok MAJOR CONF TOKEN
 *   unwrap TOKEN                        ->  ok MAJOR CONF MESSAGE
 *   mic MESSAGE                         ->  ok MAJOR TOKEN
 *   verify MESSAGE TOKEN                ->  ok MAJOR
 *   limit CONF SIZE                     ->  ok MAJOR SIZE
 *   inquire                             ->  ok MAJOR FLAGS LIFETIME SOURCE TARGET
 *   prf KEY LENGTH INPUT                ->  ok MAJOR OUTPUT   (KEY 0 is full, 1 partial)
 *   oid OID                             ->  ok MAJOR BUFFER...   (gss_inquire_sec_context_by_oid, the OID's bytes in hex)
 *   process TOKEN                       ->  ok MAJOR
 *   delegated                           ->  ok MAJOR NAME   (of what the acceptor was given)
 *   use-delegated                       ->  ok MAJOR   (from here on it initiates with that)
 *   mechanism OID                       ->  ok   (from here on it initiates with that, the OID's bytes in hex)
 *   neg USAGE OID OID                   ->  ok MAJOR   (it negotiates among these, as "initiate" or "accept": gss_set_neg_mechs)
 *   bench OPERATION SIZE COUNT          ->  ok NANOSECONDS   (see bench_message)
 *   reset
 *
 * It initiates with Kerberos, or with SPNEGO if GSS_PEER_SPNEGO is in the environment; it accepts either.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef GSS_PEER_GNU /* which has included GNU's header */
#include <gssapi/gssapi.h>
#endif
#ifdef _GSSAPI_H_
#include <gssapi/gssapi_ext.h> /* what Heimdal has in its gssapi.h */
#endif

#define LINE (16 * 1024 * 1024)

/* Where another file includes this one and has more commands: whether it knew the command. */
#ifndef MORE_COMMANDS
#define MORE_COMMANDS(command, a, b, c) 0
#endif

static gss_ctx_id_t context = GSS_C_NO_CONTEXT;
static gss_name_t target = GSS_C_NO_NAME;
static gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
static gss_cred_id_t delegated = GSS_C_NO_CREDENTIAL;
static int is_initiator;
static OM_uint32 wanted_flags;
static struct gss_channel_bindings_struct bindings_storage;
static gss_channel_bindings_t bindings = GSS_C_NO_CHANNEL_BINDINGS;
static gss_OID_desc krb5 = {9, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc spnego = {6, (void *)"\x2b\x06\x01\x05\x05\x02"};
static gss_OID mechanism = &krb5;
static gss_OID_desc hostbased = {10, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"};

static int digit(int c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static gss_buffer_desc from_hex(const char *text) {
    gss_buffer_desc out = {0, malloc(strlen(text ? text : "") / 2 + 1)};
    if (!text) return out;
    for (; digit(text[0]) >= 0 && digit(text[1]) >= 0; text += 2)
        ((unsigned char *)out.value)[out.length++] = (unsigned char)(digit(text[0]) << 4 | digit(text[1]));
    return out;
}

static void print_hex(const gss_buffer_desc *bytes) {
    static const char digits[] = "0123456789abcdef";
    size_t i;
    if (bytes->length == 0) putchar('-');
    for (i = 0; i < bytes->length; i++) {
        unsigned char byte = ((unsigned char *)bytes->value)[i];
        putchar(digits[byte >> 4]);
        putchar(digits[byte & 15]);
    }
}

static void print_status_text(OM_uint32 code, int type) {
    OM_uint32 minor, more = 0;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    size_t i;
    if (GSS_ERROR(gss_display_status(&minor, code, type, mechanism, &more, &text))) return;
    for (i = 0; i < text.length; i++) {
        char c = ((char *)text.value)[i];
        putchar(c == '\n' ? ' ' : c);
    }
    gss_release_buffer(&minor, &text);
}

static void set_bindings(const char *hex) {
    bindings = GSS_C_NO_CHANNEL_BINDINGS;
    if (!hex || !strcmp(hex, "-")) return;
    memset(&bindings_storage, 0, sizeof bindings_storage);
    bindings_storage.initiator_addrtype = GSS_C_AF_UNSPEC;
    bindings_storage.acceptor_addrtype = GSS_C_AF_UNSPEC;
    bindings_storage.application_data = from_hex(hex);
    bindings = &bindings_storage;
}

static void reset(void) {
    OM_uint32 minor;
    gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
    if (target) gss_release_name(&minor, &target);
}

static OM_uint32 prepare(const char *service, const char *flags, const char *channel) {
    OM_uint32 minor;
    gss_buffer_desc name;
    reset();
    is_initiator = 1;
    wanted_flags = (OM_uint32)strtoul(flags ? flags : "0", NULL, 10);
    set_bindings(channel);
    name.value = (void *)service;
    name.length = strlen(service);
    return gss_import_name(&minor, &name, &hostbased, &target);
}

static void step(const char *hex) {
    OM_uint32 major, minor = 0, ignored;
    gss_buffer_desc in = from_hex(hex), out = GSS_C_EMPTY_BUFFER;
    if (is_initiator)
        major = gss_init_sec_context(&minor, credential, &context, target, mechanism, wanted_flags, 0, bindings,
                                     in.length ? &in : GSS_C_NO_BUFFER, NULL, &out, NULL, NULL);
    else
        major = gss_accept_sec_context(&minor, &context, credential, &in, bindings, NULL, NULL, &out, NULL, NULL, &delegated);
    printf("%s %u %u ", GSS_ERROR(major) ? "failed" : major & GSS_S_CONTINUE_NEEDED ? "continue" : "ok", major, minor);
    print_hex(&out);
    if (GSS_ERROR(major)) {
        putchar(' ');
        print_status_text(major, GSS_C_GSS_CODE);
        putchar(' ');
        print_status_text(minor, GSS_C_MECH_CODE);
    }
    putchar('\n');
    gss_release_buffer(&ignored, &out);
    free(in.value);
}

static void wrap(const char *conf, const char *hex) {
    OM_uint32 major, minor;
    int conf_state = 0;
    gss_buffer_desc in = from_hex(hex), out = GSS_C_EMPTY_BUFFER;
    major = gss_wrap(&minor, context, atoi(conf), GSS_C_QOP_DEFAULT, &in, &conf_state, &out);
    printf("ok %u %d ", major, conf_state);
    print_hex(&out);
    putchar('\n');
    gss_release_buffer(&minor, &out);
    free(in.value);
}

static void unwrap(const char *hex) {
    OM_uint32 major, minor;
    int conf_state = 0;
    gss_buffer_desc in = from_hex(hex), out = GSS_C_EMPTY_BUFFER;
    major = gss_unwrap(&minor, context, &in, &out, &conf_state, NULL);
    printf("ok %u %d ", major, conf_state);
    print_hex(&out);
    putchar('\n');
    gss_release_buffer(&minor, &out);
    free(in.value);
}

static void mic(const char *hex) {
    OM_uint32 major, minor;
    gss_buffer_desc in = from_hex(hex), out = GSS_C_EMPTY_BUFFER;
    major = gss_get_mic(&minor, context, GSS_C_QOP_DEFAULT, &in, &out);
    printf("ok %u ", major);
    print_hex(&out);
    putchar('\n');
    gss_release_buffer(&minor, &out);
    free(in.value);
}

static void verify(const char *message, const char *token) {
    OM_uint32 minor;
    gss_buffer_desc in = from_hex(message), signature = from_hex(token);
    printf("ok %u\n", gss_verify_mic(&minor, context, &in, &signature, NULL));
    free(in.value);
    free(signature.value);
}

static void limit(const char *conf, const char *size) {
    OM_uint32 major, minor, max = 0;
    major = gss_wrap_size_limit(&minor, context, atoi(conf), GSS_C_QOP_DEFAULT, (OM_uint32)strtoul(size, NULL, 10), &max);
    printf("ok %u %u\n", major, max);
}

static void print_name(gss_name_t name) {
    OM_uint32 minor;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    if (name) gss_display_name(&minor, name, &text, NULL);
    printf(" %.*s", text.length ? (int)text.length : 1, text.length ? (char *)text.value : "-");
    gss_release_buffer(&minor, &text);
}

static void inquire(void) {
    OM_uint32 major, minor, lifetime = 0, flags = 0;
    gss_name_t source = GSS_C_NO_NAME, other = GSS_C_NO_NAME;
    major = gss_inquire_context(&minor, context, &source, &other, &lifetime, NULL, &flags, NULL, NULL);
    printf("ok %u %u %u", major, flags, lifetime);
    print_name(source);
    print_name(other);
    putchar('\n');
    if (source) gss_release_name(&minor, &source);
    if (other) gss_release_name(&minor, &other);
}

static void prf(const char *key, const char *length, const char *hex) {
    OM_uint32 major, minor;
    gss_buffer_desc in = from_hex(hex), out = GSS_C_EMPTY_BUFFER;
    major = gss_pseudo_random(&minor, context, atoi(key), &in, atoi(length), &out);
    printf("ok %u ", major);
    print_hex(&out);
    putchar('\n');
    gss_release_buffer(&minor, &out);
    free(in.value);
}

static void inquire_by_oid(const char *hex) {
    OM_uint32 major, minor;
    size_t i;
    gss_buffer_desc bytes = from_hex(hex);
    gss_OID_desc oid = {(OM_uint32)bytes.length, bytes.value};
    gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
    major = gss_inquire_sec_context_by_oid(&minor, context, &oid, &set);
    printf("ok %u", major);
    for (i = 0; set && i < set->count; i++) {
        putchar(' ');
        print_hex(&set->elements[i]);
    }
    putchar('\n');
    gss_release_buffer_set(&minor, &set);
    free(bytes.value);
}

static void process(const char *hex) {
    OM_uint32 minor;
    gss_buffer_desc in = from_hex(hex);
    printf("ok %u\n", gss_process_context_token(&minor, context, &in));
    free(in.value);
}

static void inquire_delegated(void) {
    OM_uint32 major, minor;
    gss_name_t name = GSS_C_NO_NAME;
    if (!delegated) {
        printf("ok %u -\n", (OM_uint32)GSS_S_NO_CRED);
        return;
    }
    major = gss_inquire_cred(&minor, delegated, &name, NULL, NULL, NULL);
    printf("ok %u", major);
    print_name(name);
    putchar('\n');
    if (name) gss_release_name(&minor, &name);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

/* "wrap": COUNT messages of SIZE bytes with confidentiality. "transfer": COUNT exports and imports of the context. */
static void bench_message(const char *operation, const char *size, const char *count) {
    OM_uint32 minor, failures = 0;
    long i, n = atol(count);
    gss_buffer_desc in, out = GSS_C_EMPTY_BUFFER;
    double start;
    in.length = (size_t)atol(size);
    in.value = calloc(1, in.length + 1);
    start = now();
    for (i = 0; i < n; i++) {
        if (!strcmp(operation, "wrap")) {
            failures += GSS_ERROR(gss_wrap(&minor, context, 1, 0, &in, NULL, &out)) != 0;
            gss_release_buffer(&minor, &out);
        } else {
            failures += GSS_ERROR(gss_export_sec_context(&minor, &context, &out)) != 0;
            failures += GSS_ERROR(gss_import_sec_context(&minor, &out, &context)) != 0;
            gss_release_buffer(&minor, &out);
        }
    }
    printf("%s %.0f\n", failures ? "failed" : "ok", now() - start);
    free(in.value);
}

/* Unwraps tokens that follow, one a line, COUNT of them, and answers with the time spent in gss_unwrap alone. */
static void bench_unwrap(const char *count, char *line) {
    OM_uint32 minor, failures = 0;
    long i, n = atol(count);
    gss_buffer_desc *tokens = calloc((size_t)n, sizeof *tokens), out = GSS_C_EMPTY_BUFFER;
    double start;
    for (i = 0; i < n && fgets(line, LINE, stdin); i++) tokens[i] = from_hex(line);
    start = now();
    for (i = 0; i < n; i++) {
        failures += GSS_ERROR(gss_unwrap(&minor, context, &tokens[i], &out, NULL, NULL)) != 0;
        gss_release_buffer(&minor, &out);
    }
    printf("%s %.0f\n", failures ? "failed" : "ok", now() - start);
    for (i = 0; i < n; i++) free(tokens[i].value);
    free(tokens);
}

/* COUNT contexts between an initiator and an acceptor in this process, mutual, the initiator's ticket in its cache. Both
 * credentials are acquired once: the acceptor's by the command "acquire", the initiator's here. */
static void bench_contexts(const char *service, const char *count) {
    OM_uint32 major, minor, failures = 0;
    long i, n = atol(count);
    double start;
    gss_cred_id_t client = GSS_C_NO_CREDENTIAL;
    failures += GSS_ERROR(prepare(service, "62", "-")) != 0;
    failures += GSS_ERROR(gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET, GSS_C_INITIATE, &client,
                                           NULL, NULL)) != 0;
    start = now();
    for (i = 0; i < n; i++) {
        gss_ctx_id_t here = GSS_C_NO_CONTEXT, there = GSS_C_NO_CONTEXT;
        gss_buffer_desc request = GSS_C_EMPTY_BUFFER, reply = GSS_C_EMPTY_BUFFER, none = GSS_C_EMPTY_BUFFER;
        major = gss_init_sec_context(&minor, client, &here, target, &krb5, 62, 0, NULL, NULL, NULL, &request, NULL, NULL);
        failures += GSS_ERROR(major) != 0;
        major = gss_accept_sec_context(&minor, &there, credential, &request, NULL, NULL, NULL, &reply, NULL, NULL, NULL);
        failures += major != GSS_S_COMPLETE;
        major = gss_init_sec_context(&minor, client, &here, target, &krb5, 62, 0, NULL, &reply, NULL, &none, NULL, NULL);
        failures += major != GSS_S_COMPLETE;
        gss_release_buffer(&minor, &request);
        gss_release_buffer(&minor, &reply);
        gss_release_buffer(&minor, &none);
        gss_delete_sec_context(&minor, &here, NULL);
        gss_delete_sec_context(&minor, &there, NULL);
    }
    printf("%s %.0f\n", failures ? "failed" : "ok", now() - start);
    gss_release_cred(&minor, &client);
}

static void acquire_acceptor(void) {
    OM_uint32 major, minor;
    gss_release_cred(&minor, &credential);
    major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET, GSS_C_ACCEPT, &credential, NULL, NULL);
    printf("ok %u\n", major);
}

static void set_mechanism(const char *hex) {
    static gss_OID_desc other;
    gss_buffer_desc oid = from_hex(hex);
    other.length = (OM_uint32)oid.length;
    other.elements = oid.value;
    mechanism = &other;
    puts("ok 0");
}

static void set_neg_mechs(const char *usage, const char *first, const char *second) {
    OM_uint32 major, minor;
    gss_OID_set_desc negotiated = {1, &spnego};
    gss_OID_set mechanisms;
    const char *oids[2];
    int i;
    oids[0] = first;
    oids[1] = second;
    gss_release_cred(&minor, &credential);
    gss_create_empty_oid_set(&minor, &mechanisms);
    for (i = 0; i < 2 && oids[i]; i++) {
        gss_buffer_desc bytes = from_hex(oids[i]);
        gss_OID_desc oid;
        oid.length = (OM_uint32)bytes.length;
        oid.elements = bytes.value;
        gss_add_oid_set_member(&minor, &oid, &mechanisms);
        free(bytes.value);
    }
    major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &negotiated,
                             strcmp(usage, "accept") ? GSS_C_INITIATE : GSS_C_ACCEPT, &credential, NULL, NULL);
#ifdef _GSSAPI_H_
    if (!GSS_ERROR(major)) major = gss_set_neg_mechs(&minor, credential, mechanisms);
#endif /* Heimdal's library has no such call */
    gss_release_oid_set(&minor, &mechanisms);
    printf("ok %u\n", major);
}

int main(void) {
    char *line = malloc(LINE);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (getenv("GSS_PEER_SPNEGO")) mechanism = &spnego;
    while (fgets(line, LINE, stdin)) {
        char *command = strtok(line, " \n"), *a = strtok(NULL, " \n"), *b = strtok(NULL, " \n"), *c = strtok(NULL, " \n");
        if (!command) continue;
        if (!strcmp(command, "initiate")) printf("ok %u\n", prepare(a, b, c));
        else if (!strcmp(command, "accept")) { reset(); is_initiator = 0; set_bindings(a); puts("ok 0"); }
        else if (!strcmp(command, "acquire")) acquire_acceptor();
        else if (!strcmp(command, "mechanism")) set_mechanism(a);
        else if (!strcmp(command, "neg")) set_neg_mechs(a, b, c);
        else if (!strcmp(command, "step")) step(a);
        else if (!strcmp(command, "wrap")) wrap(a, b);
        else if (!strcmp(command, "unwrap")) unwrap(a);
        else if (!strcmp(command, "mic")) mic(a);
        else if (!strcmp(command, "verify")) verify(a, b);
        else if (!strcmp(command, "limit")) limit(a, b);
        else if (!strcmp(command, "inquire")) inquire();
        else if (!strcmp(command, "prf")) prf(a, b, c);
        else if (!strcmp(command, "oid")) inquire_by_oid(a);
        else if (!strcmp(command, "process")) process(a);
        else if (!strcmp(command, "delegated")) inquire_delegated();
        else if (!strcmp(command, "use-delegated")) { credential = delegated; printf("ok %u\n", delegated ? 0 : (OM_uint32)GSS_S_NO_CRED); }
        else if (!strcmp(command, "bench")) bench_message(a, b, c);
        else if (!strcmp(command, "bench-unwrap")) bench_unwrap(a, line);
        else if (!strcmp(command, "bench-contexts")) bench_contexts(a, b);
        else if (!strcmp(command, "reset")) { reset(); puts("ok 0"); }
        else if (!MORE_COMMANDS(command, a, b, c)) printf("unknown %s\n", command);
        fflush(stdout);
    }
    reset();
    free(line);
    return 0;
}
