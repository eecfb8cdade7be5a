/* A program that lives where libraries are not at ease: each way to live is a command. It ends with 0, or says what is wrong. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>

#define MUST(what)                                                                                                     \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "line %d: %s (%#x/%u)\n", __LINE__, #what, major, minor);                                  \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

static OM_uint32 major, minor;
static gss_cred_id_t keys;
static gss_ctx_id_t client, server;

static gss_buffer_desc text(const char *words)
{
    gss_buffer_desc buffer = {strlen(words), (void *)words};
    return buffer;
}

static gss_name_t service(void)
{
    gss_buffer_desc name = text("e18@localhost");
    gss_name_t imported;
    major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &imported);
    MUST(major == GSS_S_COMPLETE);
    return imported;
}

static void acquire(void)
{
    major = gss_acquire_cred(&minor, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET, GSS_C_ACCEPT, &keys, NULL, NULL);
    MUST(major == GSS_S_COMPLETE);
}

static gss_buffer_desc first(void)
{
    gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
    gss_name_t target = service();
    major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &client, target, GSS_C_NO_OID,
                                 GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG, 0, NULL, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
    MUST(major == GSS_S_CONTINUE_NEEDED);
    gss_release_name(&minor, &target);
    return token;
}

static void finish(gss_buffer_desc token)
{
    gss_buffer_desc answer = GSS_C_EMPTY_BUFFER, none = GSS_C_EMPTY_BUFFER;
    gss_name_t target = GSS_C_NO_NAME, source = GSS_C_NO_NAME;
    major = gss_accept_sec_context(&minor, &server, keys, &token, NULL, &source, NULL, &answer, NULL, NULL, NULL);
    MUST(major == GSS_S_COMPLETE);
    major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &client, target, GSS_C_NO_OID, 0, 0, NULL, &answer, NULL, &none,
                                 NULL, NULL);
    MUST(major == GSS_S_COMPLETE || major == (GSS_S_CALL_INACCESSIBLE_READ | GSS_S_BAD_NAME));
    gss_release_buffer(&minor, &answer);
    gss_release_name(&minor, &source);
}

static void establish(void)
{
    acquire();
    finish(first());
}

static void messages(gss_ctx_id_t from, gss_ctx_id_t to)
{
    for (int conf = 0; conf < 2; conf++) {
        gss_buffer_desc said = text("what is said"), token, found;
        major = gss_wrap(&minor, from, conf, 0, &said, NULL, &token);
        MUST(major == GSS_S_COMPLETE);
        major = gss_unwrap(&minor, to, &token, &found, NULL, NULL);
        MUST(major == GSS_S_COMPLETE && found.length == said.length && !memcmp(found.value, said.value, said.length));
        gss_release_buffer(&minor, &token);
        gss_release_buffer(&minor, &found);
        major = gss_get_mic(&minor, from, 0, &said, &token);
        MUST(major == GSS_S_COMPLETE);
        major = gss_verify_mic(&minor, to, &said, &token, NULL);
        MUST(major == GSS_S_COMPLETE);
        gss_release_buffer(&minor, &token);
    }
}

static void inquire(gss_ctx_id_t context)
{
    gss_name_t source, target;
    gss_buffer_desc shown, input = text("input"), output;
    OM_uint32 size, left;
    major = gss_inquire_context(&minor, context, &source, &target, &left, NULL, NULL, NULL, NULL);
    MUST(major == GSS_S_COMPLETE);
    major = gss_display_name(&minor, source, &shown, NULL);
    MUST(major == GSS_S_COMPLETE && shown.length == strlen("alice@INTEROP.TEST"));
    gss_release_buffer(&minor, &shown);
    gss_release_name(&minor, &source);
    gss_release_name(&minor, &target);
    major = gss_context_time(&minor, context, &left);
    MUST(major == GSS_S_COMPLETE && left > 0);
    major = gss_wrap_size_limit(&minor, context, 1, 0, 1000, &size);
    MUST(major == GSS_S_COMPLETE && size > 0);
    major = gss_pseudo_random(&minor, context, GSS_C_PRF_KEY_FULL, &input, 32, &output);
    MUST(major == GSS_S_COMPLETE);
    gss_release_buffer(&minor, &output);
}

static void drop(gss_ctx_id_t *context)
{
    major = gss_delete_sec_context(&minor, context, GSS_C_NO_BUFFER);
    MUST(major == GSS_S_COMPLETE && *context == GSS_C_NO_CONTEXT);
}

static int entries(const char *folder)
{
    int count = 0;
    DIR *open = opendir(folder);
    while (open && readdir(open)) count++;
    if (open) closedir(open);
    return count;
}

/* What sshd's unprivileged process may do before the login. Files are refused to it, and any other call kills. */
static void shut_in(void)
{
    static const int allowed[] = {SYS_brk,    SYS_clock_gettime, SYS_close,  SYS_exit,      SYS_exit_group, SYS_futex,
                                  SYS_geteuid, SYS_getpid,       SYS_getrandom, SYS_gettimeofday, SYS_getuid, SYS_madvise,
                                  SYS_mmap,   SYS_mremap,        SYS_munmap, SYS_nanosleep, SYS_poll,       SYS_read,
                                  SYS_rt_sigprocmask, SYS_write};
    static const int refused[] = {SYS_open, SYS_openat, SYS_stat, SYS_lstat, SYS_statx, SYS_newfstatat};
    enum { COUNT = sizeof allowed / sizeof *allowed, REFUSED = sizeof refused / sizeof *refused };
    struct sock_filter filter[2 * (COUNT + REFUSED) + 2];
    size_t at = 0;
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < COUNT; i++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    for (int i = 0; i < REFUSED; i++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {at, filter};
    struct rlimit none = {0, 0};
    MUST(!setrlimit(RLIMIT_FSIZE, &none) && !setrlimit(RLIMIT_NOFILE, &none) && !setrlimit(RLIMIT_NPROC, &none));
    MUST(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

/* Messages and questions of a context that was there before. */
static void sandbox(void)
{
    establish();
    shut_in();
    messages(client, server);
    messages(server, client);
    inquire(server);
    drop(&client);
    drop(&server);
    gss_release_cred(&minor, &keys);
    _exit(0);
}

static int ended(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

/* A child goes on with a context, whatever its parent deletes. */
static void forked(void)
{
    establish();
    pid_t child = fork();
    if (!child) {
        sleep(1);
        messages(server, client);
        messages(client, server);
        inquire(server);
        drop(&server);
        _exit(0);
    }
    drop(&server);
    MUST(ended(child) == 0);
    inquire(client);
    exit(0);
}

/* Once a child has exported its copy, every other is dead, and can be deleted. */
static void forked_export(void)
{
    gss_buffer_desc said = text("what is said"), token = GSS_C_EMPTY_BUFFER;
    int pipes[2];
    static char bytes[8192];
    establish();
    MUST(!pipe(pipes));
    pid_t child = fork();
    if (!child) {
        major = gss_export_sec_context(&minor, &server, &token);
        MUST(major == GSS_S_COMPLETE && server == GSS_C_NO_CONTEXT);
        MUST(write(pipes[1], token.value, token.length) == (ssize_t)token.length);
        _exit(0);
    }
    MUST(ended(child) == 0);
    ssize_t length = read(pipes[0], bytes, sizeof bytes);
    MUST(length > 0);
    major = gss_wrap(&minor, server, 1, 0, &said, NULL, &token);
    MUST(major == GSS_S_NO_CONTEXT);
    gss_buffer_desc refused = GSS_C_EMPTY_BUFFER;
    major = gss_export_sec_context(&minor, &server, &refused);
    MUST(major == GSS_S_NO_CONTEXT && !refused.length);
    drop(&server);
    gss_buffer_desc exported = {length, bytes};
    major = gss_import_sec_context(&minor, &exported, &server);
    MUST(major == GSS_S_COMPLETE);
    messages(client, server);
    exit(0);
}

/* Nothing of the process changes but what was asked for. */
static void untouched(void)
{
    struct sigaction before[NSIG], after[NSIG];
    sigset_t mask_before, mask_after;
    memset(before, 0, sizeof before);
    memset(after, 0, sizeof after);
    sigemptyset(&mask_before);
    sigemptyset(&mask_after);
    signal(SIGPIPE, SIG_DFL);
    setlocale(LC_ALL, "C");
    sigprocmask(SIG_SETMASK, NULL, &mask_before);
    for (int i = 1; i < NSIG; i++) sigaction(i, NULL, &before[i]);
    char *folder = getcwd(NULL, 0);
    mode_t mask = umask(022);
    establish();
    int files = entries("/proc/self/fd");
    errno = 77;
    messages(client, server);
    MUST(errno == 77);
    inquire(client);
    drop(&client);
    drop(&server);
    for (int i = 1; i < NSIG; i++) sigaction(i, NULL, &after[i]);
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    for (int i = 1; i < NSIG; i++) MUST(before[i].sa_handler == after[i].sa_handler);
    for (int i = 1; i < NSIG; i++) MUST(sigismember(&mask_before, i) == sigismember(&mask_after, i));
    MUST(!strcmp(setlocale(LC_ALL, NULL), "C"));
    MUST(!strcmp(getcwd(NULL, 0), folder) && umask(mask) == 022);
    MUST(entries("/proc/self/task") == 3 && entries("/proc/self/fd") == files);
    exit(0);
}

/* Without files, a context goes on. */
static void chrooted(const char *folder)
{
    gss_buffer_desc words;
    gss_cred_id_t none;
    OM_uint32 more = 0;
    establish();
    MUST(!chroot(folder) && !chdir("/"));
    messages(client, server);
    inquire(client);
    major = gss_acquire_cred(&minor, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET, GSS_C_INITIATE, &none, NULL, NULL);
    MUST(GSS_ERROR(major) && gss_display_status(&major, minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &words) == GSS_S_COMPLETE);
    drop(&client);
    drop(&server);
    exit(0);
}

/* With another user's rights the environment is its caller's and says nothing. */
static void realm(void)
{
    gss_buffer_desc user = text("alice"), shown;
    gss_name_t name, canonical;
    major = gss_import_name(&minor, &user, GSS_C_NT_USER_NAME, &name);
    MUST(major == GSS_S_COMPLETE);
    major = gss_canonicalize_name(&minor, name, (gss_OID)gss_mech_krb5, &canonical);
    printf("%d %d ", (int)getuid(), (int)geteuid());
    if (GSS_ERROR(major)) {
        printf("none\n");
        exit(0);
    }
    MUST(gss_display_name(&minor, canonical, &shown, NULL) == GSS_S_COMPLETE);
    printf("%.*s\n", (int)shown.length, (char *)shown.value);
    exit(0);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (!strcmp(command, "sandbox")) sandbox();
    if (!strcmp(command, "fork")) forked();
    if (!strcmp(command, "fork-export")) forked_export();
    if (!strcmp(command, "untouched")) untouched();
    if (!strcmp(command, "chroot") && argc > 2) chrooted(argv[2]);
    if (!strcmp(command, "realm")) realm();
    fprintf(stderr, "no such command\n");
    return 2;
}
