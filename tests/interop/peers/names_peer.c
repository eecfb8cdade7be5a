/*
 * gss_peer.c with the calls on names. TYPE is the name type's OID, its bytes in hex ("-" for none); byte strings are in hex.
 *
 *   name TYPE NAME                      ->  ok MAJOR   (gss_import_name; what follows is about this name)
 *   initiator                           ->  ok MAJOR   (what follows is about the context's initiator)
 *   canonicalize                        ->  ok MAJOR   (for Kerberos; what follows is about the result)
 *   display                             ->  ok MAJOR TEXT TYPE
 *   export                              ->  ok MAJOR TOKEN
 *   export-composite                    ->  ok MAJOR TOKEN
 *   same TYPE NAME                      ->  ok MAJOR EQUAL   (gss_compare_name with another)
 *   attributes                          ->  ok MAJOR NAME...
 *   attribute NAME                      ->  ok MAJOR AUTHENTICATED COMPLETE VALUE
 *   localname                           ->  ok MAJOR USER
 *
 * What a library does not have answers with major 0x100000 (GSS_S_UNAVAILABLE).
 */
#define MORE_COMMANDS(command, a, b, c) names(command, a, b, c)
static int names(const char *command, const char *a, const char *b, const char *c);

#include "gss_peer.c"

static gss_name_t subject = GSS_C_NO_NAME;

static OM_uint32 import(const char *type, const char *text, gss_name_t *out) {
    OM_uint32 major, minor;
    gss_buffer_desc oid = from_hex(type), name = from_hex(text);
    gss_OID_desc type_oid;
    type_oid.length = (OM_uint32)oid.length;
    type_oid.elements = oid.value;
    major = gss_import_name(&minor, &name, oid.length ? &type_oid : GSS_C_NO_OID, out);
    free(name.value);
    /* A library may keep the type by reference. */
    return major;
}

static void about(gss_name_t name) {
    OM_uint32 minor;
    if (subject) gss_release_name(&minor, &subject);
    subject = name;
}

static void answer(OM_uint32 major, gss_buffer_t bytes) {
    OM_uint32 minor;
    printf("ok %u ", major);
    print_hex(bytes);
    putchar('\n');
    gss_release_buffer(&minor, bytes);
}

static void display(void) {
    OM_uint32 major, minor;
    gss_buffer_desc text = GSS_C_EMPTY_BUFFER, type;
    gss_OID oid = GSS_C_NO_OID;
    major = gss_display_name(&minor, subject, &text, &oid);
    printf("ok %u ", major);
    print_hex(&text);
    putchar(' ');
    type.length = oid ? oid->length : 0;
    type.value = oid ? oid->elements : NULL;
    print_hex(&type);
    putchar('\n');
    gss_release_buffer(&minor, &text);
}

static void list_attributes(void) {
    OM_uint32 major, minor;
    gss_buffer_set_t all = GSS_C_NO_BUFFER_SET;
    gss_OID mech = GSS_C_NO_OID;
    int is_mech_name = 0;
    size_t i;
    major = gss_inquire_name(&minor, subject, &is_mech_name, &mech, &all);
    printf("ok %u", major);
    for (i = 0; all && i < all->count; i++) printf(" %.*s", (int)all->elements[i].length, (char *)all->elements[i].value);
    putchar('\n');
    gss_release_buffer_set(&minor, &all);
}

static void attribute(const char *name) {
    OM_uint32 major, minor;
    gss_buffer_desc attr, value = GSS_C_EMPTY_BUFFER, shown = GSS_C_EMPTY_BUFFER;
    int authenticated = 0, complete = 0, more = -1;
    attr.value = (void *)name;
    attr.length = strlen(name);
    major = gss_get_name_attribute(&minor, subject, &attr, &authenticated, &complete, &value, &shown, &more);
    printf("ok %u %d %d ", major, authenticated, complete);
    print_hex(&value);
    putchar('\n');
    gss_release_buffer(&minor, &value);
    gss_release_buffer(&minor, &shown);
}

static int names(const char *command, const char *a, const char *b, const char *c) {
    OM_uint32 major, minor;
    gss_buffer_desc out = GSS_C_EMPTY_BUFFER;
    gss_name_t name = GSS_C_NO_NAME;
    (void)c;
    if (!strcmp(command, "name")) {
        major = import(a, b, &name);
        about(name);
        printf("ok %u\n", major);
    } else if (!strcmp(command, "initiator")) {
        major = gss_inquire_context(&minor, context, &name, NULL, NULL, NULL, NULL, NULL, NULL);
        about(name);
        printf("ok %u\n", major);
    } else if (!strcmp(command, "canonicalize")) {
        major = gss_canonicalize_name(&minor, subject, &krb5, &name);
        about(name);
        printf("ok %u\n", major);
    } else if (!strcmp(command, "display")) {
        display();
    } else if (!strcmp(command, "export")) {
        major = gss_export_name(&minor, subject, &out);
        answer(major, &out);
    } else if (!strcmp(command, "export-composite")) {
        major = gss_export_name_composite(&minor, subject, &out);
        answer(major, &out);
    } else if (!strcmp(command, "same")) {
        int equal = 0;
        major = import(a, b, &name);
        if (!GSS_ERROR(major)) major = gss_compare_name(&minor, subject, name, &equal);
        printf("ok %u %d\n", major, equal);
        if (name) gss_release_name(&minor, &name);
    } else if (!strcmp(command, "attributes")) {
        list_attributes();
    } else if (!strcmp(command, "attribute")) {
        attribute(a);
    } else if (!strcmp(command, "localname")) {
        major = gss_localname(&minor, subject, &krb5, &out);
        answer(major, &out);
    } else {
        return 0;
    }
    return 1;
}
