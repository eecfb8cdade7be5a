/* What MIT's library says of mechanisms and codes, one fact a line:
 *
 *   mech OID
 *   attribute MECH-OID ATTRIBUTE-OID
 *   known NAME SHORT-DESCRIPTION OID
 *   sasl MECH-OID SASL-NAME NAME
 *   major CODE PART                  how many texts a major status has
 *   minor CODE 0|1                   whether a minor code that was an argument has a text of its own
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <krb5.h>
#include <com_err.h>

static void print_oid(gss_OID oid) {
    OM_uint32 minor;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
    size_t i;
    int inside = 0;
    gss_oid_to_str(&minor, oid, &text);
    /* "{ 1 2 840 }" as "1.2.840" */
    for (i = 0; i < text.length; i++) {
        char c = ((char *)text.value)[i];
        if (c >= '0' && c <= '9') {
            if (inside == 2) putchar('.');
            putchar(c);
            inside = 1;
        } else if (c == ' ' && inside) {
            inside = 2;
        }
    }
    gss_release_buffer(&minor, &text);
}

static void print(gss_buffer_desc *text) {
    OM_uint32 minor;
    printf(" %.*s", (int)text->length, (char *)text->value);
    gss_release_buffer(&minor, text);
}

static void mechanism(gss_OID mech) {
    OM_uint32 minor;
    gss_OID_set has = GSS_C_NO_OID_SET, known = GSS_C_NO_OID_SET;
    gss_buffer_desc sasl = GSS_C_EMPTY_BUFFER, name = GSS_C_EMPTY_BUFFER, text = GSS_C_EMPTY_BUFFER;
    size_t i;
    printf("mech ");
    print_oid(mech);
    putchar('\n');
    if (gss_inquire_attrs_for_mech(&minor, mech, &has, &known) == GSS_S_COMPLETE) {
        for (i = 0; i < has->count; i++) {
            printf("attribute ");
            print_oid(mech);
            putchar(' ');
            print_oid(&has->elements[i]);
            putchar('\n');
        }
        for (i = 0; i < known->count; i++) {
            gss_buffer_desc full = GSS_C_EMPTY_BUFFER, brief = GSS_C_EMPTY_BUFFER, description = GSS_C_EMPTY_BUFFER;
            gss_display_mech_attr(&minor, &known->elements[i], &full, &brief, &description);
            printf("known");
            print(&full);
            print(&brief);
            putchar(' ');
            print_oid(&known->elements[i]);
            putchar('\n');
            gss_release_buffer(&minor, &description);
        }
    }
    if (gss_inquire_saslname_for_mech(&minor, mech, &sasl, &name, &text) == GSS_S_COMPLETE) {
        printf("sasl ");
        print_oid(mech);
        print(&sasl);
        print(&name);
        putchar('\n');
    }
    gss_release_buffer(&minor, &text);
}

static void majors(OM_uint32 code) {
    OM_uint32 minor, more = 0;
    int parts = 0;
    do {
        gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
        if (gss_display_status(&minor, code, GSS_C_GSS_CODE, GSS_C_NO_OID, &more, &text) != GSS_S_COMPLETE) break;
        parts++;
        gss_release_buffer(&minor, &text);
    } while (more);
    printf("major %u %d\n", code, parts);
}

int main(int argc, char **argv) {
    OM_uint32 minor;
    gss_OID_set mechs;
    krb5_context krb5;
    size_t i;
    int n;
    if (krb5_init_context(&krb5)) return 1; /* registers its tables */
    if (gss_indicate_mechs(&minor, &mechs) != GSS_S_COMPLETE) return 1;
    for (i = 0; i < mechs->count; i++) mechanism(&mechs->elements[i]);
    for (n = 0; n < 40; n++) majors((OM_uint32)(n % 4) << 24 | (OM_uint32)(n % 17) << 16 | (OM_uint32)(n % 32 & 15));
    for (n = 1; n < argc; n++) {
        OM_uint32 code = (OM_uint32)strtoul(argv[n], NULL, 10);
        printf("minor %u %d\n", code, strncmp(error_message((errcode_t)(int)code), "Unknown code", 12) != 0);
    }
    return 0;
}
