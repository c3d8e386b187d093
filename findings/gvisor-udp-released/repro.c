/*
 * gVisor 20260817: UDP, a connect() that fails with EADDRINUSE releases the port of other sockets, also of another user.
 *
 * user=1001 d=udp4 d.reuseport=1 d.bind=0.0.0.0 user=0 user=1002 a=udp4 a.reuseport=1
 * a.bind=0.0.0.0 a.connect=127.0.0.1 b=udp4 b.reuseport=1 b.bind=0.0.0.0 b.connect=127.0.0.1
 * b.close a.close c=udp4 c.bind=127.0.0.1
 *
 * cc -o repro repro.c && ./repro [PORT]
 * Needs root.
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
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(port)}, lo4 = any4;
	int one = 1;

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	int probe = socket(AF_INET, SOCK_DGRAM, 0);
	while (bind(probe, SA(any4)) < 0) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		any4.sin_port = lo4.sin_port = htons(port += 2);
	}
	close(probe);
	if (geteuid() != 0) {
		fputs("set-up failed: needs root to change the user\n", stderr);
		return 2;
	}

	check("user=1001", seteuid(1001), 0);
	int d = socket(AF_INET, SOCK_DGRAM, 0);
	check("d.reuseport=1", setsockopt(d, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("d.bind=0.0.0.0", bind(d, SA(any4)), 0);
	check("user=0", seteuid(0), 0);
	check("user=1002", seteuid(1002), 0);
	int a = socket(AF_INET, SOCK_DGRAM, 0);
	check("a.reuseport=1", setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("a.bind=0.0.0.0", bind(a, SA(any4)), 0);
	check("a.connect=127.0.0.1", connect(a, SA(lo4)), 0);
	int b = socket(AF_INET, SOCK_DGRAM, 0);
	check("b.reuseport=1", setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("b.bind=0.0.0.0", bind(b, SA(any4)), 0);
	check("b.connect=127.0.0.1", connect(b, SA(lo4)), EADDRINUSE);
	check("b.close", close(b), 0);
	check("a.close", close(a), 0);
	int c = socket(AF_INET, SOCK_DGRAM, 0);
	check("c.bind=127.0.0.1", bind(c, SA(lo4)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
