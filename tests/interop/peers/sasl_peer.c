/* A party of Cyrus SASL over MIT's GSS-API library, one command a line. Bytes are hex, nothing is "-".
 *
 *   client MECHANISM SERVICE HOST MAXSSF AUTHZID CBNAME CBDATA  ->  ok|continue|failed BYTES TEXT
 *   server MECHANISM SERVICE HOST MAXSSF RESPONSE CBNAME CBDATA ->  ok|continue|failed BYTES TEXT
 *   step BYTES                                                  ->  ok|continue|failed BYTES TEXT
 *   encode BYTES                                                ->  ok|failed BYTES
 *   decode BYTES                                                ->  ok|failed BYTES
 *   facts                                                       ->  ok SSF MAXOUT USER AUTHUSER
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sasl/sasl.h>

#define LINE (4 * 1024 * 1024)

static sasl_conn_t *connection;
static int is_client;
static char *authzid;
static sasl_channel_binding_t binding;

static unsigned char *from_hex(const char *text, unsigned *length) {
    unsigned char *out = malloc(strlen(text) / 2 + 1);
    unsigned byte;
    *length = 0;
    if (!strcmp(text, "-")) return out;
    for (; sscanf(text, "%2x", &byte) == 1 && text[1]; text += 2) out[(*length)++] = (unsigned char)byte;
    return out;
}

static void print_hex(const char *bytes, unsigned length) {
    unsigned i;
    if (length == 0) putchar('-');
    for (i = 0; i < length; i++) printf("%02x", (unsigned char)bytes[i]);
}

static int user(void *context, int id, const char **result, unsigned *length) {
    (void)context;
    *result = id == SASL_CB_USER ? authzid : "alice";
    if (length) *length = (unsigned)strlen(*result);
    return SASL_OK;
}

static int authorize(sasl_conn_t *conn, void *context, const char *requested, unsigned rlen, const char *who, unsigned alen,
                     const char *realm, unsigned urlen, struct propctx *properties) {
    (void)conn; (void)context; (void)requested; (void)rlen; (void)who; (void)alen; (void)realm; (void)urlen; (void)properties;
    return SASL_OK;
}

static int quiet(void *context, int level, const char *message) {
    (void)context;
    if (level <= SASL_LOG_WARN) fprintf(stderr, "sasl: %s\n", message);
    return SASL_OK;
}

/* The library's type for functions of every kind. */
#pragma GCC diagnostic ignored "-Wcast-function-type"
static sasl_callback_t callbacks[] = {
    {SASL_CB_USER, (int (*)(void))user, NULL},
    {SASL_CB_AUTHNAME, (int (*)(void))user, NULL},
    {SASL_CB_PROXY_POLICY, (int (*)(void))authorize, NULL},
    {SASL_CB_LOG, (int (*)(void))quiet, NULL},
    {SASL_CB_LIST_END, NULL, NULL},
};

static void answer(int result, const char *bytes, unsigned length) {
    const char *detail = connection ? sasl_errdetail(connection) : "no connection";
    printf("%s ", result == SASL_OK ? "ok" : result == SASL_CONTINUE ? "continue" : "failed");
    print_hex(bytes, bytes ? length : 0);
    printf(" %d", result);
    if (result != SASL_OK && result != SASL_CONTINUE) {
        putchar(' ');
        for (; *detail; detail++) putchar(*detail == '\n' ? ' ' : *detail);
    }
    putchar('\n');
}

static void begin(int client, char **words) {
    sasl_security_properties_t properties;
    const char *out = NULL, *chosen = NULL;
    unsigned length = 0, initial_length;
    int result;
    is_client = client;
    if (connection) sasl_dispose(&connection);
    authzid = client && strcmp(words[4], "-") ? strdup(words[4]) : "";
    result = client ? sasl_client_new(words[1], words[2], NULL, NULL, NULL, SASL_SUCCESS_DATA, &connection)
                    : sasl_server_new(words[1], words[2], NULL, NULL, NULL, NULL, SASL_SUCCESS_DATA, &connection);
    if (result == SASL_OK) {
        memset(&properties, 0, sizeof properties);
        properties.max_ssf = (sasl_ssf_t)atoi(words[3]);
        /* GSS-SPNEGO has no message that could tell the other side less than the usual size. */
        properties.maxbufsize = strcmp(words[0], "GSS-SPNEGO") ? 4096 : 65536;
        sasl_setprop(connection, SASL_SEC_PROPS, &properties);
        if (strcmp(words[5], "-")) {
            unsigned size;
            memset(&binding, 0, sizeof binding);
            binding.name = strdup(words[5]);
            binding.critical = client;
            binding.data = from_hex(words[6], &size);
            binding.len = size;
            sasl_setprop(connection, SASL_CHANNEL_BINDING, &binding);
        }
        if (client) {
            result = sasl_client_start(connection, words[0], NULL, &out, &length, &chosen);
        } else {
            unsigned char *initial = from_hex(words[4], &initial_length);
            result = sasl_server_start(connection, words[0], initial_length ? (char *)initial : NULL, initial_length, &out, &length);
        }
    }
    answer(result, out, length);
}

static void step(const char *hex) {
    const char *out = NULL;
    unsigned length, out_length = 0;
    unsigned char *in = from_hex(hex, &length);
    int result = is_client ? sasl_client_step(connection, (char *)in, length, NULL, &out, &out_length)
                           : sasl_server_step(connection, (char *)in, length, &out, &out_length);
    answer(result, out, out_length);
    free(in);
}

static void code(int encode, const char *hex) {
    const char *out = NULL;
    unsigned length, out_length = 0;
    unsigned char *in = from_hex(hex, &length);
    int result = encode ? sasl_encode(connection, (char *)in, length, &out, &out_length)
                        : sasl_decode(connection, (char *)in, length, &out, &out_length);
    answer(result, out, out_length);
    free(in);
}

static void facts(void) {
    const void *ssf = NULL, *maxout = NULL, *username = NULL, *authuser = NULL;
    sasl_getprop(connection, SASL_SSF, &ssf);
    sasl_getprop(connection, SASL_MAXOUTBUF, &maxout);
    sasl_getprop(connection, SASL_USERNAME, &username);
    sasl_getprop(connection, SASL_AUTHUSER, &authuser);
    printf("ok %u %u %s %s\n", ssf ? *(const sasl_ssf_t *)ssf : 0, maxout ? *(const unsigned *)maxout : 0,
           username ? (const char *)username : "-", authuser ? (const char *)authuser : "-");
}

int main(void) {
    char *line = malloc(LINE), *words[8];
    if (sasl_client_init(callbacks) != SASL_OK || sasl_server_init(callbacks, "baton-interop") != SASL_OK) return 1;
    while (fgets(line, LINE, stdin)) {
        int n;
        char *command = strtok(line, " \n");
        for (n = 0; n < 8; n++) words[n] = strtok(NULL, " \n");
        for (n = 0; n < 8; n++) if (!words[n]) words[n] = "-";
        if (!command) continue;
        if (!strcmp(command, "client")) begin(1, words);
        else if (!strcmp(command, "server")) begin(0, words);
        else if (!strcmp(command, "step")) step(words[0]);
        else if (!strcmp(command, "encode")) code(1, words[0]);
        else if (!strcmp(command, "decode")) code(0, words[0]);
        else if (!strcmp(command, "facts")) facts();
        else printf("unknown %s\n", command);
        fflush(stdout);
    }
    if (connection) sasl_dispose(&connection);
    free(line);
    return 0;
}
