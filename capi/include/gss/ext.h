/* What GNU GSS has beside RFC 2744. */
#ifndef GSS_EXT_H_
#define GSS_EXT_H_

#include <gss/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, if it is REQ_VERSION or later, or if that is null; else null. */
extern const char *gss_check_version(const char *req_version);

/* 1 if the name may act as the user of this host, else 0. */
extern int gss_userok(const gss_name_t name, const char *username);

/* The descriptors that the constants of gss/api.h point to, for initializers. */
extern gss_OID_desc GSS_C_NT_USER_NAME_static;
extern gss_OID_desc GSS_C_NT_MACHINE_UID_NAME_static;
extern gss_OID_desc GSS_C_NT_STRING_UID_NAME_static;
extern gss_OID_desc GSS_C_NT_HOSTBASED_SERVICE_X_static;
extern gss_OID_desc GSS_C_NT_HOSTBASED_SERVICE_static;
extern gss_OID_desc GSS_C_NT_ANONYMOUS_static;
extern gss_OID_desc GSS_C_NT_EXPORT_NAME_static;

#ifdef __cplusplus
}
#endif

#endif
