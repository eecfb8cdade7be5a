/*
 * Calls of GSS-API with what they should not be called with, one line each: the call and its major status. Built once against MIT's
 * headers and run on either library. `calls stale` tries handles that were released, copied or made up, which no library but one
 * that checks its handles can take.
 */
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <stdio.h>
#include <string.h>

static void say(const char *call, OM_uint32 major) { printf("%s %08x\n", call, (unsigned)major); }

#define SAY(call) say(#call, call)

static OM_uint32 minor;
static gss_buffer_desc out, text = {5, "alice"}, empty = {0, NULL};
static gss_ctx_id_t no_context = GSS_C_NO_CONTEXT;
static gss_name_t no_name = GSS_C_NO_NAME, name;
static gss_cred_id_t no_cred = GSS_C_NO_CREDENTIAL, cred;
static gss_OID_set set;
static gss_buffer_set_t buffers;
static gss_OID oid;
static int number;
static OM_uint32 seconds;
static gss_OID_desc strange = {3, "\x2a\x03\x04"};

static void nulls(void)
{
    SAY(gss_import_name(NULL, &text, GSS_C_NT_USER_NAME, &name));
    SAY(gss_import_name(&minor, NULL, GSS_C_NT_USER_NAME, &name));
    SAY(gss_import_name(&minor, &text, GSS_C_NT_USER_NAME, NULL));
    SAY(gss_display_name(NULL, no_name, &out, NULL));
    SAY(gss_display_name(&minor, no_name, &out, NULL));
    SAY(gss_display_name(&minor, no_name, NULL, NULL));
    SAY(gss_compare_name(&minor, no_name, no_name, &number));
    SAY(gss_canonicalize_name(&minor, no_name, (gss_OID)gss_mech_krb5, &name));
    SAY(gss_export_name(&minor, no_name, &out));
    SAY(gss_duplicate_name(&minor, no_name, &name));
    SAY(gss_release_name(&minor, &no_name));
    SAY(gss_release_name(&minor, NULL));
    SAY(gss_inquire_name(&minor, no_name, &number, NULL, &buffers));
    SAY(gss_export_name_composite(&minor, no_name, &out));
    SAY(gss_localname(&minor, no_name, GSS_C_NO_OID, &out));
    SAY(gss_release_cred(&minor, &no_cred));
    SAY(gss_release_cred(&minor, NULL));
    SAY(gss_acquire_cred(&minor, no_name, 0, NULL, GSS_C_BOTH, NULL, NULL, NULL));
    SAY(gss_acquire_cred(&minor, no_name, 0, NULL, 77, &cred, NULL, NULL));
    SAY(gss_inquire_cred_by_oid(&minor, no_cred, &strange, NULL));
    SAY(gss_delete_sec_context(&minor, &no_context, &out));
    SAY(gss_delete_sec_context(&minor, NULL, &out));
    SAY(gss_context_time(&minor, no_context, &seconds));
    SAY(gss_context_time(&minor, no_context, NULL));
    SAY(gss_inquire_context(&minor, no_context, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    SAY(gss_process_context_token(&minor, no_context, &text));
    SAY(gss_wrap(&minor, no_context, 1, 0, &text, &number, &out));
    SAY(gss_wrap(&minor, no_context, 1, 0, NULL, &number, &out));
    SAY(gss_wrap(&minor, no_context, 1, 0, &text, &number, NULL));
    SAY(gss_unwrap(&minor, no_context, &text, &out, &number, NULL));
    SAY(gss_unwrap(&minor, no_context, NULL, &out, &number, NULL));
    SAY(gss_get_mic(&minor, no_context, 0, &text, &out));
    SAY(gss_get_mic(&minor, no_context, 0, &text, NULL));
    SAY(gss_verify_mic(&minor, no_context, &text, &text, NULL));
    SAY(gss_wrap_size_limit(&minor, no_context, 1, 0, 100, &seconds));
    SAY(gss_wrap_size_limit(&minor, no_context, 1, 0, 100, NULL));
    SAY(gss_export_sec_context(&minor, &no_context, &out));
    SAY(gss_export_sec_context(&minor, NULL, &out));
    SAY(gss_import_sec_context(&minor, NULL, &no_context));
    SAY(gss_import_sec_context(&minor, &empty, &no_context));
    SAY(gss_import_sec_context(&minor, &text, &no_context));
    SAY(gss_pseudo_random(&minor, no_context, 0, &text, 8, &out));
    SAY(gss_init_sec_context(&minor, no_cred, NULL, no_name, NULL, 0, 0, NULL, NULL, NULL, &out, NULL, NULL));
    SAY(gss_init_sec_context(&minor, no_cred, &no_context, no_name, NULL, 0, 0, NULL, NULL, NULL, &out, NULL, NULL));
    SAY(gss_accept_sec_context(&minor, NULL, no_cred, &text, NULL, NULL, NULL, &out, NULL, NULL, NULL));
    SAY(gss_accept_sec_context(&minor, &no_context, no_cred, NULL, NULL, NULL, NULL, &out, NULL, NULL, NULL));
    SAY(gss_accept_sec_context(&minor, &no_context, no_cred, &text, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    SAY(gss_create_empty_oid_set(&minor, NULL));
    SAY(gss_create_empty_oid_set(&minor, &set));
    SAY(gss_add_oid_set_member(&minor, NULL, &set));
    SAY(gss_add_oid_set_member(&minor, &strange, &set));
    SAY(gss_test_oid_set_member(&minor, &strange, set, &number));
    SAY(gss_test_oid_set_member(&minor, NULL, set, &number));
    SAY(gss_release_oid_set(&minor, &set));
    SAY(gss_release_oid_set(&minor, &set));
    SAY(gss_oid_to_str(&minor, NULL, &out));
    SAY(gss_str_to_oid(&minor, &text, &oid));
    SAY(gss_indicate_mechs(&minor, NULL));
    SAY(gss_inquire_names_for_mech(&minor, &strange, &set));
    SAY(gss_display_status(&minor, 0, 77, NULL, &seconds, &out));
    SAY(gss_release_buffer(&minor, NULL));
    SAY(gss_release_buffer(&minor, &empty));
}

static void stale(void)
{
    gss_name_t copy;
    gss_cred_id_t wrong_kind;
    gss_name_t invented = (gss_name_t)(size_t)0x7fffdeadbeef;
    gss_ctx_id_t no_such = (gss_ctx_id_t)&strange;

    gss_import_name(&minor, &text, GSS_C_NT_USER_NAME, &name);
    copy = name;
    wrong_kind = (gss_cred_id_t)name;
    SAY(gss_display_name(&minor, copy, &out, NULL));
    SAY(gss_release_cred(&minor, &wrong_kind));
    SAY(gss_release_name(&minor, &name));
    SAY(gss_display_name(&minor, copy, &out, NULL));
    SAY(gss_release_name(&minor, &copy));
    SAY(gss_display_name(&minor, invented, &out, NULL));
    SAY(gss_release_name(&minor, &invented));
    SAY(gss_wrap(&minor, no_such, 1, 0, &text, &number, &out));
    SAY(gss_delete_sec_context(&minor, &no_such, NULL));
    SAY(gss_export_sec_context(&minor, &no_such, &out));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "stale"))
        stale();
    else
        nulls();
    return 0;
}
