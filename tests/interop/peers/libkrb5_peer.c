/* A program that uses libkrb5 beside GSS-API and hands its objects across. Each line that it prints is the same on every library. */

#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <krb5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exported by libkrb5, in none of its headers. */
krb5_error_code k5_rc_resolve(krb5_context, const char *, krb5_rcache *);

static krb5_context context;
static const char *service;

static void sure(const char *what, krb5_error_code code)
{
    if (code != 0) {
        fprintf(stderr, "%s: %s\n", what, krb5_get_error_message(context, code));
        exit(1);
    }
}

static OM_uint32 tell(const char *what, OM_uint32 major, OM_uint32 minor)
{
    printf("%s: %#x\n", what, major);
    if (GSS_ERROR(major)) {
        OM_uint32 other, more = 0;
        gss_buffer_desc text;
        if (gss_display_status(&other, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text) == 0)
            fprintf(stderr, "%s: %.*s\n", what, (int)text.length, (char *)text.value);
    }
    return major;
}

/* A context between the two, and a message over it. */
static void converse(const char *what, gss_cred_id_t tickets, gss_cred_id_t keys)
{
    OM_uint32 major, minor, ignored;
    gss_ctx_id_t client = GSS_C_NO_CONTEXT, server = GSS_C_NO_CONTEXT;
    gss_buffer_desc name = { strlen(service), (void *)service }, first = GSS_C_EMPTY_BUFFER,
                    answer = GSS_C_EMPTY_BUFFER, rest = GSS_C_EMPTY_BUFFER, sealed, opened, message = { 5, "hello" };
    gss_name_t target, source = GSS_C_NO_NAME;

    major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target);
    if (tell(what, major, minor))
        return;
    major = gss_init_sec_context(&minor, tickets, &client, target, GSS_C_NO_OID, GSS_C_MUTUAL_FLAG, 0, NULL, NULL, NULL, &first, NULL, NULL);
    if (tell("  initiates", major, minor) != GSS_S_CONTINUE_NEEDED)
        return;
    major = gss_accept_sec_context(&minor, &server, keys, &first, NULL, &source, NULL, &answer, NULL, NULL, NULL);
    if (tell("  accepts", major, minor))
        return;
    major = gss_init_sec_context(&minor, tickets, &client, target, GSS_C_NO_OID, GSS_C_MUTUAL_FLAG, 0, NULL, &answer, NULL, &rest, NULL, NULL);
    tell("  is mutual", major, minor);
    major = gss_wrap(&minor, client, 1, 0, &message, NULL, &sealed);
    tell("  wraps", major, minor);
    major = gss_unwrap(&minor, server, &sealed, &opened, NULL, NULL);
    tell("  unwraps", major, minor);
    printf("  %.*s\n", (int)opened.length, (char *)opened.value);
    gss_buffer_desc shown;
    gss_display_name(&minor, source, &shown, NULL);
    printf("  from %.*s\n", (int)shown.length, (char *)shown.value);
    gss_release_buffer(&ignored, &shown);
    gss_release_buffer(&ignored, &opened);
    gss_release_buffer(&ignored, &sealed);
    gss_release_buffer(&ignored, &first);
    gss_release_buffer(&ignored, &answer);
    gss_release_buffer(&ignored, &rest);
    gss_release_name(&ignored, &source);
    gss_release_name(&ignored, &target);
    gss_delete_sec_context(&ignored, &client, NULL);
    gss_delete_sec_context(&ignored, &server, NULL);
}

static gss_cred_id_t imported(const char *what, krb5_ccache ccache, krb5_principal principal, krb5_keytab keytab)
{
    OM_uint32 major, minor, lifetime;
    gss_cred_usage_t usage;
    gss_cred_id_t cred = GSS_C_NO_CREDENTIAL;
    major = gss_krb5_import_cred(&minor, ccache, principal, keytab, &cred);
    if (tell(what, major, minor))
        return GSS_C_NO_CREDENTIAL;
    major = gss_inquire_cred(&minor, cred, NULL, &lifetime, &usage, NULL);
    tell("  is inquired", major, minor);
    printf("  usage %d\n", usage);
    return cred;
}

/* Whose it is, and whether a ticket-granting ticket is in it. */
static void list(const char *what, krb5_ccache ccache)
{
    krb5_principal client;
    krb5_cc_cursor cursor;
    krb5_creds creds;
    char *text;
    int granting = 0;
    krb5_error_code code = krb5_cc_get_principal(context, ccache, &client);
    if (code != 0) {
        printf("%s: no principal\n", what);
        return;
    }
    sure("unparse", krb5_unparse_name(context, client, &text));
    sure("start", krb5_cc_start_seq_get(context, ccache, &cursor));
    while (krb5_cc_next_cred(context, ccache, &cursor, &creds) == 0) {
        if (!krb5_is_config_principal(context, creds.server) && creds.server->length == 2 && creds.keyblock.length > 0 &&
            strncmp(creds.server->data[0].data, "krbtgt", 6) == 0 && krb5_principal_compare(context, creds.client, client))
            granting += creds.times.endtime > 0 && creds.ticket.length > 0;
        krb5_free_cred_contents(context, &creds);
    }
    krb5_cc_end_seq_get(context, ccache, &cursor);
    printf("%s: %s, %d\n", what, text, granting);
    krb5_free_unparsed_name(context, text);
    krb5_free_principal(context, client);
}

static krb5_ccache named(const char *name)
{
    krb5_ccache ccache;
    sure(name, krb5_cc_resolve(context, name, &ccache));
    return ccache;
}

int main(int count, char **arguments)
{
    OM_uint32 major, minor;
    krb5_creds creds;
    krb5_principal alice, principal;
    krb5_keytab keytab, memory;
    krb5_keytab_entry entry;
    krb5_kt_cursor cursor;
    krb5_rcache rcache;
    gss_cred_id_t tickets, keys, both, cred = GSS_C_NO_CREDENTIAL;

    if (count != 5) {
        fprintf(stderr, "usage: libkrb5_peer NAME PASSWORD SERVICE@HOST RCACHE\n");
        return 2;
    }
    service = arguments[3];
    sure("context", krb5_init_context(&context));
    sure("name", krb5_parse_name(context, arguments[1], &alice));
    sure("password", krb5_get_init_creds_password(context, &creds, alice, arguments[2], NULL, NULL, 0, NULL, NULL));
    krb5_ccache mine = named("MEMORY:mine");
    sure("initialize", krb5_cc_initialize(context, mine, alice));
    sure("store", krb5_cc_store_cred(context, mine, &creds));
    sure("keytab", krb5_kt_default(context, &keytab));

    imported("nothing is imported", NULL, NULL, NULL);
    tickets = imported("a cache in memory", mine, NULL, NULL);
    keys = imported("a keytab", NULL, NULL, keytab);
    converse("with both", tickets, keys);

    sure("rcache", k5_rc_resolve(context, arguments[4], &rcache));
    major = gss_krb5_set_cred_rcache(&minor, keys, rcache);
    tell("a replay cache", major, minor);
    converse("with that replay cache", tickets, keys);
    printf("  it is %s\n", access(strchr(arguments[4], ':') + 1, F_OK) == 0 ? "there" : "missing");

    sure("memory", krb5_kt_resolve(context, "MEMORY:keys", &memory));
    sure("start", krb5_kt_start_seq_get(context, keytab, &cursor));
    while (krb5_kt_next_entry(context, keytab, &entry, &cursor) == 0) {
        sure("add", krb5_kt_add_entry(context, memory, &entry));
        krb5_free_keytab_entry_contents(context, &entry);
    }
    krb5_kt_end_seq_get(context, keytab, &cursor);
    both = imported("a cache and a keytab in memory", mine, NULL, memory);
    converse("with one credential", both, both);

    sure("service", krb5_sname_to_principal(context, strchr(service, '@') + 1, "nobody", KRB5_NT_SRV_HST, &principal));
    imported("a principal without a key", NULL, principal, memory);

    krb5_ccache copy = named("MEMORY:copy");
    sure("initialize", krb5_cc_initialize(context, copy, alice));
    major = gss_krb5_copy_ccache(&minor, tickets, copy);
    tell("copied", major, minor);
    list("the copy", copy);

    gss_key_value_element_desc element = { "ccache", "MEMORY:stored" };
    gss_key_value_set_desc store = { 1, &element };
    major = gss_store_cred_into(&minor, tickets, GSS_C_INITIATE, (gss_OID)gss_mech_krb5, 1, 0, &store, NULL, NULL);
    tell("stored", major, minor);
    list("what was stored", named("MEMORY:stored"));

    element.value = "MEMORY:mine";
    major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET, GSS_C_INITIATE, &store, &cred, NULL, NULL);
    tell("acquired by name", major, minor);
    converse("with that", cred, keys);

    major = gss_krb5_ccache_name(&minor, "MEMORY:mine", NULL);
    tell("the default cache", major, minor);
    converse("by default", GSS_C_NO_CREDENTIAL, GSS_C_NO_CREDENTIAL);
    element.value = "MEMORY:nothing";
    gss_cred_id_t none = GSS_C_NO_CREDENTIAL;
    major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET, GSS_C_INITIATE, &store, &none, NULL, NULL);
    printf("a cache that is not there: %s\n", GSS_ERROR(major) ? "refused" : "taken");
    return 0;
}
