/*
 * FreeBSD 15.0: TCP, 0.0.0.0 and then a dual :: is allowed, the reverse is not.
 *
 * a=tcp4 a.bind=0.0.0.0 b=tcp6 b.v6only=0 b.bind=::
 *
 * cc -o repro repro.c && ./repro [PORT]
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

#define SA(address) (struct sockaddr *)&(address), sizeof(address)

static int failures;

static void check(const char *step, int result, int expected)
{
	int error = result < 0 ? errno : 0;

	printf("%-24s %s\n", step, error ? strerror(error) : "ok");
	if (error != expected)
		printf("%24s %s expected\n", "", expected ? strerror(expected) : "ok");
	failures += error != expected;
}

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
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int zero = 0;

	while (taken(SOCK_STREAM, SA(any4)) || taken(SOCK_STREAM, SA(any6))) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		any4.sin_port = any6.sin6_port = htons(port += 2);
	}

	int a = socket(AF_INET, SOCK_STREAM, 0);
	check("a.bind=0.0.0.0", bind(a, SA(any4)), 0);
	int b = socket(AF_INET6, SOCK_STREAM, 0);
	check("b.v6only=0", setsockopt(b, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
	check("b.bind=::", bind(b, SA(any6)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
