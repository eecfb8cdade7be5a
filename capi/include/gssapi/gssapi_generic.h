/* Older names of the types of names, which MIT krb5 keeps. */
#ifndef _GSSAPI_GENERIC_H_
#define _GSSAPI_GENERIC_H_

#include <gssapi/gssapi.h>

#if defined(__cplusplus) && !defined(GSSAPIGENERIC_BEGIN_DECLS)
#define GSSAPIGENERIC_BEGIN_DECLS extern "C" {
#define GSSAPIGENERIC_END_DECLS }
#else
#define GSSAPIGENERIC_BEGIN_DECLS
#define GSSAPIGENERIC_END_DECLS
#endif

/* Whether there are no bytes in it. */
#define GSS_EMPTY_BUFFER(buffer) ((buffer) == NULL || (buffer)->value == NULL || (buffer)->length == 0)

GSSAPIGENERIC_BEGIN_DECLS

extern gss_OID gss_nt_user_name;
extern gss_OID gss_nt_machine_uid_name;
extern gss_OID gss_nt_string_uid_name;
extern gss_OID gss_nt_service_name_v2;
extern gss_OID gss_nt_service_name;
extern gss_OID gss_nt_exported_name;

GSSAPIGENERIC_END_DECLS

#endif
