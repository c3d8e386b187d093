"""The pieces of the Winsock form: those of POSIX where they are the same, with calls of Windows in the others."""

from __future__ import annotations

from conformance.report.reproduce_c_parts import MAIN, POSIX

_ERRORS = """\
#define E(name) {WSA##name, #name}
static const struct { int number; const char *name; } errors[] = {
@ERRORS@};
"""

_SET = """\
static int set(SOCKET fd, int level, int option, int value)
{
    if (option == LACKING) {
        WSASetLastError(fd == INVALID_SOCKET ? WSAENOTSOCK : WSAENOPROTOOPT);
        return -1;
    }
    return setsockopt(fd, level, option, (const char *)&value, sizeof value);
}
"""

_SETTLE = """\
static void settle(void) /* let the packets of the last call arrive */
{
    int number = WSAGetLastError();

    Sleep(10);
    WSASetLastError(number);
}
"""

#: a call that would block waits a second, then fails with WSAEINTR
_EXPIRED = """\
static void blocking(SOCKET fd, int yes)
{
    unsigned long value = !yes;

    ioctlsocket(fd, FIONBIO, &value);
}

static int waited(SOCKET fd, int writing) /* a second at most */
{
    struct timeval second = {1, 0};
    fd_set set, failed;
    int ready;

    FD_ZERO(&set);
    FD_ZERO(&failed);
    FD_SET(fd, &set);
    FD_SET(fd, &failed);
    ready = select(0, writing ? NULL : &set, writing ? &set : NULL, &failed, &second);
    if (ready == 0)
        WSASetLastError(WSAEINTR);
    return ready > 0;
}
"""

_CONNECT = """\
static int connect_to(SOCKET fd, const char *text)
{
    union address to;
    socklen_t length = address(&to, text, port);
    int result, error = 0, size = sizeof error;

    blocking(fd, 0);
    result = connect(fd, &to.any, length);
    if (result < 0 && WSAGetLastError() == WSAEWOULDBLOCK && waited(fd, 1)) {
        getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&error, &size);
        WSASetLastError(error);
        result = error ? -1 : 0;
    }
    error = WSAGetLastError();
    blocking(fd, 1);
    WSASetLastError(error);
@SETTLE@    return result;
}
"""

_ACCEPT = """\
static SOCKET accept_from(SOCKET fd)
{
    SOCKET result;
    int error;

    blocking(fd, 0);
    result = accept(fd, NULL, NULL);
    if (result == INVALID_SOCKET && WSAGetLastError() == WSAEWOULDBLOCK && waited(fd, 0))
        result = accept(fd, NULL, NULL);
    error = WSAGetLastError();
    blocking(fd, 1);
    WSASetLastError(error);
    return result;
}
"""

_READ = """\
static int read_all(SOCKET fd)
{
    char buffer[4096];
    int got, error;

    blocking(fd, 0);
    do
        got = recv(fd, buffer, sizeof buffer, 0);
    while (got > 0 || (got < 0 && WSAGetLastError() == WSAEWOULDBLOCK && waited(fd, 0)));
    error = WSAGetLastError();
    blocking(fd, 1);
    WSASetLastError(error);
    return got;
}
"""

_SHUT = """\
static int shut(SOCKET *fd)
{
    int result = closesocket(*fd);

    *fd = INVALID_SOCKET;
@SETTLE@    return result;
}
"""

_JOIN = """\
static int join(SOCKET fd, const char *group) /* on the loopback interface, which has the number 1 */
{
    struct ip_mreq v4;
    struct ipv6_mreq v6;

    if (!strchr(group, ':')) {
        inet_pton(AF_INET, group, &v4.imr_multiaddr);
        inet_pton(AF_INET, "127.0.0.1", &v4.imr_interface);
        return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, (char *)&v4, sizeof v4);
    }
    inet_pton(AF_INET6, group, &v6.ipv6mr_multiaddr);
    v6.ipv6mr_interface = 1;
    return setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, (char *)&v6, sizeof v6);
}
"""

_FREE = """\
static int is_free(int number) /* in both families and both protocols; WSAEACCES: Windows has set it apart */
{
    for (int i = 0; i < 4; i++) {
        SOCKET fd = socket(i & 1 ? AF_INET6 : AF_INET, i & 2 ? SOCK_DGRAM : SOCK_STREAM, 0);
        int taken = fd != INVALID_SOCKET && bind_to(fd, i & 1 ? "::" : "0.0.0.0", number) < 0;
        closesocket(fd);
        if (taken)
            return 0;
    }
    return 1;
}
"""

_HAS = """\
static int has_address(const char *text)
{
    SOCKET fd = socket(strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
    int result = bind_to(fd, text, 0);

    closesocket(fd);
    return result == 0;
}
"""

WINSOCK = {
    **POSIX,
    "errors": _ERRORS,
    "step": POSIX["step"].replace("= errno,", "= WSAGetLastError(),"),
    "plain-set": POSIX["plain-set"].replace("int fd", "SOCKET fd").replace("&value", "(const char *)&value"),
    "set": _SET,
    "bind": POSIX["bind"].replace("int fd", "SOCKET fd"),
    "expired": _EXPIRED,
    "settle": _SETTLE,
    "connect": _CONNECT,
    "accept": _ACCEPT,
    "read": _READ,
    "shut": _SHUT,
    "join": _JOIN,
    "free": _FREE,
    "has": _HAS,
}

WINSOCK_MAIN = MAIN.replace("@ALARM@", "    WSADATA data;\n").replace(
    "    port = argc", "    WSAStartup(MAKEWORD(2, 2), &data);\n    port = argc"
)
