/*
 * Linux 6.1.192: 6.1.168 and later 6.1 kernels miss a conflict with a socket on ::ffff:0.0.0.0.
 *
 * a=tcp6 a.v6only=0 a.bind=::ffff:0.0.0.0 b=tcp6 b.v6only=0 b.bind=::ffff:127.0.0.1
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

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 10001 + getpid() % 10000 * 2;
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 mapped_any = {.sin6_family = AF_INET6, .sin6_port = htons(port)},
	      mapped_lo = mapped_any;
	int zero = 0;

	inet_pton(AF_INET6, "::ffff:0.0.0.0", &mapped_any.sin6_addr);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped_lo.sin6_addr);
	int probe = socket(AF_INET, SOCK_STREAM, 0);
	while (bind(probe, SA(any4)) < 0) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		mapped_any.sin6_port = mapped_lo.sin6_port = any4.sin_port = htons(port += 2);
	}
	close(probe);

	int a = socket(AF_INET6, SOCK_STREAM, 0);
	check("a.v6only=0", setsockopt(a, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
	check("a.bind=::ffff:0.0.0.0", bind(a, SA(mapped_any)), 0);
	int b = socket(AF_INET6, SOCK_STREAM, 0);
	check("b.v6only=0", setsockopt(b, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
	check("b.bind=::ffff:127.0.0.1", bind(b, SA(mapped_lo)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
