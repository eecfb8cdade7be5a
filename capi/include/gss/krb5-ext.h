/* What GNU GSS has beside RFC 1964. */
#ifndef GSS_KRB5_EXT_H
#define GSS_KRB5_EXT_H

#include <gss/api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mechanism. */
extern gss_OID GSS_KRB5;

/* The descriptors that the constants point to, for initializers. */
extern gss_OID_desc GSS_KRB5_static;
extern gss_OID_desc GSS_KRB5_NT_USER_NAME_static;
/* Declared by GNU GSS, and in no library of theirs or ours: GSS_C_NT_HOSTBASED_SERVICE_static is the same. */
extern gss_OID_desc GSS_KRB5_NT_HOSTBASED_SERVICE_NAME_static;
extern gss_OID_desc GSS_KRB5_NT_PRINCIPAL_NAME_static;
extern gss_OID_desc GSS_KRB5_NT_MACHINE_UID_NAME_static;
extern gss_OID_desc GSS_KRB5_NT_STRING_UID_NAME_static;

#ifdef __cplusplus
}
#endif

#endif
