/*
 * The C executor on lwIP: executor.c with lwIP's sockets in the place of the kernel's.
 *
 *   cc -std=gnu99 -O2 -I ../../conformance/bindmatrix/execute $(pkg-config --cflags lwip) -o executor lwip.c -llwip -lpthread
 *
 * It needs no root and no device: two interfaces loop back, 127.0.0.1/8 with ::1, and 127.0.0.2.
 */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>

/* lwIP counts its sockets from 1; as descriptors of the executor they stand above those of the kernel. */
#define ABOVE 100000
#define MOST 4096
static char listens[MOST];

static int lw_socket(int family, int type, int protocol)
{
    int sock = -1;

    if (family != AF_INET && family != AF_INET6)
        errno = EAFNOSUPPORT; /* lwIP would make an IPv4 socket */
    else if (protocol)
        errno = EPROTONOSUPPORT;
    else
        sock = lwip_socket(family, type, 0);
    return sock < 0 ? -1 : sock + ABOVE;
}

static int lw_accept(int sock, struct sockaddr *address, socklen_t *size)
{
    int child = lwip_accept(sock - ABOVE, address, size);
    return child < 0 ? -1 : child + ABOVE;
}

static int lw_listen(int sock, int backlog)
{
    int result = lwip_listen(sock - ABOVE, backlog);
    if (!result)
        listens[sock - ABOVE] = 1;
    return result;
}

static int lw_setsockopt(int sock, int level, int option, const void *value, socklen_t size)
{
    /* a listener that is closed with SO_LINGER 0 is aborted, and tcp_abandon() asserts that nobody does that */
    if (level == SOL_SOCKET && option == SO_LINGER && listens[sock - ABOVE])
        return 0;
    return lwip_setsockopt(sock - ABOVE, level, option, value, size);
}

static int lw_close(int descriptor)
{
    if (descriptor < ABOVE)
        return close(descriptor);
    listens[descriptor - ABOVE] = 0;
    return lwip_close(descriptor - ABOVE);
}

static int lw_poll(struct pollfd *polled, nfds_t count, int milliseconds)
{
    int found;

    for (nfds_t i = 0; i < count; i++)
        polled[i].fd -= ABOVE;
    found = lwip_poll(polled, count, milliseconds);
    for (nfds_t i = 0; i < count; i++)
        polled[i].fd += ABOVE;
    return found;
}

static int lw_ioctl(int descriptor, unsigned long request, void *value)
{
    return descriptor < ABOVE ? ioctl(descriptor, request, value) : lwip_ioctl(descriptor - ABOVE, (long)request, value);
}

static int lw_uname(struct utsname *names)
{
    int result = uname(names);
    strcpy(names->sysname, "lwIP");
    strcpy(names->release, LWIP_VERSION_STRING);
    strcpy(names->version, LWIP_VERSION_STRING);
    return result;
}

static unsigned lw_index(const char *name)
{
    (void)name;
    return 1;
}

#define socket lw_socket
#define accept lw_accept
#define listen lw_listen
#define setsockopt lw_setsockopt
#define close lw_close
#define poll lw_poll
#define ioctl lw_ioctl
#define uname lw_uname
#define if_nametoindex lw_index
#define bind(sock, address, size) lwip_bind((sock) - ABOVE, address, size)
#define connect(sock, address, size) lwip_connect((sock) - ABOVE, address, size)
#define getsockopt(sock, ...) lwip_getsockopt((sock) - ABOVE, __VA_ARGS__)
#define getsockname(sock, address, size) lwip_getsockname((sock) - ABOVE, address, size)
#define getpeername(sock, address, size) lwip_getpeername((sock) - ABOVE, address, size)
#define recv(sock, ...) lwip_recv((sock) - ABOVE, __VA_ARGS__)
#define send(sock, ...) lwip_send((sock) - ABOVE, __VA_ARGS__)
#define STACK "lwip"
#define main executor_main
/* what executor.c would ask of the kernel that this runs on */
#undef FD_SETSIZE
#undef __linux__

#include "executor.c"

#undef main

static err_t loop_ip4(struct netif *interface, struct pbuf *packet, const ip4_addr_t *to)
{
    (void)to;
    return netif_loop_output(interface, packet);
}

static err_t loop_ip6(struct netif *interface, struct pbuf *packet, const ip6_addr_t *to)
{
    (void)to;
    return netif_loop_output(interface, packet);
}

static err_t begin(struct netif *interface)
{
    interface->name[0] = 'l';
    interface->name[1] = 'o';
    interface->mtu = 65535;
    interface->output = loop_ip4;
    interface->output_ip6 = loop_ip6;
    netif_set_flags(interface, NETIF_FLAG_IGMP | NETIF_FLAG_MLD6);
    return ERR_OK;
}

static void started(void *semaphore)
{
    sys_sem_signal(semaphore);
}

static void start_stack(void)
{
    static struct netif first, second;
    ip4_addr_t address, mask, gateway;
    ip6_addr_t own;
    sys_sem_t semaphore;

    sys_sem_new(&semaphore, 0);
    tcpip_init(started, &semaphore);
    sys_sem_wait(&semaphore);
    LOCK_TCPIP_CORE();
    IP4_ADDR(&gateway, 0, 0, 0, 0);
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    netif_add(&first, &address, &mask, &gateway, NULL, begin, tcpip_input);
    IP4_ADDR(&address, 127, 0, 0, 2);
    IP4_ADDR(&mask, 255, 255, 255, 255);
    netif_add(&second, &address, &mask, &gateway, NULL, begin, tcpip_input);
    IP6_ADDR(&own, 0, 0, 0, PP_HTONL(1));
    netif_ip6_addr_set(&first, 0, &own);
    netif_ip6_addr_set_state(&first, 0, IP6_ADDR_PREFERRED);
    netif_set_default(&first);
    netif_set_link_up(&first);
    netif_set_link_up(&second);
    netif_set_up(&first);
    netif_set_up(&second);
    UNLOCK_TCPIP_CORE();
}

int main(int count, char **words)
{
    start_stack();
    return executor_main(count, words);
}
