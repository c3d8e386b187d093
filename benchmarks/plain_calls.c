/* What one would write without an executor: socket calls from a table, in a network namespace of its own.
 *
 *     plain_calls TABLE ROUNDS
 *
 * TABLE has one line a call, "CODE SOCKET A B C": 0 socket(A, B, 0), 1 setsockopt(A, B, C), 2 bind to the address B of
 * family A, 3 listen; -1 ends a scenario.  Prints the number of calls that failed and the seconds of processor time. */

#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CALLS = 1000000, SOCKETS = 26 };
static struct call {
    int code, socket, a, b, c;
    struct sockaddr_in6 address; /* the larger of the two */
} calls[MOST_CALLS];

static double processor_time(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static size_t read_calls(FILE *table)
{
    char b[64];
    size_t count = 0;

    while (count < MOST_CALLS) {
        struct call *call = &calls[count];
        if (fscanf(table, "%d %d %d %63s %d", &call->code, &call->socket, &call->a, b, &call->c) != 5)
            break;
        call->b = atoi(b);
        if (call->code == 2) {
            call->address.sin6_family = (sa_family_t)call->a;
            if (call->a == AF_INET6)
                inet_pton(AF_INET6, b, &call->address.sin6_addr);
            else
                inet_pton(AF_INET, b, &((struct sockaddr_in *)&call->address)->sin_addr);
        }
        count++;
    }
    return count;
}

int main(int argument_count, char **arguments)
{
    FILE *table = argument_count == 3 ? fopen(arguments[1], "r") : NULL;
    int sockets[SOCKETS], failed = 0, port = 10000, control;
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    size_t count;
    double start;

    if (!table || !(count = read_calls(table)) || unshare(CLONE_NEWNET))
        return 1;
    control = socket(AF_INET, SOCK_DGRAM, 0);
    ioctl(control, SIOCSIFFLAGS, &lo);
    memset(sockets, -1, sizeof sockets);
    start = processor_time();
    for (int round = 0; round < atoi(arguments[2]); round++)
        for (size_t i = 0; i < count; i++) {
            struct call *call = &calls[i];
            int result = 0, *sock = &sockets[call->socket];
            if (call->code == 0) {
                result = *sock = socket(call->a, call->b, 0);
            } else if (call->code == 1) {
                result = setsockopt(*sock, call->a, call->b, &call->c, sizeof call->c);
            } else if (call->code == 2) {
                call->address.sin6_port = htons((unsigned short)port); /* at the same place in both families */
                result = bind(*sock, (struct sockaddr *)&call->address,
                              call->a == AF_INET6 ? sizeof call->address : sizeof(struct sockaddr_in));
            } else if (call->code == 3) {
                result = listen(*sock, 64);
            } else {
                for (int each = 0; each < SOCKETS && sockets[each] >= 0; each++) {
                    close(sockets[each]);
                    sockets[each] = -1;
                }
                port = port < 11000 ? port + 1 : 10000;
            }
            failed += result < 0;
        }
    printf("%d %.6f\n", failed, processor_time() - start);
    return 0;
}
