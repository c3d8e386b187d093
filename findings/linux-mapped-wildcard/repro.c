/*
 * a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1
 *
 * Expected by the reporter: the second column below.
 * cc -std=c99 -o repro repro.c && ./repro [PORT]
 * Exit status: 0 as expected, 1 not, 2 the set-up failed.
 */
#define _DEFAULT_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define E(name) {name, #name}
static const struct { int number; const char *name; } errors[] = {
    E(EACCES), E(EADDRINUSE), E(EADDRNOTAVAIL), E(EBADF), E(EINVAL), E(EPERM),
};

static int port, failures;

static void step(const char *what, const char *expected, int result)
{
    const char *got = result < 0 ? "another error" : "ok";
    int number = errno, fine = 0;

    for (size_t i = 0; result < 0 && i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == number)
            got = errors[i].name;
    fine = strcmp(expected, got) == 0;
    printf("%-24s %s%s%s\n", what, got, fine ? "" : ", expected ", fine ? "" : expected);
    failures += !fine;
}

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

static int set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

static int bind_to(int fd, const char *text, int number)
{
    union address to;
    socklen_t length = address(&to, text, number);

    return bind(fd, &to.any, length);
}

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

static int has_address(const char *text)
{
    int fd = socket(strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    int result = bind_to(fd, text, 0);

    close(fd);
    return result == 0;
}

int main(int argc, char **argv)
{
    int a = -1, b = -1;

    port = argc > 1 ? atoi(argv[1]) : 10000 + (int)getpid() % 20000;
    while (argc < 2 && (port % 128 == 0 || !is_free(port)))
        port++;
    if (!is_free(port)) {
        fprintf(stderr, "set-up failed: port %d is taken\n", port);
        return 2;
    }
    if (!has_address("::1")) {
        fputs("set-up failed: ::1 is no address of this host\n", stderr);
        return 2;
    }

    step("a=tcp6",                  "ok",         a = socket(AF_INET6, SOCK_STREAM, 0));
    step("a.v6only=0",              "ok",         set(a, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    step("a.bind=::ffff:0.0.0.0",   "ok",         bind_to(a, "::ffff:0.0.0.0", port));
    step("b=tcp6",                  "ok",         b = socket(AF_INET6, SOCK_STREAM, 0));
    step("b.v6only=0",              "ok",         set(b, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    step("b.bind=::ffff:127.0.0.1", "EADDRINUSE", bind_to(b, "::ffff:127.0.0.1", port));

    close(a); close(b);
    puts(failures ? "NOT as expected" : "as expected");
    return failures != 0;
}
