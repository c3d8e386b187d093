/*
 * Linux 6.18.44: UDP, a wildcard overlaps a socket without options once an unrelated SO_REUSEPORT socket was bound after it.
 *
 * a=udp4 a.bind=127.0.0.1 b=udp4 b.reuseport=1 b.bind=127.0.0.2 c=udp4 c.reuseport=1
 * c.bind=0.0.0.0
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
	struct sockaddr_in lo4 = {.sin_family = AF_INET, .sin_port = htons(port)}, lo4_2 = lo4,
	      any4 = lo4;
	int one = 1;

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	inet_pton(AF_INET, "127.0.0.2", &lo4_2.sin_addr);
	while (taken(SOCK_DGRAM, SA(lo4_2)) || taken(SOCK_DGRAM, SA(any4))) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		lo4.sin_port = lo4_2.sin_port = any4.sin_port = htons(port += 2);
	}

	int a = socket(AF_INET, SOCK_DGRAM, 0);
	check("a.bind=127.0.0.1", bind(a, SA(lo4)), 0);
	int b = socket(AF_INET, SOCK_DGRAM, 0);
	check("b.reuseport=1", setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("b.bind=127.0.0.2", bind(b, SA(lo4_2)), 0);
	int c = socket(AF_INET, SOCK_DGRAM, 0);
	check("c.reuseport=1", setsockopt(c, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("c.bind=0.0.0.0", bind(c, SA(any4)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
