/*
 * NetBSD 7.99.34: TCP, accepted sockets conflict only where the port is a multiple of 128.
 *
 * a=tcp4 a.bind=127.0.0.1 a.listen c=tcp4 c.connect=127.0.0.1 x=a.accept a.close b=tcp4
 * b.bind=127.0.0.1
 *
 * cc -o repro repro.c && ./repro [PORT]
 * Exit status: 0 as expected, 1 not, 2 the set-up failed.
 */
#define _DEFAULT_SOURCE 1
#define _NETBSD_SOURCE 1
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

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 20480;
	struct sockaddr_in lo4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	int probe = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(probe, SA(lo4)) < 0) {
		fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
		return 2;
	}
	close(probe);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = interrupt}, NULL);

	int a = socket(AF_INET, SOCK_STREAM, 0);
	check("a.bind=127.0.0.1", bind(a, SA(lo4)), 0);
	check("a.listen", listen(a, 64), 0);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	check("c.connect=127.0.0.1", connect(c, SA(lo4)), 0);
	check("x=a.accept", accept(a, NULL, NULL), 0);
	check("a.close", close(a), 0);
	int b = socket(AF_INET, SOCK_STREAM, 0);
	check("b.bind=127.0.0.1", bind(b, SA(lo4)), 0);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
