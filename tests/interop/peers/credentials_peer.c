/*
 * What MIT krb5 and Heimdal do with credentials: one call a run, its answer on one line. Byte strings are in hex ("-" is the empty
 * one); a credential store is KEY=VALUE arguments, none is no store.
 *
 *   acquire USAGE NAME STORE...      ->  MAJOR MINOR NAME LIFETIME USAGE TEXT
 *   add USAGE NAME STORE...          ->  MAJOR MINOR TEXT     (to an initiator's default credential)
 *   store OVERWRITE DEFAULT FROM STORE...  ->  MAJOR MINOR TEXT   (FROM is a cache)
 *   export USAGE NAME STORE...       ->  MAJOR TOKEN
 *   import TOKEN TARGET              ->  MAJOR NAME LIFETIME USAGE IMPERSONATOR CONTEXT   (CONTEXT: status of initiating)
 *   select TARGET                    ->  MAJOR NAME           (who initiates with no credential)
 *
 * This Heimdal has no credential stores: what they name is put into its environment instead. USAGE is initiate, accept or both; NAME is a principal, HOSTBASED:service@host, or "-" for none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <gssapi/gssapi.h>
#ifdef _GSSAPI_H_
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#define MIT 1
#else
#include <gssapi/gssapi_krb5.h>
#define MIT 0
#endif

static gss_OID_desc krb5 = {9, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"};
static gss_OID_desc hostbased = {10, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04"};
static gss_OID_desc principal = {10, (void *)"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01"};
static gss_OID_set_desc krb5_alone = {1, &krb5};

static void die(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static gss_name_t import_name(const char *text) {
    OM_uint32 minor;
    gss_name_t name = GSS_C_NO_NAME;
    gss_OID type = &principal;
    gss_buffer_desc buffer;
    if (!strcmp(text, "-")) return name;
    if (!strncmp(text, "HOSTBASED:", 10)) {
        type = &hostbased;
        text += 10;
    }
    buffer.value = (void *)text;
    buffer.length = strlen(text);
    if (GSS_ERROR(gss_import_name(&minor, &buffer, type, &name))) die("gss_import_name");
    return name;
}

static int usage_of(const char *text) {
    return !strcmp(text, "both") ? GSS_C_BOTH : !strcmp(text, "accept") ? GSS_C_ACCEPT : GSS_C_INITIATE;
}

#if MIT
/* The store of these arguments; none at all is no store. */
static gss_key_value_set_desc *store_of(int count, char **arguments) {
    static gss_key_value_set_desc set;
    static gss_key_value_element_desc elements[16];
    int i;
    if (count <= 0) return NULL;
    if (count > 16) die("too many");
    for (i = 0; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (!value) die("KEY=VALUE");
        *value = 0;
        elements[i].key = arguments[i];
        elements[i].value = value + 1;
    }
    set.count = (OM_uint32)count;
    set.elements = elements;
    return &set;
}
#else
static void into_environment(int count, char **arguments) {
    int i;
    for (i = 0; i < count; i++) {
        char *value = strchr(arguments[i], '=');
        if (!value) die("KEY=VALUE");
        *value++ = 0;
        if (!strcmp(arguments[i], "ccache")) setenv("KRB5CCNAME", value, 1);
        else if (!strcmp(arguments[i], "keytab")) setenv("KRB5_KTNAME", value, 1);
        else die("a key that Heimdal has not");
    }
}
#endif

static void print_hex(const gss_buffer_desc *bytes) {
    size_t i;
    if (bytes->length == 0) printf("-");
    for (i = 0; i < bytes->length; i++) printf("%02x", ((unsigned char *)bytes->value)[i]);
}

static gss_buffer_desc from_hex(const char *text) {
    gss_buffer_desc out = {0, malloc(strlen(text) / 2 + 1)};
    unsigned int byte;
    for (; sscanf(text, "%2x", &byte) == 1; text += 2) ((unsigned char *)out.value)[out.length++] = (unsigned char)byte;
    return out;
}

static void print_text(OM_uint32 code, int type) {
    OM_uint32 minor, more = 0;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    if (GSS_ERROR(gss_display_status(&minor, code, type, &krb5, &more, &text))) return;
    printf(" %.*s", (int)text.length, (char *)text.value);
}

static void print_name(gss_name_t name) {
    OM_uint32 minor;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    if (name == GSS_C_NO_NAME || GSS_ERROR(gss_display_name(&minor, name, &text, NULL))) printf(" -");
    else printf(" %.*s", (int)text.length, (char *)text.value);
}

static void print_facts(gss_cred_id_t cred) {
    OM_uint32 minor, lifetime = 0;
    gss_name_t name = GSS_C_NO_NAME;
    gss_cred_usage_t usage = -1;
    OM_uint32 major = gss_inquire_cred(&minor, cred, &name, &lifetime, &usage, NULL);
    if (GSS_ERROR(major) && major != GSS_S_CREDENTIALS_EXPIRED) name = GSS_C_NO_NAME;
    print_name(name);
    printf(" %u %s", lifetime, usage == GSS_C_BOTH ? "both" : usage == GSS_C_ACCEPT ? "accept" : "initiate");
}

static OM_uint32 acquire(OM_uint32 *minor, const char *usage, const char *name, int count, char **store,
                         gss_cred_id_t *cred) {
#if MIT
    return gss_acquire_cred_from(minor, import_name(name), GSS_C_INDEFINITE, &krb5_alone, usage_of(usage),
                                 store_of(count, store), cred, NULL, NULL);
#else
    into_environment(count, store);
    return gss_acquire_cred(minor, import_name(name), GSS_C_INDEFINITE, &krb5_alone, usage_of(usage), cred, NULL, NULL);
#endif
}

/* Initiates with `cred`: the status, and who it is. */
static OM_uint32 initiate(gss_cred_id_t cred, const char *target, gss_name_t *source) {
    OM_uint32 major, minor, ignored;
    gss_ctx_id_t context = GSS_C_NO_CONTEXT;
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
    major = gss_init_sec_context(&minor, cred, &context, import_name(target), &krb5, 0, 0, NULL, NULL, NULL, &token, NULL,
                                 NULL);
    if (!GSS_ERROR(major)) gss_inquire_context(&ignored, context, source, NULL, NULL, NULL, NULL, NULL, NULL);
    return major;
}

static void print_impersonator(gss_cred_id_t cred) {
#if MIT
    OM_uint32 minor;
    gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
    if (!GSS_ERROR(gss_inquire_cred_by_oid(&minor, cred, GSS_KRB5_GET_CRED_IMPERSONATOR, &set)) && set && set->count) {
        printf(" %.*s", (int)set->elements[0].length, (char *)set->elements[0].value);
        return;
    }
#else
    (void)cred;
#endif
    printf(" -");
}

int main(int argc, char **argv) {
    OM_uint32 major, minor = 0;
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    gss_name_t source = GSS_C_NO_NAME;
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "acquire") && argc > 3) {
        major = acquire(&minor, argv[2], argv[3], argc - 4, argv + 4, &cred);
        printf("%u %u", major, minor);
        if (GSS_ERROR(major)) printf(" - 0 -");
        else print_facts(cred);
        if (GSS_ERROR(major)) print_text(minor, GSS_C_MECH_CODE);
    } else if (!strcmp(what, "add") && argc > 3) {
        gss_cred_id_t more = GSS_C_NO_CREDENTIAL;
        if (GSS_ERROR(acquire(&minor, "initiate", "-", 0, NULL, &cred))) die("no default credential");
#if MIT
        major = gss_add_cred_from(&minor, cred, import_name(argv[3]), &krb5, usage_of(argv[2]), 0, 0,
                                  store_of(argc - 4, argv + 4), &more, NULL, NULL, NULL);
#else
        into_environment(argc - 4, argv + 4);
        major = gss_add_cred(&minor, cred, import_name(argv[3]), &krb5, usage_of(argv[2]), 0, 0, &more, NULL, NULL, NULL);
#endif
        printf("%u %u", major, minor);
        print_text(minor, GSS_C_MECH_CODE);
    } else if (!strcmp(what, "store") && argc > 5) {
        char from[4096];
        char *store[1] = {from};
        snprintf(from, sizeof from, "ccache=%s", argv[4]);
        if (GSS_ERROR(acquire(&minor, "initiate", "-", 1, store, &cred))) die("no credential to store");
#if MIT
        major = gss_store_cred_into(&minor, cred, GSS_C_INITIATE, &krb5, atoi(argv[2]), atoi(argv[3]),
                                    store_of(argc - 5, argv + 5), NULL, NULL);
#else
        into_environment(argc - 5, argv + 5);
        major = gss_store_cred(&minor, cred, GSS_C_INITIATE, &krb5, atoi(argv[2]), atoi(argv[3]), NULL, NULL);
#endif
        printf("%u %u", major, minor);
        print_text(minor, GSS_C_MECH_CODE);
    } else if (!strcmp(what, "export") && argc > 3) {
        gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
        major = acquire(&minor, argv[2], argv[3], argc - 4, argv + 4, &cred);
        if (!GSS_ERROR(major)) major = gss_export_cred(&minor, cred, &token);
        printf("%u ", major);
        print_hex(&token);
    } else if (!strcmp(what, "import") && argc > 3) {
        gss_buffer_desc token = from_hex(argv[2]);
        major = gss_import_cred(&minor, &token, &cred);
        printf("%u", major);
        if (!GSS_ERROR(major)) {
            print_facts(cred);
            print_impersonator(cred);
            printf(" %u", initiate(cred, argv[3], &source));
        }
    } else if (!strcmp(what, "select") && argc > 2) {
        major = initiate(GSS_C_NO_CREDENTIAL, argv[2], &source);
        printf("%u", major);
        print_name(source);
    } else {
        die("which call?");
    }
    putchar('\n');
    return 0;
}
