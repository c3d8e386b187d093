/*
 * Linux 6.18.44: A dual socket that is connected over IPv6 still occupies 127.0.0.6 in IPv4.
 *
 * a=tcp6 a.v6only=0 a.bind=:: a.listen c=tcp6 c.connect=::1 x=a.accept a.close b=tcp4
 * b.bind=0.0.0.0
 *
 * cc -o repro repro.c && ./repro [PORT]
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
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}, lo6 = any6;
	int zero = 0;

	inet_pton(AF_INET6, "::1", &lo6.sin6_addr);
	while (taken(SOCK_STREAM, SA(any6)) ||
	       taken(SOCK_STREAM, SA(lo6)) ||
	       taken(SOCK_STREAM, SA(any4))) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		any6.sin6_port = lo6.sin6_port = any4.sin_port = htons(port += 2);
	}
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);

	int a = socket(AF_INET6, SOCK_STREAM, 0);
	check("a.v6only=0", setsockopt(a, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
	check("a.bind=::", bind(a, SA(any6)), 0);
	check("a.listen", listen(a, 64), 0);
	int c = socket(AF_INET6, SOCK_STREAM, 0);
	check("c.connect=::1", connect(c, SA(lo6)), 0);
	check("x=a.accept", accept(a, NULL, NULL), 0);
	check("a.close", close(a), 0);
	int b = socket(AF_INET, SOCK_STREAM, 0);
	check("b.bind=0.0.0.0", bind(b, SA(any4)), 0);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
