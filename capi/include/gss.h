/* GSS-API in the interface of GNU GSS 1.0.4 (libgss.so.3). */
#ifndef _GSS_H
#define _GSS_H

/* The interface's version, which gss_check_version compares with the library's. */
#define GSS_VERSION "1.0.4"
#define GSS_VERSION_MAJOR 1
#define GSS_VERSION_MINOR 0
#define GSS_VERSION_PATCH 4
#define GSS_VERSION_NUMBER 0x010004

#include <gss/api.h>
#include <gss/ext.h>
#include <gss/krb5.h>
#include <gss/krb5-ext.h>

#endif
