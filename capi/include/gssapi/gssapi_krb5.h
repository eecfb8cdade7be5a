/*
 * What the Kerberos mechanism has of its own (RFC 1964, RFC 4121, and MIT krb5 1.20).
 *
 * Where libkrb5's header is installed it is included, as MIT's gssapi_krb5.h includes it. The declarations do without: they have the
 * types that krb5.h gives its names to, so this header can be used where libkrb5 is not, and beside krb5.h in any order.
 */
#ifndef _GSSAPI_KRB5_H_
#define _GSSAPI_KRB5_H_

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <stdint.h>

#ifdef __has_include
#if __has_include(<krb5.h>)
#include <krb5.h>
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct _krb5_ccache;        /* krb5_ccache points to one */
struct _krb5_kt;            /* krb5_keytab */
struct krb5_principal_data; /* krb5_principal */
struct krb5_rc_st;          /* krb5_rcache */

/* Mechanisms. The last two are older object identifiers of Kerberos. */
extern const gss_OID gss_mech_krb5;
extern const gss_OID gss_mech_iakerb;
extern const gss_OID gss_mech_krb5_old;
extern const gss_OID gss_mech_krb5_wrong;
extern const gss_OID_set gss_mech_set_krb5;
extern const gss_OID_set gss_mech_set_krb5_old;
extern const gss_OID_set gss_mech_set_krb5_both;

/* Types of names, RFC 1964 section 2. */
extern const gss_OID GSS_KRB5_NT_PRINCIPAL_NAME;
extern const gss_OID GSS_KRB5_NT_ENTERPRISE_NAME; /* RFC 6806 section 5 */
extern const gss_OID GSS_KRB5_NT_X509_CERT;
#define GSS_KRB5_NT_HOSTBASED_SERVICE_NAME GSS_C_NT_HOSTBASED_SERVICE
#define GSS_KRB5_NT_USER_NAME GSS_C_NT_USER_NAME
#define GSS_KRB5_NT_MACHINE_UID_NAME GSS_C_NT_MACHINE_UID_NAME
#define GSS_KRB5_NT_STRING_UID_NAME GSS_C_NT_STRING_UID_NAME

/* Older names of them; some are in gssapi_generic.h. */
extern const gss_OID gss_nt_krb5_name;
extern const gss_OID gss_nt_krb5_principal;
#define gss_krb5_nt_general_name gss_nt_krb5_name
#define gss_krb5_nt_principal gss_nt_krb5_principal
#define gss_krb5_nt_service_name gss_nt_service_name
#define gss_krb5_nt_user_name gss_nt_user_name
#define gss_krb5_nt_machine_uid_name gss_nt_machine_uid_name
#define gss_krb5_nt_string_uid_name gss_nt_string_uid_name

/* gss_set_cred_option: a context's first token is not to ask for confidentiality and integrity. */
extern const gss_OID GSS_KRB5_CRED_NO_CI_FLAGS_X;
/* gss_inquire_cred_by_oid: who acts for the credential's user. */
extern const gss_OID GSS_KRB5_GET_CRED_IMPERSONATOR;

/* A context's keys, for programs that protect messages themselves. */
typedef struct gss_krb5_lucid_key {
    OM_uint32 type; /* the enctype */
    OM_uint32 length;
    void *data;
} gss_krb5_lucid_key_t;

typedef struct gss_krb5_rfc1964_keydata {
    OM_uint32 sign_alg;
    OM_uint32 seal_alg;
    gss_krb5_lucid_key_t ctx_key;
} gss_krb5_rfc1964_keydata_t;

typedef struct gss_krb5_cfx_keydata {
    OM_uint32 have_acceptor_subkey;
    gss_krb5_lucid_key_t ctx_key;
    gss_krb5_lucid_key_t acceptor_subkey; /* zeroes where there is none */
} gss_krb5_cfx_keydata_t;

typedef struct gss_krb5_lucid_context_v1 {
    OM_uint32 version; /* 1 */
    OM_uint32 initiate;
    OM_uint32 endtime; /* in seconds since 1970 */
    uint64_t send_seq;
    uint64_t recv_seq;
    OM_uint32 protocol; /* 0: RFC 1964, and rfc1964_kd counts; 1: RFC 4121, and cfx_kd does */
    gss_krb5_rfc1964_keydata_t rfc1964_kd;
    gss_krb5_cfx_keydata_t cfx_kd;
} gss_krb5_lucid_context_v1_t;

/* What every version of it begins with. */
typedef struct gss_krb5_lucid_context_version {
    OM_uint32 version;
} gss_krb5_lucid_context_version_t;

/* The context is gone after this call, whose answer gss_krb5_free_lucid_sec_context frees. */
OM_uint32 gss_krb5_export_lucid_sec_context(OM_uint32 *minor_status, gss_ctx_id_t *context_handle, OM_uint32 version,
                                            void **kctx);
OM_uint32 gss_krb5_free_lucid_sec_context(OM_uint32 *minor_status, void *kctx);

/* What a context's ticket says. */
OM_uint32 gss_krb5_get_tkt_flags(OM_uint32 *minor_status, gss_ctx_id_t context_handle, int32_t *ticket_flags);
OM_uint32 gsskrb5_extract_authz_data_from_sec_context(OM_uint32 *minor_status, const gss_ctx_id_t context_handle, int ad_type,
                                                      gss_buffer_t ad_data);
OM_uint32 gsskrb5_extract_authtime_from_sec_context(OM_uint32 *minor_status, gss_ctx_id_t context_handle, int32_t *authtime);

/* Credentials. ktypes are numbers of enctypes. */
OM_uint32 krb5_gss_register_acceptor_identity(const char *keytab);
#define gsskrb5_register_acceptor_identity krb5_gss_register_acceptor_identity
OM_uint32 gss_krb5_ccache_name(OM_uint32 *minor_status, const char *name, const char **out_name);
OM_uint32 gss_krb5_set_allowable_enctypes(OM_uint32 *minor_status, gss_cred_id_t cred, OM_uint32 num_ktypes, int32_t *ktypes);
OM_uint32 gss_krb5_copy_ccache(OM_uint32 *minor_status, gss_cred_id_t cred_handle, struct _krb5_ccache *out_ccache);
OM_uint32 gss_krb5_import_cred(OM_uint32 *minor_status, struct _krb5_ccache *id, struct krb5_principal_data *keytab_principal,
                               struct _krb5_kt *keytab, gss_cred_id_t *cred);
OM_uint32 gss_krb5_set_cred_rcache(OM_uint32 *minor_status, gss_cred_id_t cred, struct krb5_rc_st *rcache);

#ifdef __cplusplus
}
#endif

#endif
