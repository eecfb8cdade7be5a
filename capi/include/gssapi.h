/* GSS-API, under the name that RFC 2744 gives its header. */
#include <gssapi/gssapi.h>
