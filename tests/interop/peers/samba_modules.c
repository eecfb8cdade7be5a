/* Has a Samba that was unpacked, not installed, find its modules where it was unpacked: loaded before its own libraries. */
#include <stdlib.h>

extern char *talloc_asprintf(const void *context, const char *format, ...);

char *modules_path(void *context, const char *name)
{
    return talloc_asprintf(context, "%s/%s", getenv("SAMBA_PEER_MODULES"), name);
}
