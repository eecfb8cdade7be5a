/* Another name of gssapi_ext.h. */
#ifndef _GSS_MECHGLUE_H
#define _GSS_MECHGLUE_H

#include <gssapi/gssapi_ext.h>

#endif
