"""The pieces that C programs are put together from; ``reproduce_c.py`` chooses them and fills in what is between @."""

from __future__ import annotations

INCLUDES = """\
#define @FEATURES@ 1
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
@MORE@
"""

WINSOCK_INCLUDES = """\
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
@MORE@
#ifdef _MSC_VER
#pragma comment(lib, "ws2_32.lib")
#endif

"""

_OPTIONS = """\
#define LACKING (-1) /* an option that this platform has not */
@OPTIONS@"""

_ERRORS = """\
#define E(name) {name, #name}
static const struct { int number; const char *name; } errors[] = {
@ERRORS@};
"""

_PORT = "static int port, failures;\n"

_STEP = """\
static void step(const char *what, const char *expected, int result)
{
    const char *got = result < 0 ? "another error" : "ok";
    int number = errno, fine = 0;

    for (size_t i = 0; result < 0 && i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == number)
            got = errors[i].name;
    fine = @MATCH@;
    printf("%-24s %s%s%s\\n", what, got, fine ? "" : ", expected ", fine ? "" : expected);
    failures += !fine;
}
"""

#: a delivery is compared as a class, not as an error
_CHECK = """\
static void check(const char *what, const char *expected, const char *got)
{
    int fine = @MATCH@;

    printf("%-24s %s%s%s\\n", what, got, fine ? "" : ", expected ", fine ? "" : expected);
    failures += !fine;
}
"""

_AMONG = """\
static int among(const char *words, const char *got) /* alternatives are joined by |, ? is anything */
{
    char copy[256], *word;
    int fine = 0;

    snprintf(copy, sizeof copy, "%s", words);
    for (word = strtok(copy, "|"); word; word = strtok(NULL, "|"))
        fine |= !strcmp(word, got) || !strcmp(word, "?") || (!strcmp(word, "error") && strcmp(got, "ok"));
    return fine;
}
"""

_ADDRESS = """\
union address { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; };

static socklen_t address(union address *to, const char *text, int number)
{
    memset(to, 0, sizeof *to);
    if (strchr(text, ':')) {
        to->v6.sin6_family = AF_INET6;
        to->v6.sin6_port = htons((unsigned short)number);
        inet_pton(AF_INET6, text, &to->v6.sin6_addr);
        return sizeof to->v6;
    }
    to->v4.sin_family = AF_INET;
    to->v4.sin_port = htons((unsigned short)number);
    inet_pton(AF_INET, text, &to->v4.sin_addr);
    return sizeof to->v4;
}
"""

_PLAIN_SET = """\
static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}
"""

_SET = """\
static int set(int fd, int level, int option, int value)
{
    if (option == LACKING) {
        errno = fd < 0 ? EBADF : ENOPROTOOPT;
        return -1;
    }
    return setsockopt(fd, level, option, &value, sizeof value);
}
"""

_BIND = """\
static int bind_to(int fd, const char *text, int number)
{
    union address to;
    socklen_t length = address(&to, text, number);

    return bind(fd, &to.any, length);
}
"""

_EXPIRED = """\
static void expired(int number) /* alarm() only interrupts the call */
{
    (void)number;
}
"""

_SETTLE = """\
static void settle(void) /* let the packets of the last call arrive */
{
    int number = errno;

    poll(NULL, 0, 10);
    errno = number;
}
"""

_CONNECT = """\
static int connect_to(int fd, const char *text) /* waits a second at most */
{
    union address to;
    socklen_t length = address(&to, text, port), size = sizeof(int);
    int flags = fcntl(fd, F_GETFL), error = 0, result;
    struct pollfd wait = {fd, POLLOUT, 0};

    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
@AGAIN@    result = connect(fd, &to.any, length);
    if (result < 0 && errno == EINPROGRESS) {
        if (poll(&wait, 1, 1000) == 0)
            error = EINTR;
        else
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        errno = error;
        result = error ? -1 : 0;
    }
    error = errno;
    fcntl(fd, F_SETFL, flags);
    errno = error;
@SETTLE@    return result;
}
"""

#: for a scenario that connects a socket twice
AGAIN = """\
    union address peer;
    socklen_t room = sizeof peer;
    int stream = 0;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &stream, &size);
    if (stream == SOCK_STREAM && getpeername(fd, &peer.any, &room) == 0)
        connect(fd, &to.any, length); /* Linux tells the end of the first connect() here */
    size = sizeof error;
"""

_ACCEPT = """\
static int accept_from(int fd)
{
    int result;

    alarm(1);
    result = accept(fd, NULL, NULL);
    alarm(0);
    return result;
}
"""

_READ = """\
static int read_all(int fd)
{
    char buffer[4096];
    ssize_t got;

    alarm(1);
    do
        got = recv(fd, buffer, sizeof buffer, 0);
    while (got > 0);
    alarm(0);
    return (int)got;
}
"""

_SHUT = """\
static int shut(int *fd)
{
    int result = close(*fd);

    *fd = -1;
@SETTLE@    return result;
}
"""

_JOIN = """\
static int join(int fd, const char *group) /* on the loopback interface */
{
    struct ip_mreq v4;
    struct ipv6_mreq v6;

    if (!strchr(group, ':')) {
        inet_pton(AF_INET, group, &v4.imr_multiaddr);
        inet_pton(AF_INET, "127.0.0.1", &v4.imr_interface);
        return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof v4);
    }
    inet_pton(AF_INET6, group, &v6.ipv6mr_multiaddr);
    v6.ipv6mr_interface = if_nametoindex("lo") ? if_nametoindex("lo") : if_nametoindex("lo0");
    return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof v6);
}
"""

_FREE = """\
static int is_free(int number) /* in both families and both protocols */
{
    for (int i = 0; i < 4; i++) {
        int fd = socket(i & 1 ? AF_INET6 : AF_INET, i & 2 ? SOCK_DGRAM : SOCK_STREAM, 0);
        int taken = fd >= 0 && bind_to(fd, i & 1 ? "::" : "0.0.0.0", number) < 0 && errno == EADDRINUSE;
        close(fd);
        if (taken)
            return 0;
    }
    return 1;
}
"""

_HAS = """\
static int has_address(const char *text)
{
    int fd = socket(strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    int result = bind_to(fd, text, 0);

    close(fd);
    return result == 0;
}
"""

_TALLY = """\
struct server { const char *name; int fd, count; };

static void take(struct server *s, int kind) /* count what waits at a socket */
{
    char byte[16];
    int flags = fcntl(s->fd, F_GETFL), got;

    fcntl(s->fd, F_SETFL, flags | O_NONBLOCK);
    while ((got = kind == SOCK_STREAM ? accept(s->fd, NULL, NULL) : (int)recv(s->fd, byte, 16, 0)) >= 0) {
        s->count++;
        if (kind == SOCK_STREAM)
            close(got);
    }
    fcntl(s->fd, F_SETFL, flags);
}

/* a: all of 32 to a; spread:a,b: shared; every:a,b: a copy each; refused, none; else the counts */
static const char *class_of(const struct server *servers, int refused)
{
    static char text[512];
    char names[200] = "", numbers[250] = "";
    int total = refused, some = 0, whole = 0;

    for (const struct server *s = servers; s->name; s++) {
        if (s->count == 0)
            continue;
        sprintf(names + strlen(names), "%s%s", some ? "," : "", s->name);
        sprintf(numbers + strlen(numbers), "%s%s:%d", some++ ? "," : "", s->name, s->count);
        total += s->count;
        whole += s->count == 32;
    }
    if (refused) {
        sprintf(names + strlen(names), "%srefused", some ? "," : "");
        sprintf(numbers + strlen(numbers), "%srefused:%d", some ? "," : "", refused);
    }
    if (some == 0)
        return refused ? "refused" : "none";
    if (!refused && whole == some)
        snprintf(text, sizeof text, "%s%s", some > 1 ? "every:" : "", names);
    else
        snprintf(text, sizeof text, "%s%s", total == 32 ? "spread:" : "", total == 32 ? names : numbers);
    return text;
}
"""

_CLIENTS = """\
static int failed(int fd) /* a refusal shows as an error of the client's socket */
{
    int error = 0;
    socklen_t length = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error != 0;
}

static const char *deliver(const char *text, int kind, int flow, struct server *servers)
{
    static const struct linger reset = {1, 0}; /* leaves no TIME_WAIT */
    union address to;
    socklen_t length = address(&to, text, port);
    int clients[32], off = 0, refused = 0;

    for (struct server *s = servers; s->name; s++) {
        take(s, kind); /* what came before */
        s->count = 0;
    }
    for (int i = 0; i < 32; i++) {
        if (i == 0 || !flow) {
            clients[i] = socket(to.any.sa_family, kind, 0);
            if (to.any.sa_family == AF_INET6)
                setsockopt(clients[i], IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
@GROUP@            alarm(1);
            refused += connect(clients[i], &to.any, length) < 0;
            alarm(0);
        } else {
            clients[i] = clients[0];
        }
        if (kind == SOCK_DGRAM)
            refused += send(clients[i], ".", 1, 0) < 0;
        refused += flow && failed(clients[i]);
    }
    poll(NULL, 0, 50);
    for (struct server *s = servers; s->name; s++)
        take(s, kind);
    for (int i = 0; i < (flow ? 1 : 32); i++) {
        refused += kind == SOCK_DGRAM && failed(clients[i]);
        if (kind == SOCK_STREAM)
            setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(clients[i]);
    }
    return class_of(servers, refused);
}
"""

#: a group is reached over the loopback interface alone
GROUP = """\
            struct in_addr loopback = {htonl(INADDR_LOOPBACK)};
            unsigned index = if_nametoindex("lo") ? if_nametoindex("lo") : if_nametoindex("lo0");
            if (to.any.sa_family == AF_INET6) {
                setsockopt(clients[i], IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
                to.v6.sin6_scope_id = index;
            } else {
                setsockopt(clients[i], IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback);
            }
"""

POSIX = {
    "options": _OPTIONS,
    "errors": _ERRORS,
    "port": _PORT,
    "among": _AMONG,
    "step": _STEP,
    "check": _CHECK,
    "address": _ADDRESS,
    "plain-set": _PLAIN_SET,
    "set": _SET,
    "bind": _BIND,
    "expired": _EXPIRED,
    "settle": _SETTLE,
    "connect": _CONNECT,
    "accept": _ACCEPT,
    "read": _READ,
    "shut": _SHUT,
    "join": _JOIN,
    "free": _FREE,
    "has": _HAS,
    "tally": _TALLY,
    "clients": _CLIENTS,
}

ALARM = """\
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = expired;
    sigaction(SIGALRM, &action, NULL);
"""

#: a multiple of 128 is special on NetBSD
CHOOSE = """\
    while (argc < 2 && (port % 128 == 0 || !is_free(port)))
        port++;
"""

MAIN = """\
int main(int argc, char **argv)
{
@SOCKETS@@ALARM@
    port = argc > 1 ? atoi(argv[1]) : @PORT@;
@CHOOSE@    if (!is_free(port)) {
        fprintf(stderr, "set-up failed: port %d is taken\\n", port);
        return 2;
    }
@NEEDS@
@STEPS@
@CLOSE@    puts(failures ? "NOT as expected" : "as expected");
    return failures != 0;
}
"""

LEFT_OUT = """\
int main(void)
{
    puts("set-up failed: the Winsock form leaves out @STEP@; use the Python program");
    return 2;
}
"""
