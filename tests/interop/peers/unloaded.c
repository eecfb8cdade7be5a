/* Loads a library again and again, uses it in threads, and unloads it: while they live, and before they end. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gssapi/gssapi.h>

#define MUST(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "line %d: %s\n", __LINE__, #what);                                                         \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

typedef OM_uint32 import_name(OM_uint32 *, gss_buffer_t, gss_OID, gss_name_t *);
typedef OM_uint32 release_name(OM_uint32 *, gss_name_t *);
typedef OM_uint32 acquire_cred(OM_uint32 *, gss_name_t, OM_uint32, gss_OID_set, int, gss_cred_id_t *, gss_OID_set *, OM_uint32 *);
typedef OM_uint32 display_status(OM_uint32 *, OM_uint32, int, gss_OID, OM_uint32 *, gss_buffer_t);
typedef OM_uint32 release_buffer(OM_uint32 *, gss_buffer_t);

static void *library;
static pthread_barrier_t used, unloaded;

static void *thread(void *unused)
{
    OM_uint32 minor, ignored, more = 0;
    gss_name_t name;
    gss_cred_id_t cred;
    gss_buffer_desc user = {5, "alice"}, words;
    (void)unused;
    MUST(((import_name *)dlsym(library, "gss_import_name"))(&minor, &user, GSS_C_NO_OID, &name) == GSS_S_COMPLETE);
    MUST(((release_name *)dlsym(library, "gss_release_name"))(&minor, &name) == GSS_S_COMPLETE);
    /* An error leaves its text in the thread. */
    OM_uint32 major = ((acquire_cred *)dlsym(library, "gss_acquire_cred"))(&minor, NULL, 0, NULL, GSS_C_INITIATE, &cred, NULL, NULL);
    MUST(GSS_ERROR(major));
    MUST(((display_status *)dlsym(library, "gss_display_status"))(&ignored, minor, GSS_C_MECH_CODE, NULL, &more, &words) == 0);
    MUST(((release_buffer *)dlsym(library, "gss_release_buffer"))(&ignored, &words) == GSS_S_COMPLETE);
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&unloaded);
    return NULL;
}

int main(void)
{
    pthread_t threads[3];
    for (int round = 0; round < 20; round++) {
        library = dlopen("libgssapi_krb5.so.2", RTLD_NOW | RTLD_LOCAL);
        MUST(library);
        pthread_barrier_init(&used, NULL, 4);
        pthread_barrier_init(&unloaded, NULL, 4);
        for (int i = 0; i < 3; i++) MUST(!pthread_create(&threads[i], NULL, thread, NULL));
        pthread_barrier_wait(&used);
        /* Half of the time the threads outlive it. */
        if (round % 2) MUST(!dlclose(library));
        pthread_barrier_wait(&unloaded);
        for (int i = 0; i < 3; i++) MUST(!pthread_join(threads[i], NULL));
        if (round % 2 == 0) MUST(!dlclose(library));
    }
    return 0;
}
