"""The pieces of C programs for Winsock that differ from those of POSIX in ``c_text.py``."""

from __future__ import annotations

from bindmatrix.reproduce.c_text import RECEIVED, Dialect

_CHECK = """\
static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? WSAGetLastError() : 0;

	printf("%-24s error %d, expected %d\\n", step, error, expected);
	failures += error != expected;
@AFTER@}
"""

_CHECK_AND_EXPECT = """\
static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? WSAGetLastError() : 0;
	char what[16];

	printf("%-24s error %d\\n", step, error);
	sprintf(what, "error %d", expected);
	expect(error == expected, what);
}
"""

_DATAGRAMS = """\
	for (@GOT@ = 0; readable(@SOCKET@, 0) && recv(@SOCKET@, &byte, 1, 0) >= 0;)
		@GOT@++;
"""

_CONNECTIONS = """\
static int connections(SOCKET fd)
{
	SOCKET child;
	int count = 0;

	while (readable(fd, 0) && (child = accept(fd, NULL, NULL)) != INVALID_SOCKET) {
		closesocket(child);
		count++;
	}
	return count;
}
"""

_READABLE = """\
static int readable(SOCKET fd, int milliseconds)
{
	struct timeval time = {0, milliseconds * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(0, &set, NULL, NULL, &time) > 0;
}
"""

#: recv() says on Windows that nobody took a datagram, as WSAECONNRESET; under Wine SO_ERROR does
_SENT = """\
static int sent(SOCKET fd, char byte) /* the error of a datagram */
{
	int told = 0, size = sizeof told;

	if (send(fd, &byte, 1, 0) < 0)
		return WSAGetLastError();
	if (readable(fd, 20) && recv(fd, &byte, 1, 0) < 0)
		told = WSAGetLastError();
	else
		getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&told, &size);
	return told == WSAECONNRESET ? WSAECONNREFUSED : told;
}
"""

#: function that delivers -> its text; connections are asked for all at once, because each refusal takes two seconds
_SENDERS = {
    "deliver_udp": """\
static void deliver_udp(const char *step, struct sockaddr *to, int size)
{
	char byte = '.';

	failed = 0;
	for (int i = 0; i < 32; i++) {
		SOCKET fd = socket(to->sa_family, SOCK_DGRAM, 0);
		int told;

@CLIENT@		told = connect(fd, to, size) < 0 ? WSAGetLastError() : sent(fd, byte);
		if (told != 0)
			@FAILED@;
		closesocket(fd);
	}
"""
    + RECEIVED,
    "deliver_flow": """\
static void deliver_flow(const char *step, struct sockaddr *to, int size)
{
	SOCKET fd = socket(to->sa_family, SOCK_DGRAM, 0);
	char byte = '.';
	int told;

	failed = 0;
@CLIENT@	connect(fd, to, size);
	for (int i = 0; i < 32; i++)
		if ((told = sent(fd, byte)) != 0)
			@FAILED@;
	closesocket(fd);
"""
    + RECEIVED,
    "deliver_tcp": """\
static void deliver_tcp(const char *step, struct sockaddr *to, int size)
{
	SOCKET fds[32];
	int told[32];

	failed = error = 0;
	for (int i = 0; i < 32; i++) {
		SOCKET fd = fds[i] = socket(to->sa_family, SOCK_STREAM, 0);

@CLIENT@		ioctlsocket(fd, FIONBIO, &(u_long){1});
		told[i] = connect(fd, to, size) < 0 ? WSAGetLastError() : 0;
	}
	for (int i = 0; i < 32; i++) {
		if (told[i] == WSAEWOULDBLOCK && error != WSAEWOULDBLOCK)
			told[i] = connected(fds[i]);
		if (told[i] != 0)
			failed++, error = told[i];
		closesocket(fds[i]);
	}
"""
    + RECEIVED,
}

_CONNECTED = """\
static int connected(SOCKET fd) /* the error of a connection that was begun */
{
	int told = 0, size = sizeof told;
	struct timeval time = {3, 0};
	fd_set done, refused;

	FD_ZERO(&done);
	FD_SET(fd, &done);
	refused = done;
	if (select(0, NULL, &done, &refused, &time) < 1)
		return WSAEWOULDBLOCK;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&told, &size);
	return told;
}
"""

_SOON = """\
static @TYPE@ @NAME@_soon(SOCKET fd) /* waits a second at most */
{
	@TYPE@ result = (@TYPE@)-1;
@DECLARED@
	ioctlsocket(fd, FIONBIO, &(u_long){1});
	for (int i = 0; i < 100; i++) {
		result = @CALL@;
		if (result != (@TYPE@)-1 || WSAGetLastError() != WSAEWOULDBLOCK)
			break;
		Sleep(10);
	}
	return result;
}
"""


def _soon(name: str, type_: str, call: str, declared: str = "") -> str:
    text = _SOON.replace("@TYPE@", type_).replace("@NAME@", name).replace("@CALL@", call)
    return text.replace("@DECLARED@", declared)


WINSOCK = Dialect(
    build="cl repro_winsock.c  or  gcc -o repro repro_winsock.c -lws2_32",
    headers=("winsock2.h", "ws2tcpip.h", "stdio.h", "stdlib.h"),
    words={
        "@FD@": "SOCKET",
        "@CLOSE@": "closesocket",
        "@CAST@": "(char *)",
        "@PID@": "(int)GetCurrentProcessId()",
        "@ERRNO@": "WSAGetLastError()",
        "@PAUSE@": "Sleep(50)",
        "@TOLD@": "told",
        "@ERROR@": "error %d",
        "@TEXT@": "error",
        "@ERRNO_TEXT@": "WSAGetLastError()",
        # Windows sets ranges of ports apart
        "@BUSY@": "(WSAGetLastError() != WSAEADDRINUSE && WSAGetLastError() != WSAEACCES)",
    },
    accept="accept_soon({})",
    read="recv_soon({})",
    sleep="Sleep({})",
    check=_CHECK,
    check_and_expect=_CHECK_AND_EXPECT,
    connections=_CONNECTIONS,
    datagrams=_DATAGRAMS,
    senders=_SENDERS,
    sending={"": _READABLE, "deliver_tcp": _CONNECTED, "deliver_udp deliver_flow": _SENT},
    closed="INVALID_SOCKET",
    blocking={
        "accept": _soon("accept", "SOCKET", "accept(fd, NULL, NULL)"),
        "read": _soon("recv", "int", "recv(fd, &byte, 1, 0)", "\tchar byte;\n"),
    },
    prefix="WSA",
    errors={
        "timeout": "WSAEWOULDBLOCK",
        "refused": "WSAECONNREFUSED",
        "EBADF": "WSAENOTSOCK",
        "EAGAIN": "WSAEWOULDBLOCK",
        "EPERM": "WSAEACCES",
        "EPIPE": "WSAESHUTDOWN",
    },
)
