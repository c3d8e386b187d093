/*
 * Linux 6.1.167: UDP, a wildcard misses conflicts with specific addresses once more than ten sockets are on the port.
 *
 * a=udp4 a.reuseaddr=1 a.bind=127.0.0.1 b=udp4 b.reuseaddr=1 b.bind=127.0.0.1 c=udp4 c.reuseaddr=1
 * c.bind=127.0.0.1 d=udp4 d.reuseaddr=1 d.bind=127.0.0.1 e=udp4 e.reuseaddr=1 e.bind=127.0.0.1
 * f=udp4 f.reuseaddr=1 f.bind=127.0.0.1 g=udp4 g.reuseaddr=1 g.bind=127.0.0.1 h=udp4 h.reuseaddr=1
 * h.bind=127.0.0.1 i=udp4 i.reuseaddr=1 i.bind=127.0.0.1 j=udp4 j.reuseaddr=1 j.bind=127.0.0.1
 * k=udp4 k.reuseaddr=1 k.bind=127.0.0.1 x=udp4 x.bind=0.0.0.0
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
	struct sockaddr_in lo4 = {.sin_family = AF_INET, .sin_port = htons(port)}, any4 = lo4;
	int one = 1;

	inet_pton(AF_INET, "127.0.0.1", &lo4.sin_addr);
	int probe = socket(AF_INET, SOCK_DGRAM, 0);
	while (bind(probe, SA(any4)) < 0) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		lo4.sin_port = any4.sin_port = htons(port += 2);
	}
	close(probe);

	int a = socket(AF_INET, SOCK_DGRAM, 0);
	check("a.reuseaddr=1", setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("a.bind=127.0.0.1", bind(a, SA(lo4)), 0);
	int b = socket(AF_INET, SOCK_DGRAM, 0);
	check("b.reuseaddr=1", setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("b.bind=127.0.0.1", bind(b, SA(lo4)), 0);
	int c = socket(AF_INET, SOCK_DGRAM, 0);
	check("c.reuseaddr=1", setsockopt(c, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("c.bind=127.0.0.1", bind(c, SA(lo4)), 0);
	int d = socket(AF_INET, SOCK_DGRAM, 0);
	check("d.reuseaddr=1", setsockopt(d, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("d.bind=127.0.0.1", bind(d, SA(lo4)), 0);
	int e = socket(AF_INET, SOCK_DGRAM, 0);
	check("e.reuseaddr=1", setsockopt(e, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("e.bind=127.0.0.1", bind(e, SA(lo4)), 0);
	int f = socket(AF_INET, SOCK_DGRAM, 0);
	check("f.reuseaddr=1", setsockopt(f, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("f.bind=127.0.0.1", bind(f, SA(lo4)), 0);
	int g = socket(AF_INET, SOCK_DGRAM, 0);
	check("g.reuseaddr=1", setsockopt(g, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("g.bind=127.0.0.1", bind(g, SA(lo4)), 0);
	int h = socket(AF_INET, SOCK_DGRAM, 0);
	check("h.reuseaddr=1", setsockopt(h, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("h.bind=127.0.0.1", bind(h, SA(lo4)), 0);
	int i = socket(AF_INET, SOCK_DGRAM, 0);
	check("i.reuseaddr=1", setsockopt(i, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("i.bind=127.0.0.1", bind(i, SA(lo4)), 0);
	int j = socket(AF_INET, SOCK_DGRAM, 0);
	check("j.reuseaddr=1", setsockopt(j, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("j.bind=127.0.0.1", bind(j, SA(lo4)), 0);
	int k = socket(AF_INET, SOCK_DGRAM, 0);
	check("k.reuseaddr=1", setsockopt(k, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("k.bind=127.0.0.1", bind(k, SA(lo4)), 0);
	int x = socket(AF_INET, SOCK_DGRAM, 0);
	check("x.bind=0.0.0.0", bind(x, SA(any4)), EADDRINUSE);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
