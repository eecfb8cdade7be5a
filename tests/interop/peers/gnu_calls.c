/*
 * What libgss.so.3 answers without a realm, printed: run on GNU's library and on ours, compiled against either, the lines are equal.
 */
#include <gss.h>
#include <stdio.h>
#include <string.h>

static void octets(const char *name, gss_const_OID oid) {
    OM_uint32 i;
    printf("%s", name);
    for (i = 0; i < oid->length; i++) printf(" %02x", ((const unsigned char *)oid->elements)[i]);
    putchar('\n');
}

static void oids(void) {
    octets("user", GSS_C_NT_USER_NAME);
    octets("user, static", &GSS_C_NT_USER_NAME_static);
    octets("machine", GSS_C_NT_MACHINE_UID_NAME);
    octets("machine, static", &GSS_C_NT_MACHINE_UID_NAME_static);
    octets("string", GSS_C_NT_STRING_UID_NAME);
    octets("string, static", &GSS_C_NT_STRING_UID_NAME_static);
    octets("service x", GSS_C_NT_HOSTBASED_SERVICE_X);
    octets("service x, static", &GSS_C_NT_HOSTBASED_SERVICE_X_static);
    octets("service", GSS_C_NT_HOSTBASED_SERVICE);
    octets("service, static", &GSS_C_NT_HOSTBASED_SERVICE_static);
    octets("anonymous", GSS_C_NT_ANONYMOUS);
    octets("anonymous, static", &GSS_C_NT_ANONYMOUS_static);
    octets("export", GSS_C_NT_EXPORT_NAME);
    octets("export, static", &GSS_C_NT_EXPORT_NAME_static);
    octets("krb5", GSS_KRB5);
    octets("krb5, static", &GSS_KRB5_static);
    octets("krb5 user", GSS_KRB5_NT_USER_NAME);
    octets("krb5 user, static", &GSS_KRB5_NT_USER_NAME_static);
    octets("krb5 service", GSS_KRB5_NT_HOSTBASED_SERVICE_NAME);
    octets("krb5 principal", GSS_KRB5_NT_PRINCIPAL_NAME);
    octets("krb5 principal, static", &GSS_KRB5_NT_PRINCIPAL_NAME_static);
    octets("krb5 string", GSS_KRB5_NT_STRING_UID_NAME);
    octets("krb5 string, static", &GSS_KRB5_NT_STRING_UID_NAME_static);
}

static void versions(void) {
    static const char *const wanted[] = {GSS_VERSION, "0.9.9", "1.0.3", "1.0.5", "1.1.0", "2.0.0"};
    size_t i;
    printf("any version: %s\n", gss_check_version(NULL));
    for (i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const char *version = gss_check_version(wanted[i]);
        printf("version %s: %s\n", wanted[i], version ? version : "none");
    }
}

static void sets(void) {
    OM_uint32 minor, major;
    gss_OID_set set = GSS_C_NO_OID_SET;
    int present = -1;
    major = gss_create_empty_oid_set(&minor, &set);
    printf("create %x %u\n", major, (unsigned)set->count);
    major = gss_add_oid_set_member(NULL, GSS_KRB5, &set);
    printf("add %x %u\n", major, (unsigned)set->count);
    major = gss_add_oid_set_member(&minor, GSS_C_NT_USER_NAME, &set);
    printf("add %x %u\n", major, (unsigned)set->count);
    octets("second", &set->elements[1]);
    major = gss_test_oid_set_member(&minor, GSS_KRB5, set, &present);
    printf("test %x %d\n", major, present);
    major = gss_test_oid_set_member(&minor, GSS_C_NT_ANONYMOUS, set, &present);
    printf("test %x %d\n", major, present);
    major = gss_release_oid_set(&minor, &set);
    printf("release %x %d\n", major, set == GSS_C_NO_OID_SET);
    printf("equal %d %d\n", gss_oid_equal(GSS_KRB5, &GSS_KRB5_static) != 0, gss_oid_equal(GSS_KRB5, GSS_C_NT_USER_NAME));
    major = gss_indicate_mechs(&minor, &set);
    gss_test_oid_set_member(&minor, GSS_KRB5, set, &present);
    printf("mechanisms %x, krb5 %d\n", major, present);
    gss_release_oid_set(&minor, &set);
}

static void names(void) {
    OM_uint32 minor, major;
    gss_name_t name = GSS_C_NO_NAME, other = GSS_C_NO_NAME;
    gss_buffer_desc text = {9, (void *)"imap@host"};
    gss_OID type = GSS_C_NO_OID;
    int equal = -1;
    major = gss_import_name(&minor, &text, GSS_C_NT_HOSTBASED_SERVICE, &name);
    printf("import %x\n", major);
    major = gss_duplicate_name(&minor, name, &other);
    printf("duplicate %x\n", major);
    major = gss_compare_name(&minor, name, other, &equal);
    printf("compare %x %d\n", major, equal != 0);
    memset(&text, 0, sizeof text);
    major = gss_display_name(&minor, other, &text, &type);
    printf("display %x %.*s\n", major, (int)text.length, (char *)text.value);
    octets("of type", type);
    gss_release_buffer(&minor, &text);
    /* Without asking for a mechanism's name first. What stands in it is a principal's name on ours alone. */
    major = gss_export_name(&minor, name, &text);
    printf("export %x %d\n", major, text.length > 19 && !memcmp((char *)text.value + 19, "imap", 4));
    gss_release_name(&minor, &other);
    major = gss_canonicalize_name(&minor, name, GSS_C_NO_OID, &other);
    printf("canonicalize for the default %x %d\n", major, other != GSS_C_NO_NAME);
    printf("release %x", gss_release_buffer(&minor, &text));
    printf(" %x", gss_release_name(&minor, &name));
    printf(" %x\n", gss_release_name(&minor, &other));
}

static void tokens(void) {
    OM_uint32 major;
    gss_buffer_desc inner = {5, (void *)"token"}, framed = GSS_C_EMPTY_BUFFER, back = GSS_C_EMPTY_BUFFER;
    gss_OID_desc frame;
    major = gss_encapsulate_token(&inner, GSS_KRB5, &framed);
    frame.length = (OM_uint32)framed.length;
    frame.elements = framed.value;
    printf("encapsulate %x\n", major);
    octets("frame", &frame);
    major = gss_decapsulate_token(&framed, GSS_KRB5, &back);
    printf("decapsulate %x %.*s\n", major, (int)back.length, (char *)back.value);
    gss_release_buffer(NULL, &back);
    printf("of another mechanism %x\n", gss_decapsulate_token(&framed, GSS_C_NT_USER_NAME, &back));
    gss_release_buffer(NULL, &framed);
}

static void mechanisms(void) {
    OM_uint32 major, minor;
    gss_buffer_desc sasl = GSS_C_EMPTY_BUFFER;
    gss_OID mechanism = GSS_C_NO_OID;
    major = gss_inquire_saslname_for_mech(&minor, GSS_KRB5, &sasl, GSS_C_NO_BUFFER, GSS_C_NO_BUFFER);
    printf("sasl %x %.*s\n", major, (int)sasl.length, (char *)sasl.value);
    major = gss_inquire_mech_for_saslname(&minor, &sasl, &mechanism);
    printf("mechanism %x\n", major);
    octets("of that name", mechanism);
    gss_release_buffer(&minor, &sasl);
}

int main(void) {
    oids();
    versions();
    sets();
    names();
    tokens();
    mechanisms();
    return 0;
}
