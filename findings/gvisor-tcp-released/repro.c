/*
 * gVisor 20260817: TCP, connect() after a failed bind() to a dual :: releases the port of the socket on 0.0.0.0.
 *
 * user=1001 h=tcp4 h.bind=0.0.0.0 h.listen user=0 user=1002 a=tcp6 a.v6only=0 a.bind=:: a.bind=::1
 * a.connect=::1 b=tcp4 b.bind=127.0.0.1
 *
 * cc -o repro repro.c && ./repro [PORT]
 * Needs root.
 * Exit status: 0 as expected, 1 not, 2 the set-up failed.
 */
#define _DEFAULT_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SA(address) (struct sockaddr *)&(address), sizeof(address)

static int failures;

static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? errno : 0;

	printf("%-24s %s\n", step, error ? strerror(error) : "ok");
	if (error != expected)
		printf("%24s %s expected\n", "", expected ? strerror(expected) : "ok");
	failures += error != expected;
	poll(NULL, 0, 10); /* let the packets arrive */
	alarm(2); /* a call that blocks fails with EINTR */
}

static void interrupt(int number) { (void)number; }

static int taken(int type, struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, type, 0);
	int busy = bind(fd, address, size) < 0;

	close(fd);
	return busy;
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 10001 + getpid() % 10000 * 2;
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)}, lo4 = any4;
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, lo6 = any6;
	int zero = 0;

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	inet_pton(AF_INET6, "::1", &lo6.sin6_addr);
	while (taken(SOCK_STREAM, SA(any4)) ||
	       taken(SOCK_STREAM, SA(any6)) ||
	       taken(SOCK_STREAM, SA(lo6))) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		any4.sin_port = any6.sin6_port = lo6.sin6_port = lo4.sin_port = htons(port += 2);
	}
	if (geteuid() != 0) {
		fputs("set-up failed: needs root to change the user\n", stderr);
		return 2;
	}
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);

	check("user=1001", seteuid(1001), 0);
	int h = socket(AF_INET, SOCK_STREAM, 0);
	check("h.bind=0.0.0.0", bind(h, SA(any4)), 0);
	check("h.listen", listen(h, 64), 0);
	check("user=0", seteuid(0), 0);
	check("user=1002", seteuid(1002), 0);
	int a = socket(AF_INET6, SOCK_STREAM, 0);
	check("a.v6only=0", setsockopt(a, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
	check("a.bind=::", bind(a, SA(any6)), EADDRINUSE);
	check("a.bind=::1", bind(a, SA(lo6)), 0);
	check("a.connect=::1", connect(a, SA(lo6)), 0);
	int b = socket(AF_INET, SOCK_STREAM, 0);
	check("b.bind=127.0.0.1", bind(b, SA(lo4)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
