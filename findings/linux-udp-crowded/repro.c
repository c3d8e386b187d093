/*
 * a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 c=udp4 c.reuseaddr=1
 * c.bind=127.0.0.1 d=udp4 d.reuseaddr=1 d.bind=127.0.0.1 e=udp4 e.reuseaddr=1 e.bind=127.0.0.1
 * f=udp4 f.reuseaddr=1 f.bind=127.0.0.1 g=udp4 g.reuseaddr=1 g.bind=127.0.0.1 h=udp4 h.reuseaddr=1
 * h.bind=127.0.0.1 i=udp4 i.reuseaddr=1 i.bind=127.0.0.1 j=udp4 j.reuseaddr=1 j.bind=127.0.0.1
 * k=udp4 k.reuseaddr=1 k.bind=127.0.0.1 x=udp4 x.bind=0.0.0.0
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

int main(int argc, char **argv)
{
    int a = -1, b = -1, c = -1, d = -1, e = -1, f = -1, g = -1, h = -1, i = -1, j = -1, k = -1, x = -1;

    port = argc > 1 ? atoi(argv[1]) : 10000 + (int)getpid() % 20000;
    while (argc < 2 && (port % 128 == 0 || !is_free(port)))
        port++;
    if (!is_free(port)) {
        fprintf(stderr, "set-up failed: port %d is taken\n", port);
        return 2;
    }

    step("a=udp4",           "ok",         a = socket(AF_INET, SOCK_DGRAM, 0));
    step("a.reuseaddr=1",    "ok",         set(a, SOL_SOCKET, SO_REUSEADDR, 1));
    step("a.bind=127.0.0.1", "ok",         bind_to(a, "127.0.0.1", port));
    step("b=udp4",           "ok",         b = socket(AF_INET, SOCK_DGRAM, 0));
    step("b.reuseaddr=1",    "ok",         set(b, SOL_SOCKET, SO_REUSEADDR, 1));
    step("b.bind=127.0.0.1", "ok",         bind_to(b, "127.0.0.1", port));
    step("c=udp4",           "ok",         c = socket(AF_INET, SOCK_DGRAM, 0));
    step("c.reuseaddr=1",    "ok",         set(c, SOL_SOCKET, SO_REUSEADDR, 1));
    step("c.bind=127.0.0.1", "ok",         bind_to(c, "127.0.0.1", port));
    step("d=udp4",           "ok",         d = socket(AF_INET, SOCK_DGRAM, 0));
    step("d.reuseaddr=1",    "ok",         set(d, SOL_SOCKET, SO_REUSEADDR, 1));
    step("d.bind=127.0.0.1", "ok",         bind_to(d, "127.0.0.1", port));
    step("e=udp4",           "ok",         e = socket(AF_INET, SOCK_DGRAM, 0));
    step("e.reuseaddr=1",    "ok",         set(e, SOL_SOCKET, SO_REUSEADDR, 1));
    step("e.bind=127.0.0.1", "ok",         bind_to(e, "127.0.0.1", port));
    step("f=udp4",           "ok",         f = socket(AF_INET, SOCK_DGRAM, 0));
    step("f.reuseaddr=1",    "ok",         set(f, SOL_SOCKET, SO_REUSEADDR, 1));
    step("f.bind=127.0.0.1", "ok",         bind_to(f, "127.0.0.1", port));
    step("g=udp4",           "ok",         g = socket(AF_INET, SOCK_DGRAM, 0));
    step("g.reuseaddr=1",    "ok",         set(g, SOL_SOCKET, SO_REUSEADDR, 1));
    step("g.bind=127.0.0.1", "ok",         bind_to(g, "127.0.0.1", port));
    step("h=udp4",           "ok",         h = socket(AF_INET, SOCK_DGRAM, 0));
    step("h.reuseaddr=1",    "ok",         set(h, SOL_SOCKET, SO_REUSEADDR, 1));
    step("h.bind=127.0.0.1", "ok",         bind_to(h, "127.0.0.1", port));
    step("i=udp4",           "ok",         i = socket(AF_INET, SOCK_DGRAM, 0));
    step("i.reuseaddr=1",    "ok",         set(i, SOL_SOCKET, SO_REUSEADDR, 1));
    step("i.bind=127.0.0.1", "ok",         bind_to(i, "127.0.0.1", port));
    step("j=udp4",           "ok",         j = socket(AF_INET, SOCK_DGRAM, 0));
    step("j.reuseaddr=1",    "ok",         set(j, SOL_SOCKET, SO_REUSEADDR, 1));
    step("j.bind=127.0.0.1", "ok",         bind_to(j, "127.0.0.1", port));
    step("k=udp4",           "ok",         k = socket(AF_INET, SOCK_DGRAM, 0));
    step("k.reuseaddr=1",    "ok",         set(k, SOL_SOCKET, SO_REUSEADDR, 1));
    step("k.bind=127.0.0.1", "ok",         bind_to(k, "127.0.0.1", port));
    step("x=udp4",           "ok",         x = socket(AF_INET, SOCK_DGRAM, 0));
    step("x.bind=0.0.0.0",   "EADDRINUSE", bind_to(x, "0.0.0.0", port));

    close(a); close(b); close(c); close(d); close(e); close(f); close(g); close(h); close(i); close(j); close(k); close(x);
    puts(failures ? "NOT as expected" : "as expected");
    return failures != 0;
}
