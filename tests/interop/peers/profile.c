/*
 * What MIT's profile library reads: `profile FILES [NAME...]` prints each value of the relation at the path NAME... and
 * a byte 0x1e after each, which no test's value holds. FILES is a list with colons, as in KRB5_CONFIG.
 */
#include <profile.h>
#include <stdio.h>

int main(int argc, char **argv) {
    profile_t profile;
    char **values;
    long code;
    (void)argc;
    code = profile_init_path(argv[1], &profile);
    if (code) {
        printf("error %ld\n", code);
        return 0;
    }
    code = profile_get_values(profile, (const char *const *)(argv + 2), &values);
    if (!code) {
        char **value;
        for (value = values; *value; value++) printf("%s\x1e", *value);
        profile_free_list(values);
    }
    profile_release(profile);
    return 0;
}
