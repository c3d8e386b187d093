/*
 * macOS 15.5: UDP multicast, SO_REUSEPORT and then SO_REUSEADDR share a group, the reverse does not.
 *
 * a=udp4 a.reuseaddr=1 a.bind=224.0.0.251 b=udp4 b.reuseport=1 b.bind=224.0.0.251
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
	struct sockaddr_in group4 = {.sin_family = AF_INET, .sin_port = htons(port)}, any4 = group4;
	int one = 1;

	inet_pton(AF_INET, "224.0.0.251", &group4.sin_addr);
	int probe = socket(AF_INET, SOCK_DGRAM, 0);
	while (bind(probe, SA(any4)) < 0) {
		if (argc > 1 || errno != EADDRINUSE) {
			fprintf(stderr, "set-up failed: port %d: %s\n", port, strerror(errno));
			return 2;
		}
		group4.sin_port = any4.sin_port = htons(port += 2);
	}
	close(probe);

	int a = socket(AF_INET, SOCK_DGRAM, 0);
	check("a.reuseaddr=1", setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
	check("a.bind=224.0.0.251", bind(a, SA(group4)), 0);
	int b = socket(AF_INET, SOCK_DGRAM, 0);
	check("b.reuseport=1", setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), 0);
	check("b.bind=224.0.0.251", bind(b, SA(group4)), 0);

	puts(failures ? "NOT as expected" : "as expected");
	return failures != 0;
}
