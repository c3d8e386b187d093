/*
 * Linux 6.18.44: TCP, the order of three sockets with SO_REUSEADDR and SO_REUSEPORT decides (fastreuseport).
 *
 * a=tcp4 a.reuseaddr=1 a.bind=127.0.0.1 b=tcp4 b.reuseaddr=1 b.reuseport=1 b.bind=127.0.0.1 c=tcp4
 * c.reuseport=1 c.bind=127.0.0.1
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
	struct sockaddr_in lo4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1;

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	int probe = socket(AF_INET, SOCK_STREAM, 0);
	while (bind(probe, SA(lo4)) < 0) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		lo4.sin_port = htons(port += 2);
	}
	close(probe);

	int a = socket(AF_INET, SOCK_STREAM, 0);
	check("a.reuseaddr=1", setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("a.bind=127.0.0.1", bind(a, SA(lo4)), 0);
	int b = socket(AF_INET, SOCK_STREAM, 0);
	check("b.reuseaddr=1", setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("b.reuseport=1", setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("b.bind=127.0.0.1", bind(b, SA(lo4)), 0);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	check("c.reuseport=1", setsockopt(c, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("c.bind=127.0.0.1", bind(c, SA(lo4)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
