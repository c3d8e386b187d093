"""The pieces that C programs are put together from; ``c_program.py`` chooses them and fills in what is between @.

The pieces are those of POSIX; a :class:`Dialect` holds what Winsock calls otherwise (``winsock_text.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Dialect:
    """What differs between POSIX and Winsock."""

    build: str
    headers: tuple[str, ...]
    #: placeholder -> text, for what the pieces share
    words: Mapping[str, str]
    #: the calls that may block
    accept: str
    read: str
    sleep: str
    #: compares the outcome of a step, and the same beside EXPECT
    check: str
    check_and_expect: str
    #: pieces that only a program with a call that may block needs, before main() and in it
    blocking: Mapping[str, str]
    #: how many connections, and how many datagrams, wait at a socket
    connections: str
    datagrams: str
    #: function that delivers -> its text
    senders: Mapping[str, str]
    #: what the senders named in the key need, "" for all of them
    sending: Mapping[str, str] = field(default_factory=dict)
    #: a socket that is not there
    closed: str = "-1"
    patient: str = ""
    start: str = ""
    prefix: str = ""
    #: outcomes whose error has another name
    errors: Mapping[str, str] = field(default_factory=dict)

    def error(self, outcome: str) -> str:
        """The constant of an outcome."""
        if outcome in self.errors:
            return self.errors[outcome]
        return outcome.removeprefix("errno ") if outcome.startswith("errno ") else self.prefix + outcome


OPTION = """\
#ifndef @OPTION@
#define @OPTION@ (-1) /* this system has no such option */
#endif
"""

PROTOCOL = """\
#ifndef @NAME@
#define @NAME@ @NUMBER@
#endif
"""

SA = "#define SA(address) (struct sockaddr *)&(address), sizeof(address)\n"

_CHECK = """\
static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? errno : 0;

	printf("%-24s %s\\n", step, error ? strerror(error) : "ok");
	if (error != expected)
		printf("%24s %s expected\\n", "", expected ? strerror(expected) : "ok");
	failures += error != expected;
@AFTER@}
"""

EXPECT = """\
static void expect(int fine, const char *what)
{
	if (!fine)
		printf("%24s %s expected\\n", "", what);
	failures += !fine;
@AFTER@}
"""

#: beside EXPECT, for steps with one outcome
_CHECK_AND_EXPECT = """\
static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? errno : 0;

	printf("%-24s %s\\n", step, error ? strerror(error) : "ok");
	expect(error == expected, expected ? strerror(expected) : "ok");
}
"""

#: for steps with alternatives
CHECK_CONDITION = """\
#define CHECK(step, call, fine) do { \\
	int error = (int)(call) < 0 ? @ERRNO@ : 0; \\
	printf("%-24s @ERROR@\\n", step, @TEXT@); \\
	expect(fine, #fine); \\
} while (0)
"""

TAKEN = """\
static int taken(int type, struct sockaddr *address, socklen_t size)
{
	@FD@ fd = socket(address->sa_family, type, 0);
	int busy = bind(fd, address, size) < 0;

	@CLOSE@(fd);
	return busy;
}
"""

#: with one probe, and with several
PROBE = """\
	@FD@ probe = socket(@FAMILY@, @TYPE@, 0);
	while (bind(probe, @WHERE@) < 0) {
@CHOOSE@	}
	@CLOSE@(probe);
"""
PROBES = """\
	while (@TAKEN@) {
@CHOOSE@	}
"""

CHOOSE = """\
		if (argc > 1 || @BUSY@) {
			fprintf(stderr, "set-up failed: port %d: @ERROR@\\n", port, @ERRNO_TEXT@);
			return 2;
		}
		@PORTS@ = htons(port += 2);
"""
#: where the number of the port matters
SEE = """\
		fprintf(stderr, "set-up failed: port %d: @ERROR@\\n", port, @ERRNO_TEXT@);
		return 2;
"""

ROOT = """\
	if (geteuid() != 0) {
		fputs("set-up failed: needs root to change the user\\n", stderr);
		return 2;
	}
"""

JOIN4 = """\
static int join4(@FD@ fd, const char *group) /* on the loopback interface */
{
	struct ip_mreq request;

	inet_pton(AF_INET, group, &request.imr_multiaddr);
	inet_pton(AF_INET, "127.0.0.1", &request.imr_interface);
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, @CAST@&request, sizeof request);
}
"""

JOIN6 = """\
static int join6(@FD@ fd, const char *group)
{
	struct ipv6_mreq request = {.ipv6mr_interface = @INDEX@};

	inet_pton(AF_INET6, group, &request.ipv6mr_multiaddr);
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, @CAST@&request, sizeof request);
}
"""

_DATAGRAMS = """\
	for (@GOT@ = 0; recv(@SOCKET@, &byte, 1, MSG_DONTWAIT) >= 0;)
		@GOT@++;
"""

_CONNECTIONS = """\
static int connections(int fd)
{
	struct pollfd ready = {fd, POLLIN, 0};
	int child, count = 0;

	while (poll(&ready, 1, 0) > 0 && (child = accept(fd, NULL, NULL)) >= 0) {
		close(child);
		count++;
	}
	return count;
}
"""

RECEIVED = """\
	@PAUSE@;
@COUNT@	printf("%-24s @NAMES@failed:%d\\n", step, @COUNTS@failed);
}
"""

_SENDERS = {
    "deliver_udp": """\
static void deliver_udp(const char *step, struct sockaddr *to, socklen_t size)
{
	char byte = '.';

	failed = 0;
	for (int i = 0; i < 32; i++) {
		int fd = socket(to->sa_family, SOCK_DGRAM, 0);
		struct pollfd icmp = {fd, POLLIN, 0};

@CLIENT@		if (connect(fd, to, size) < 0 || send(fd, &byte, 1, 0) < 0
				|| (poll(&icmp, 1, 2) > 0 && recv(fd, &byte, 1, 0) < 0))
			@FAILED@;
		close(fd);
	}
"""
    + RECEIVED,
    "deliver_flow": """\
static void deliver_flow(const char *step, struct sockaddr *to, socklen_t size)
{
	int fd = socket(to->sa_family, SOCK_DGRAM, 0);
	struct pollfd icmp = {fd, POLLIN, 0};
	char byte = '.';

	failed = 0;
@CLIENT@	connect(fd, to, size);
	for (int i = 0; i < 32; i++)
		if (send(fd, &byte, 1, 0) < 0 || (poll(&icmp, 1, 2) > 0 && recv(fd, &byte, 1, 0) < 0))
			@FAILED@;
	close(fd);
"""
    + RECEIVED,
    "deliver_tcp": """\
static void deliver_tcp(const char *step, struct sockaddr *to, socklen_t size)
{
	failed = error = 0;
	for (int i = 0; i < 32 && error != EINTR; i++) {
		int fd = socket(to->sa_family, SOCK_STREAM, 0);

@CLIENT@		alarm(@SECONDS@);
		if (connect(fd, to, size) < 0)
			failed++, error = errno;
		close(fd);
	}
"""
    + RECEIVED,
}

MAIN = """\
int main(@ARGUMENTS@)
{
@PROLOGUE@@ROWS@
	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
"""

LEFT_OUT = """\
int main(void)
{
	puts("set-up failed: Windows has no @STEP@");
	return 2;
}
"""

POSIX = Dialect(
    build="cc -o repro repro.c && ./repro [PORT]",
    headers=(),
    words={
        "@FD@": "int",
        "@CLOSE@": "close",
        "@CAST@": "",
        "@PID@": "getpid()",
        "@ERRNO@": "errno",
        "@PAUSE@": "poll(NULL, 0, 50)",
        "@TOLD@": "errno",
        "@ERROR@": "%s",
        "@TEXT@": 'error ? strerror(error) : "ok"',
        "@ERRNO_TEXT@": "strerror(errno)",
        "@BUSY@": "errno != EADDRINUSE",
    },
    accept="accept({}, NULL, NULL)",
    read="recv({}, &byte, 1, 0)",
    sleep="poll(NULL, 0, {})",
    check=_CHECK,
    check_and_expect=_CHECK_AND_EXPECT,
    connections=_CONNECTIONS,
    datagrams=_DATAGRAMS,
    senders=_SENDERS,
    blocking={"": "static void interrupt(int number) { (void)number; }\n"},
    patient="\talarm(@SECONDS@); /* a call that blocks fails with EINTR */\n",
    start="\tsigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);\n",
    errors={"timeout": "EINTR", "refused": "ECONNREFUSED"},
)
