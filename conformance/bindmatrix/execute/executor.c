/* A whole program in one file of C99: no library beside the system's own, for machines without Python.
 *
 * It runs scenarios ("a=tcp4 a.bind=0.0.0.0 b=tcp4 b.bind=127.0.0.1") on the kernel below it and prints what every
 * call returned.  It does what executor.py does, which is the reference: the same notation, the same ports, the same
 * waits, the same lines.  tests/execute/test_c_executor.py compares the two; change them together.
 *
 *     cc -std=c99 -O2 -o executor executor.c
 *     x86_64-w64-mingw32-gcc -std=c99 -O2 -static -o executor.exe executor.c -lws2_32
 *
 *     executor [--namespace own|none|auto] [--parent PID] [--output FILE] [FILE]
 *
 * --namespace own: run in a network namespace of its own (Linux, as root or inside a user namespace) or fail; none: on
 * ports among those of everybody else, each tried first; auto, the default: the first, else the second.  --parent: end
 * with that process.
 *
 * In: one scenario a line, bare or as {"scenario": "..."}, from FILE or standard input.  Out: the line
 * {"format": ..., "host": {...}}, then one line per scenario, in order: {"scenario":"...","outcomes":["ok",...]}, where
 * "outcomes" is null and "no_verdict" or "unsupported" has the reason when the scenario could not be judged.
 *
 * As process 1 of an initramfs (link it statically, call it /init) it mounts /proc and /dev, reads /scenarios, prints
 * to the console, or to FILE of --output, and switches the machine off.  The kernel passes on the words that follow
 * "--" on its command line as arguments.
 *
 * What executor.py does and this does not: it adds no second loopback address where there is none (BSDs, macOS).
 *
 * Sections: 1 system, 2 vocabulary, 3 text, 4 notation, 5 ports, 6 names of Unix sockets, 7 states of connections,
 * 8 steps, 9 deliveries, 10 scenarios, 11 host, 12 input and output, 13 program.
 */

/* --- 1. system ---------------------------------------------------------------------------------------------------
 * sock_t and a few functions are all that the rest needs to know of Winsock and POSIX. */

#define _GNU_SOURCE 1      /* Linux: unshare(), struct ifreq */
#define _DARWIN_C_SOURCE 1 /* macOS: everything that -std=c99 hides */
#define __EXTENSIONS__ 1   /* illumos: the same, */
#define BSD_COMP 1         /* and FIONBIO */
#define FD_SETSIZE 1024    /* Winsock's select() takes 64 sockets else */

#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0600
#endif
#include <winsock2.h>
#include <ws2tcpip.h>

#include <windows.h>
#else
#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif
#ifdef __linux__
#include <sched.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef _WIN32
#include <io.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FORMAT "bindmatrix-observations/1"
#define DELIVERIES 32
#define BACKLOG 64
/* Seconds that accept, connect, read and deliver may take.  Windows takes two to refuse on a port of its own. */
#ifdef _WIN32
#define LIMIT 3.0
#else
#define LIMIT 1.0
#endif

#ifdef _WIN32
typedef SOCKET sock_t;
typedef int size_of_address;
#define NO_SOCKET INVALID_SOCKET
#define BAD_SOCKET WSAENOTSOCK
#define REFUSED WSAECONNREFUSED

static int last_error(void) { return WSAGetLastError(); }
static int would_block(int number) { return number == WSAEWOULDBLOCK; }
static int set_blocking(sock_t sock, int blocking)
{
    u_long mode = !blocking;
    return ioctlsocket(sock, FIONBIO, &mode);
}
static int close_socket(sock_t sock) { return closesocket(sock); }
static void sleep_ms(long milliseconds) { Sleep((DWORD)milliseconds); }
static double now(void)
{
    LARGE_INTEGER frequency, count;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&count);
    return (double)count.QuadPart / (double)frequency.QuadPart;
}
static unsigned long process_id(void) { return GetCurrentProcessId(); }
#else
typedef int sock_t;
typedef socklen_t size_of_address;
#define NO_SOCKET (-1)
#define BAD_SOCKET EBADF
#define REFUSED ECONNREFUSED

static int last_error(void) { return errno; }
static int would_block(int number) { return number == EAGAIN || number == EWOULDBLOCK || number == EINPROGRESS; }
static int set_blocking(sock_t sock, int blocking)
{
    int mode = !blocking;
    return ioctl(sock, FIONBIO, &mode);
}
/* A peer that reset the connection is no failure of close(): the descriptor is gone (BSDs). */
static int close_socket(sock_t sock) { return close(sock) && errno != ECONNRESET ? -1 : 0; }
static void sleep_ms(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}
static unsigned long process_id(void) { return (unsigned long)getpid(); }
#endif

/* getsockopt() and setsockopt() take char * on Windows, void * elsewhere; char * fits both. */
static int set_option(sock_t sock, int level, int option, const void *value, size_t size)
{
    return setsockopt(sock, level, option, (const char *)value, (size_of_address)size);
}
static int set_number(sock_t sock, int level, int option, int value)
{
    return set_option(sock, level, option, &value, sizeof value);
}
static int socket_error(sock_t sock)
{
    int number = 0;
    size_of_address size = sizeof number;
    return getsockopt(sock, SOL_SOCKET, SO_ERROR, (char *)&number, &size) ? last_error() : number;
}

/* A socket to wait for: until it can be written, where `writes`, else read.  `ready` is the answer. */
struct waiting {
    sock_t sock;
    int writes, ready;
};

/* Wait until one of the sockets has something to say; how many have. */
static int wait_for(struct waiting *sockets, size_t count, double seconds)
{
#ifdef _WIN32
    fd_set readers, writers, refused;
    struct timeval limit;
    int found;

    if (!count) { /* select() answers WSAEINVAL then */
        sleep_ms((long)(seconds * 1000));
        return 0;
    }
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_ZERO(&refused); /* a refused connection is exceptional there */
    for (size_t i = 0; i < count; i++) {
        if (sockets[i].writes) {
            FD_SET(sockets[i].sock, &writers);
            FD_SET(sockets[i].sock, &refused);
        } else {
            FD_SET(sockets[i].sock, &readers);
        }
    }
    if (seconds < 0)
        seconds = 0;
    limit.tv_sec = (long)seconds;
    limit.tv_usec = (long)((seconds - (double)limit.tv_sec) * 1e6);
    found = select(0, &readers, &writers, &refused, &limit);
    for (size_t i = 0; i < count; i++)
        sockets[i].ready = found > 0 && (FD_ISSET(sockets[i].sock, &readers) || FD_ISSET(sockets[i].sock, &writers) ||
                                         FD_ISSET(sockets[i].sock, &refused));
    return found;
#else
    struct pollfd few[64], *polled = few;
    int found;

    if (count > COUNT(few) && !(polled = malloc(count * sizeof *polled)))
        return 0;
    for (size_t i = 0; i < count; i++) {
        polled[i].fd = sockets[i].sock;
        polled[i].events = sockets[i].writes ? POLLOUT : POLLIN;
        polled[i].revents = 0;
    }
    found = poll(polled, (nfds_t)count, seconds < 0 ? 0 : (int)(seconds * 1000) + 1);
    for (size_t i = 0; i < count; i++)
        sockets[i].ready = found > 0 && polled[i].revents;
    if (polled != few)
        free(polled);
    return found;
#endif
}

static int wait_for_one(sock_t sock, int writes, double seconds)
{
    struct waiting one = {sock, writes, 0};
    return wait_for(&one, 1, seconds) > 0;
}

/* --- 2. vocabulary -------------------------------------------------------------------------------------------------
 * The rows of the notation, with this system's numbers; their twins are in executor.py. */

#if defined(__sun) && !defined(SO_REUSEPORT)
#define SO_REUSEPORT 0x2004 /* illumos shows it to the kernel alone (usr/src/uts/common/sys/socket.h) */
#endif
#if defined(__sun) && !defined(SO_EXCLBIND)
#define SO_EXCLBIND 0x1015
#endif
#if defined(__FreeBSD__) && !defined(SO_REUSEPORT_LB)
#define SO_REUSEPORT_LB 0x10000
#endif
#ifndef IPV6_JOIN_GROUP
#define IPV6_JOIN_GROUP IPV6_ADD_MEMBERSHIP
#endif
#ifdef _WIN32
#define FAMILY_UNIX (-1) /* below 0: not on this system */
#else
#define FAMILY_UNIX AF_UNIX
#endif
#ifdef __linux__
#define FAMILY_VSOCK 40
#else
#define FAMILY_VSOCK (-2)
#endif
#define PROTOCOL_MPTCP 262   /* Linux's own number */
#define PROTOCOL_UDPLITE 136 /* IANA's */
#define PROTOCOL_REMOTE (-1) /* TCP sockets of another host, which executor.py alone makes */

static const struct kind {
    const char *name;
    int family, type, protocol;
} KINDS[] = {
    {"tcp4", AF_INET, SOCK_STREAM, 0},
    {"tcp6", AF_INET6, SOCK_STREAM, 0},
    {"udp4", AF_INET, SOCK_DGRAM, 0},
    {"udp6", AF_INET6, SOCK_DGRAM, 0},
    {"mptcp4", AF_INET, SOCK_STREAM, PROTOCOL_MPTCP},
    {"mptcp6", AF_INET6, SOCK_STREAM, PROTOCOL_MPTCP},
    {"udplite4", AF_INET, SOCK_DGRAM, PROTOCOL_UDPLITE},
    {"udplite6", AF_INET6, SOCK_DGRAM, PROTOCOL_UDPLITE},
    {"unix", FAMILY_UNIX, SOCK_STREAM, 0},
    {"unixgram", FAMILY_UNIX, SOCK_DGRAM, 0},
    {"vsock", FAMILY_VSOCK, SOCK_STREAM, 0},
    {"remote4", AF_INET, SOCK_STREAM, PROTOCOL_REMOTE},
    {"remote6", AF_INET6, SOCK_STREAM, PROTOCOL_REMOTE},
};

static const struct option {
    const char *name;
    int exists, level, number;
} OPTIONS[] = {
    {"reuseaddr", 1, SOL_SOCKET, SO_REUSEADDR},
#ifdef SO_REUSEPORT
    {"reuseport", 1, SOL_SOCKET, SO_REUSEPORT},
#else
    {"reuseport", 0, 0, 0},
#endif
#ifdef SO_REUSEPORT_LB
    {"reuseport_lb", 1, SOL_SOCKET, SO_REUSEPORT_LB},
#else
    {"reuseport_lb", 0, 0, 0},
#endif
#ifdef _WIN32
    {"exclusive", 1, SOL_SOCKET, SO_EXCLUSIVEADDRUSE},
#else
    {"exclusive", 0, 0, 0},
#endif
#ifdef SO_EXCLBIND
    {"exclbind", 1, SOL_SOCKET, SO_EXCLBIND},
#else
    {"exclbind", 0, 0, 0},
#endif
    {"v6only", 1, IPPROTO_IPV6, IPV6_V6ONLY},
    {"broadcast", 1, SOL_SOCKET, SO_BROADCAST},
};

#define CID_ANY 0xFFFFFFFFu
#define CID_LOCAL 1u
#define NO_CID 0u /* 0 is the hypervisor's and never ours */
static const struct {
    const char *name;
    uint32_t cid; /* NO_CID: the machine's own */
} CIDS[] = {{"any", CID_ANY}, {"local", CID_LOCAL}, {"own", NO_CID}};

/* Names of errors are POSIX's.  Where two names share a number, the first row decides. */
#ifdef _WIN32
#define E(name) {WSA##name, #name}
#else
#define E(name) {name, #name}
#endif
static const struct {
    int number;
    const char *name;
} ERRORS[] = {
#ifdef _WIN32
    {WSAEWOULDBLOCK, "EAGAIN"}, /* Winsock has other names for these two */
    {WSAENOTSOCK, "EBADF"},
#else
    E(EAGAIN), E(EBADF), E(ENOTSOCK), E(EPERM), E(ENOENT), E(EIO), E(ENXIO), E(ENOMEM), E(EBUSY), E(EEXIST), E(ENODEV),
    E(ENOTDIR), E(EISDIR), E(ENFILE), E(ENOTTY), E(EFBIG), E(ENOSPC), E(ESPIPE), E(EROFS), E(EMLINK), E(EPIPE), E(EDOM),
    E(ERANGE), E(ENOSYS), E(EPROTO), E(EOVERFLOW), E(EBADMSG), E(EILSEQ), E(ECANCELED), E(ENOLCK), E(EIDRM), E(ENOMSG),
    E(ESRCH), E(ECHILD), E(E2BIG), E(ENOEXEC), E(EXDEV), E(ETXTBSY),
#endif
    E(EADDRINUSE), E(EADDRNOTAVAIL), E(EACCES), E(EINVAL), E(EAFNOSUPPORT), E(ECONNREFUSED), E(ECONNRESET), E(EINTR),
    E(ECONNABORTED), E(EISCONN), E(ENOTCONN), E(ENOPROTOOPT), E(EOPNOTSUPP), E(EPROTONOSUPPORT), E(EPROTOTYPE),
    E(EFAULT), E(EMFILE), E(ENOBUFS), E(ENETUNREACH), E(EHOSTUNREACH), E(ETIMEDOUT), E(EALREADY), E(EINPROGRESS),
    E(EMSGSIZE), E(EDESTADDRREQ), E(ENETDOWN), E(ENETRESET), E(ENAMETOOLONG), E(ELOOP), E(ENOTEMPTY), E(EDQUOT),
    E(ESTALE),
#ifdef ESHUTDOWN
    E(ESHUTDOWN),
#endif
#ifdef EHOSTDOWN
    E(EHOSTDOWN),
#endif
#ifdef EPFNOSUPPORT
    E(EPFNOSUPPORT),
#endif
#ifdef ESOCKTNOSUPPORT
    E(ESOCKTNOSUPPORT),
#endif
#ifdef ETOOMANYREFS
    E(ETOOMANYREFS),
#endif
};

/* These say that the machine is at its limits, not what the kernel thinks of the call. */
static const struct {
    const char *name, *meaning;
} SETUP_ERRORS[] = {
    {"EMFILE", "too many open files"},
    {"ENFILE", "too many open files in the whole system"},
    {"ENOBUFS", "no buffer space available"},
    {"ENOMEM", "cannot allocate memory"},
};

/* --- 3. text -------------------------------------------------------------------------------------------------------
 * Texts are bytes with a length.  Inside, they are UTF-8 that may also hold lone surrogates, as JSON may. */

struct text {
    char *at;
    size_t length, room;
};

static void *grown(void *memory, size_t size)
{
    void *larger = realloc(memory, size);
    if (!larger) {
        fputs("executor: out of memory\n", stderr);
        exit(2);
    }
    return larger;
}

static void reserve(struct text *text, size_t more)
{
    if (text->room - text->length < more) {
        text->room = (text->length + more) * 2;
        text->at = grown(text->at, text->room);
    }
}

static void put_bytes(struct text *text, const char *bytes, size_t length)
{
    reserve(text, length);
    if (length)
        memcpy(text->at + text->length, bytes, length);
    text->length += length;
}

static void put(struct text *text, const char *words) { put_bytes(text, words, strlen(words)); }

static void put_format(struct text *text, const char *form, ...)
{
    va_list list;
    int length;

    va_start(list, form);
    length = vsnprintf(NULL, 0, form, list);
    va_end(list);
    reserve(text, (size_t)length + 1);
    va_start(list, form);
    vsnprintf(text->at + text->length, (size_t)length + 1, form, list);
    va_end(list);
    text->length += (size_t)length;
}

/* The bytes of the UTF-8 sequence at `at`; where it is none, `valid` is 0 and they are those that U+FFFD replaces. */
static size_t utf8_length(const unsigned char *at, size_t left, int *valid)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xC2 && at[0] <= 0xDF ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : 4;

    *valid = at[0] < 0x80 || (at[0] >= 0xC2 && at[0] <= 0xF4);
    if (!*valid)
        return 1;
    if (at[0] == 0xE0)
        low = 0xA0; /* shorter forms, */
    else if (at[0] == 0xED)
        high = 0x9F; /* surrogates, */
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F; /* and numbers above U+10FFFF are none */
    for (size_t i = 1; i < length; i++) {
        if (i == left || at[i] < low || at[i] > high) {
            *valid = 0;
            return i;
        }
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

static void put_utf8(struct text *text, unsigned long letter)
{
    char bytes[4];
    size_t length = letter < 0x80 ? 1 : letter < 0x800 ? 2 : letter < 0x10000 ? 3 : 4;
    static const unsigned char LEAD[] = {0, 0, 0xC0, 0xE0, 0xF0};

    for (size_t i = length; i-- > 1; letter >>= 6)
        bytes[i] = (char)(0x80 | (letter & 0x3F));
    bytes[0] = (char)(LEAD[length] | letter);
    put_bytes(text, bytes, length);
}

/* `bytes` with U+FFFD for whatever is no UTF-8. */
static void put_repaired(struct text *text, const char *bytes, size_t length)
{
    int valid;

    for (size_t i = 0, step; i < length; i += step) {
        step = utf8_length((const unsigned char *)bytes + i, length - i, &valid);
        if (valid)
            put_bytes(text, bytes + i, step);
        else
            put(text, "\xEF\xBF\xBD");
    }
}

/* `bytes` as a string of JSON in ASCII. */
static void put_json(struct text *text, const char *bytes, size_t length)
{
    put(text, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte >= 0x80) { /* only repaired text comes here, so the sequence is whole */
            size_t more = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
            unsigned long letter = byte & (0x3FuL >> more);
            while (more--)
                letter = letter << 6 | ((unsigned char)bytes[++i] & 0x3F);
            if (letter > 0xFFFF) {
                put_format(text, "\\u%04lx", 0xD800 + ((letter - 0x10000) >> 10));
                letter = 0xDC00 + ((letter - 0x10000) & 0x3FF);
            }
            put_format(text, "\\u%04lx", letter);
        } else if (byte == '"' || byte == '\\') {
            put_format(text, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7F) {
            put_format(text, "\\u%04x", byte);
        } else {
            put_bytes(text, bytes + i, 1);
        }
    }
    put(text, "\"");
}

/* What Python's split() takes for white space in ASCII. */
static int is_space(char letter)
{
    return letter == ' ' || (letter >= 9 && letter <= 13) || (letter >= 28 && letter <= 31);
}

/* --- 4. notation ---------------------------------------------------------------------------------------------------
 * A line becomes an array of steps.  Names of sockets become numbers; number 0 is nobody's, for steps on no socket. */

struct word {
    const char *at;
    size_t length;
};

/* SOCKET_, because Winsock has a type SOCKET; CHOSEN is a bind() to a port that the kernel chooses. */
enum code {
    SET, BIND, LISTEN, SOCKET_, CLOSE, /* most scenarios consist of these */
    CHOSEN, CONNECT, ACCEPT, READ, JOIN, USER, WAIT, DELIVER, FLOW
};

/* Where a step leads to: an IP address, a name of a Unix socket ("/x" or "@x"), or a CID. */
struct place {
    int family; /* 0 on a step without a place */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } ip;
    struct word name;
    int cid; /* row of CIDS */
};

struct step {
    enum code code;
    size_t socket;        /* number of its name */
    const struct kind *kind;
    const struct option *option;
    size_t listener;      /* of ACCEPT */
    long number;          /* value of an option, user, milliseconds */
    struct place place;
};

struct named {
    struct word name;
    int open;   /* at this point of the parse */
    int family; /* 0 for IP */
};

static struct {
    struct step *steps;
    size_t step_count, step_room;
    struct named *names;
    size_t name_count, name_room;
    struct text words; /* the line with a single space between its words */
} program;

/* Why the scenario cannot be judged; what came first stays. */
static struct text reason;

enum { FAILED = 0, DONE = 1 };

static int is_word(struct word word, const char *text)
{
    size_t i = 0;

    while (i < word.length && text[i] && text[i] == word.at[i])
        i++;
    return i == word.length && !text[i];
}

static int is_same(struct word one, struct word other)
{
    return one.length == other.length && !memcmp(one.at, other.at, one.length);
}

/* Split at the first `separator`: what is before it, and `rest` behind it; whether it is there. */
static int split(struct word word, char separator, struct word *before, struct word *rest)
{
    const char *at = word.length ? memchr(word.at, separator, word.length) : NULL;

    before->at = word.at;
    before->length = at ? (size_t)(at - word.at) : word.length;
    rest->at = at ? at + 1 : word.at + word.length;
    rest->length = at ? word.length - before->length - 1 : 0;
    return at != NULL;
}

/* The text as Python quotes it. */
static void put_quoted(struct text *text, struct word word)
{
    int apostrophe = word.length && memchr(word.at, '\'', word.length) && !memchr(word.at, '"', word.length);
    char quote = apostrophe ? '"' : '\'';

    put_bytes(text, &quote, 1);
    for (size_t i = 0; i < word.length; i++) {
        unsigned char byte = (unsigned char)word.at[i];
        if (byte == (unsigned char)quote || byte == '\\')
            put_format(text, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7F)
            put_format(text, "\\x%02x", byte);
        else
            put_bytes(text, word.at + i, 1);
    }
    put_bytes(text, &quote, 1);
}

static int not_a_scenario(struct word word, const char *why)
{
    reason.length = 0;
    put(&reason, "not a scenario: ");
    if (word.at)
        put_quoted(&reason, word);
    put(&reason, why);
    return FAILED;
}

static int is_name(struct word word)
{
    if (!word.length || word.at[0] < 'a' || word.at[0] > 'z')
        return 0;
    for (size_t i = 1; i < word.length; i++) {
        char letter = word.at[i];
        if (!((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_'))
            return 0;
    }
    return 1;
}

static const struct global {
    const char *name;
    enum code code;
    long maximum; /* 0: an address follows */
} GLOBALS[] = {{"user", USER, 0}, {"wait", WAIT, 600000}, {"deliver", DELIVER, 0}, {"deliver_flow", FLOW, 0}};
#define MOST_USER 4294967294uL /* does not fit into the long of Windows */

static const struct global *find_global(struct word word)
{
    for (size_t i = 0; i < COUNT(GLOBALS); i++)
        if (is_word(word, GLOBALS[i].name))
            return &GLOBALS[i];
    return NULL;
}

static int parse_number(struct word head, struct word value, const struct global *global, long *number)
{
    unsigned long long most = global->code == USER ? MOST_USER : (unsigned long long)global->maximum, sum = 0;
    int valid = value.length > 0;

    for (size_t i = 0; i < value.length && valid; i++) {
        valid = value.at[i] >= '0' && value.at[i] <= '9';
        sum = sum * 10 + (unsigned)(value.at[i] - '0');
        valid = valid && sum <= most;
    }
    if (!valid) {
        char text[60];
        snprintf(text, sizeof text, " needs a number from 0 to %lu", (unsigned long)most);
        return not_a_scenario(head, text);
    }
    *number = (long)(unsigned long)sum; /* setuid() gets it back as unsigned */
    return DONE;
}

/* The place that `text` means; `chosen`: one whose port the kernel chooses, which names of Unix sockets have not. */
static int parse_place(struct word word, struct word text, int chosen, struct place *place)
{
    struct word before, rest;
    char address[64];

    memset(place, 0, sizeof *place);
    if (text.length > 1 && text.length <= 33 && (text.at[0] == '/' || text.at[0] == '@') && !chosen) {
        int valid = 1;
        for (size_t i = 1; i < text.length; i++) {
            char letter = text.at[i];
            valid &= (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
        }
        if (valid) {
            place->family = FAMILY_UNIX;
            place->name = text;
            return DONE;
        }
    }
    if (split(text, ':', &before, &rest) && is_word(before, "cid"))
        for (size_t i = 0; i < COUNT(CIDS); i++)
            if (is_word(rest, CIDS[i].name)) {
                place->family = FAMILY_VSOCK;
                place->name = text;
                place->cid = (int)i;
                return DONE;
            }
    if (text.length && text.length < sizeof address && !memchr(text.at, 0, text.length)) {
        memcpy(address, text.at, text.length);
        address[text.length] = 0;
        place->name = text;
        if (memchr(text.at, ':', text.length)) {
            place->family = place->ip.v6.sin6_family = AF_INET6;
            if (inet_pton(AF_INET6, address, &place->ip.v6.sin6_addr) == 1)
                return DONE;
        } else {
            place->family = place->ip.v4.sin_family = AF_INET;
            if (inet_pton(AF_INET, address, &place->ip.v4.sin_addr) == 1)
                return DONE;
        }
    }
    return not_a_scenario(word, " needs an IPv4 or IPv6 address");
}

/* The four bytes of an IPv4 address, also of a mapped one; NULL where it is none. */
static const unsigned char *ipv4_bytes(const struct place *place)
{
    static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    const unsigned char *v6 = (const unsigned char *)&place->ip.v6.sin6_addr;

    if (place->family == AF_INET)
        return (const unsigned char *)&place->ip.v4.sin_addr;
    return place->family == AF_INET6 && !memcmp(v6, MAPPED, sizeof MAPPED) ? v6 + 12 : NULL;
}

static int is_ipv6_loopback(const struct place *place)
{
    return place->family == AF_INET6 && !memcmp(&place->ip.v6.sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
}

/* 127.0.0.0/8, mapped or not, and ::1. */
static int is_loopback(const struct place *place)
{
    const unsigned char *v4 = ipv4_bytes(place);
    return v4 ? v4[0] == 127 : is_ipv6_loopback(place);
}

static int is_ipv4(const struct place *place, unsigned char first, unsigned char second, unsigned char third,
                   unsigned char fourth)
{
    const unsigned char *v4 = ipv4_bytes(place);
    return v4 && v4[0] == first && v4[1] == second && v4[2] == third && v4[3] == fourth;
}

static int is_unspecified(const struct place *place)
{
    return is_ipv4(place, 0, 0, 0, 0) ||
           (place->family == AF_INET6 && !memcmp(&place->ip.v6.sin6_addr, &in6addr_any, sizeof in6addr_any));
}

/* The broadcast address of the loopback network, mapped or not. */

static int is_multicast(const struct place *place)
{
    if (place->family == AF_INET6)
        return ((const unsigned char *)&place->ip.v6.sin6_addr)[0] == 0xFF;
    return place->family == AF_INET && ((const unsigned char *)&place->ip.v4.sin_addr)[0] >> 4 == 14;
}

/* The number of a name, 0 for one that is not there. */
static size_t find_name(struct word name)
{
    for (size_t i = 1; i < program.name_count; i++)
        if (is_same(program.names[i].name, name))
            return i;
    return 0;
}

static size_t add_name(struct word name)
{
    struct named fresh = {name, 0, 0};

    if (program.name_count == program.name_room) {
        program.name_room = program.name_room * 2 + 8;
        program.names = grown(program.names, program.name_room * sizeof *program.names);
    }
    program.names[program.name_count] = fresh;
    return program.name_count++;
}

/* The step makes the socket `name`. */
static int parse_maker(struct word word, struct word name, int family, struct step *step)
{
    step->socket = find_name(name);
    if (step->socket && program.names[step->socket].open)
        return not_a_scenario(word, " makes a socket that is still open");
    if (!step->socket)
        step->socket = add_name(name);
    program.names[step->socket].open = 1;
    program.names[step->socket].family = family;
    return DONE;
}

/* "a.VERB" and "a.VERB=VALUE", whatever becomes of "a". */
static int parse_verb(struct word word, struct word verb, int equals, struct word value, struct step *step)
{
    int binds = is_word(verb, "bind");

    for (size_t i = 0; i < COUNT(OPTIONS); i++)
        if (is_word(verb, OPTIONS[i].name) && value.length == 1 && (value.at[0] == '0' || value.at[0] == '1')) {
            step->code = SET;
            step->option = &OPTIONS[i];
            step->number = value.at[0] - '0';
            return DONE;
        }
    if (!equals && is_word(verb, "listen")) {
        step->code = LISTEN;
    } else if (!equals && is_word(verb, "read")) {
        step->code = READ;
    } else if (!equals && is_word(verb, "close")) {
        step->code = CLOSE;
    } else if (binds && value.length > 1 && !memcmp(value.at + value.length - 2, ",0", 2)) {
        step->code = CHOSEN;
        value.length -= 2;
        return parse_place(word, value, 1, &step->place);
    } else if (binds || is_word(verb, "connect") || is_word(verb, "join")) {
        step->code = binds ? BIND : verb.at[0] == 'c' ? CONNECT : JOIN;
        if (!parse_place(word, value, 0, &step->place))
            return FAILED;
        if (step->code == JOIN && !is_multicast(&step->place))
            return not_a_scenario(word, " needs a multicast address");
    } else {
        return not_a_scenario(word, " is not a step");
    }
    return DONE;
}

static int parse_step(struct word word, struct step *step)
{
    struct word head, value, name, verb, source, accept;
    int equals = split(word, '=', &head, &value), dot = split(head, '.', &name, &verb);
    const struct global *global = find_global(name);

    memset(step, 0, sizeof *step);
    if (global && !dot) {
        step->code = global->code;
        if (global->code == USER || global->code == WAIT)
            return parse_number(head, value, global, &step->number);
        return parse_place(word, value, 0, &step->place);
    }
    if (global || !is_name(name))
        return not_a_scenario(word, " is not a step");
    for (size_t i = 0; i < COUNT(KINDS) && !dot; i++)
        if (is_word(value, KINDS[i].name)) {
            step->code = SOCKET_;
            step->kind = &KINDS[i];
            return parse_maker(word, name, KINDS[i].family == AF_INET6 ? AF_INET : KINDS[i].family, step);
        }
    split(value, '.', &source, &accept);
    if (!dot && is_word(accept, "accept") && is_name(source)) {
        size_t known = find_name(name);
        step->code = ACCEPT;
        step->listener = find_name(source);
        if (!(known && program.names[known].open) && !step->listener)
            return not_a_scenario(word, " is on a socket that is not made yet");
        return parse_maker(word, name, program.names[step->listener].family, step);
    }
    if (!parse_verb(word, verb, equals, value, step))
        return FAILED;
    step->socket = find_name(name);
    if (!step->socket)
        return not_a_scenario(word, " is on a socket that is not made yet");
    if (step->code == CLOSE)
        program.names[step->socket].open = 0;
    return DONE;
}

/* Whether the place is none for the socket's family: an IP address for a Unix socket, a CID for an IP one, ... */
static int is_misplaced(const struct step *step, int family)
{
    int placed = step->place.family == AF_INET6 ? AF_INET : step->place.family;
    return placed && step->code != DELIVER && step->code != FLOW && placed != family;
}

/* Fill `program` from a line, which must outlive it. */
static int parse(struct word line)
{
    const struct step *misplaced = NULL;
    struct word nobody = {"", 0}, nothing = {NULL, 0};

    program.step_count = program.name_count = program.words.length = 0;
    add_name(nobody);
    for (size_t i = 0; i < line.length;) {
        struct word word = {line.at + i, 0};
        struct step *step;

        while (i < line.length && !is_space(line.at[i])) {
            word.length++;
            i++;
        }
        if (!word.length) {
            i++;
            continue;
        }
        if (program.step_count == program.step_room) {
            size_t place = misplaced ? (size_t)(misplaced - program.steps) : 0;
            program.step_room = program.step_room * 2 + 16;
            program.steps = grown(program.steps, program.step_room * sizeof *program.steps);
            misplaced = misplaced ? program.steps + place : NULL;
        }
        step = &program.steps[program.step_count];
        if (!parse_step(word, step))
            return FAILED;
        if (!misplaced && is_misplaced(step, program.names[step->socket].family))
            misplaced = step;
        if (program.step_count++)
            put(&program.words, " ");
        put_bytes(&program.words, word.at, word.length);
    }
    if (!program.step_count)
        return not_a_scenario(nothing, "no step");
    if (misplaced) {
        not_a_scenario(nothing, "the address ");
        put_quoted(&reason, misplaced->place.name);
        put(&reason, " is none for ");
        put_quoted(&reason, program.names[misplaced->socket].name);
        return FAILED;
    }
    return DONE;
}

/* --- 5. ports ------------------------------------------------------------------------------------------------------
 * A scenario that connects gets a port that no other scenario meets while a TIME_WAIT may live there; all others share
 * a round of ports.  Multiples of 128 are never used: NetBSD finds accepted children on those ports alone. */

/* What is known of this host; section 11 fills it in. */
static struct {
    const char *namespace; /* "own": a network namespace, "user": one inside a user namespace, "none" */
    int gvisor, privileged, ipv6, abstract, local_cid;
    int addresses[3];       /* which of ADDRESSES are this host's */
    int carries;            /* a datagram over the loopback interface arrives */
    int connect_is_limited; /* by SO_SNDTIMEO, which only Linux documents, socket(7) */
    uint32_t cid;           /* NO_CID: none of its own */
    unsigned loopback_index;
} host;

static const char *const ADDRESSES[3] = {"127.0.0.1", "127.0.0.2", "::1"};

/* Set once the scenario under way cannot be judged any more; `reason` says why. */
static enum { JUDGED, NO_VERDICT, UNSUPPORTED } failure;

static void fail(int how, const char *form, ...)
{
    char text[300];
    va_list list;

    if (failure)
        return; /* the first reason is the cause of the others */
    va_start(list, form);
    vsnprintf(text, sizeof text, form, list);
    va_end(list);
    failure = how;
    reason.length = 0;
    put(&reason, text);
}

/* An address of the notation, which must be valid, with a port. */
static size_of_address ip_address(const char *text, int port, struct place *place)
{
    struct word word = {text, strlen(text)};

    parse_place(word, word, 0, place);
    if (place->family == AF_INET6)
        place->ip.v6.sin6_port = htons((uint16_t)port);
    else
        place->ip.v4.sin_port = htons((uint16_t)port);
    return (size_of_address)(place->family == AF_INET6 ? sizeof place->ip.v6 : sizeof place->ip.v4);
}

static int can_bind(const char *address)
{
    struct place place;
    size_of_address size = ip_address(address, 0, &place);
    sock_t sock = socket(place.family, SOCK_STREAM, 0);
    int bound = sock != NO_SOCKET && !bind(sock, &place.ip.any, size);

    if (sock != NO_SOCKET)
        close_socket(sock);
    return bound;
}

/* Whether a datagram over the loopback interface arrives; it may be down, or filtered. */
static int loopback_carries(void)
{
    static const char *const TRIED[] = {"127.0.0.1", "::1"};
    int arrived = 0;

    for (int i = 0; i < 2 && !arrived; i++) {
        struct place place;
        size_of_address size = ip_address(TRIED[i], 0, &place);
        sock_t sock = socket(place.family, SOCK_DGRAM, 0);
        char byte = 0;

        if (sock == NO_SOCKET)
            continue; /* no IPv4 here */
        arrived = !bind(sock, &place.ip.any, size) && !getsockname(sock, &place.ip.any, &size) &&
                  !connect(sock, &place.ip.any, size) && send(sock, ".", 1, 0) == 1 &&
                  wait_for_one(sock, 0, LIMIT) && recv(sock, &byte, 1, 0) == 1 && byte == '.';
        close_socket(sock);
    }
    return arrived;
}

#ifndef _WIN32
/* Read a small file without the white space at its ends; "" where that fails. */
static char *read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(text, 1, size - 1, file) : 0, start = 0;

    if (file)
        fclose(file);
    while (length && is_space(text[length - 1]))
        length--;
    while (start < length && is_space(text[start]))
        start++;
    memmove(text, text + start, length - start);
    text[length - start] = 0;
    return text;
}
#endif

#ifdef __linux__
static int write_file(const char *path, const char *text)
{
    int descriptor = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    int written = descriptor >= 0 && write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);

    if (descriptor >= 0)
        close(descriptor);
    return written;
}

/* Settings that outcomes depend on: a new namespace has the kernel's defaults, and gets those of the host. */
static struct {
    const char *path;
    char value[64];
} kept[] = {
    {"/proc/sys/net/ipv6/bindv6only", ""},
    {"/proc/sys/net/ipv4/tcp_timestamps", ""},
    {"/proc/sys/net/ipv4/tcp_tw_reuse", ""},
    {"/proc/sys/net/ipv4/ip_autobind_reuse", ""},
    {"/proc/sys/net/ipv4/ip_unprivileged_port_start", ""},
};
#define KEPT (sizeof kept / sizeof kept[0])

/* All ports of a network namespace of our own; a new one as soon as TIME_WAITs could run out of room there. */
static struct {
    int count; /* which namespace this is; sockets that outlive a scenario belong to one */
    int ports[22000];
    size_t port_count, plain, fresh;
    long connections_left;
} own;
#define PLAIN_PORTS 1024
#define MOST_CONNECTIONS 8192 /* each may hold one ephemeral port for the length of TIME_WAIT */

static void find_ephemeral_ports(int *low, int *high)
{
    static const char PATH[] = "/proc/sys/net/ipv4/ip_local_port_range";
    char before[64];

    read_file(PATH, before, sizeof before);
    *low = 32768;
    *high = 65535;
    if (write_file(PATH, "32768 65535")) {
        if (!host.gvisor)
            return;
        write_file(PATH, before); /* that of the whole sandbox; namespaces go by a range of their own */
    }
    *low = *high = 0;
    if (sscanf(before, "%d %d", low, high) != 2)
        *low = *high = 0;
}

/* Bring up the loopback interface and list the ports; -1 with errno where this namespace is of no use. */
static int furnish_namespace(void)
{
    static const char BUCKETS[] = "/proc/sys/net/ipv4/tcp_max_tw_buckets";
    struct ifreq request;
    char text[64];
    long buckets;
    int low, high, sock = socket(AF_INET, SOCK_DGRAM, 0), raised;

    memset(&request, 0, sizeof request);
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    raised = sock >= 0 && !ioctl(sock, SIOCSIFFLAGS, &request);
    if (sock >= 0)
        close(sock);
    if (!raised && !loopback_carries()) /* gVisor has no such request, and lo is up from the start */
        return -1;
    write_file("/proc/sys/net/core/somaxconn", "4096"); /* more than the clients of a delivery */
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i].value[0] && strcmp(kept[i].value, read_file(kept[i].path, text, sizeof text)))
            write_file(kept[i].path, kept[i].value);
    find_ephemeral_ports(&low, &high);
    write_file(BUCKETS, "262144");
    buckets = atol(read_file(BUCKETS, text, sizeof text));
    buckets = (buckets > 0 ? buckets : 4096) / 2;
    own.connections_left = buckets < MOST_CONNECTIONS ? buckets : MOST_CONNECTIONS;
    own.port_count = own.plain = 0;
    for (int port = 10000; port < 32000; port++)
        if (port % 128 && !(low <= port && port <= high))
            own.ports[own.port_count++] = port;
    if (own.port_count < 2 * PLAIN_PORTS) {
        errno = EADDRINUSE;
        return -1;
    }
    own.fresh = host.gvisor ? 0 : PLAIN_PORTS;
    own.count++;
    return 0;
}

static int enter_namespace(int user)
{
    char map[64];
    unsigned long uid = geteuid(), gid = getegid();

    for (size_t i = 0; i < KEPT; i++)
        read_file(kept[i].path, kept[i].value, sizeof kept[i].value);
    if (unshare(user ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET))
        return -1;
    if (user) {
        int mapped;
        write_file("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "%lu %lu 1", uid, uid);
        mapped = write_file("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "%lu %lu 1", gid, gid);
        if (!mapped || !write_file("/proc/self/gid_map", map)) {
            errno = EPERM;
            return -1;
        }
    }
    return furnish_namespace();
}

/* Let a child try a user namespace: it cannot be left again, and some systems grant it without any right in it. */
static int rehearse_user_namespace(void)
{
    int status = 1;
    pid_t child = fork();

    if (child == 0)
        _exit(enter_namespace(1) != 0);
    if (child < 0 || waitpid(child, &status, 0) != child || status) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

static int own_fresh_port(int connections)
{
    for (int tries = 0; tries < 2; tries++) {
        own.connections_left -= connections;
        if (own.fresh < own.port_count && own.connections_left >= 0)
            return own.ports[own.fresh++];
        if (unshare(CLONE_NEWNET) || furnish_namespace())
            break;
    }
    fail(NO_VERDICT, "no further network namespace: %s", strerror(errno));
    return 0;
}

static int own_plain_port(void)
{
    if (host.gvisor) /* it loses a few reservations for ever: no port is met twice there */
        return own_fresh_port(0);
    own.plain %= PLAIN_PORTS;
    return own.ports[own.plain++];
}
#endif

/* Ports among those of everybody else: blocks away from the ephemeral range, each port tried before its use.
 * The first port of a block stays bound as the sign to other executors that the block is taken. */
#if defined(__FreeBSD__)
enum { LOWEST = 2000, HIGHEST = 10000 }; /* FreeBSD's ephemeral ports start at 10000 */
#elif defined(__OpenBSD__)
enum { LOWEST = 50000, HIGHEST = 65000 }; /* OpenBSD's are 1024 to 49151 */
#else
enum { LOWEST = 10000, HIGHEST = 32000 };
#endif
enum { BLOCK = 250, BLOCKS = (HIGHEST - LOWEST) / BLOCK, ROUND = 64 }; /* room for 88 executors on one machine */
#define REST 250.0 /* seconds: the longest TIME_WAIT is that of Solaris and Windows, four minutes */

static struct {
    int next, end;            /* what is left of the block that was leased last */
    int blocks[BLOCKS]; /* their first ports */
    size_t block_count, blocks_tried;
    int round[ROUND];
    size_t round_count, turn;
    double round_tried;       /* when its ports were last seen to be free */
    int crowded;              /* whether a port was ever found to be taken */
    struct {
        double since;
        int port;
    } resting[HIGHEST - LOWEST]; /* a ring: ports that may carry a TIME_WAIT of ours */
    size_t first_resting, resting_count;
} leased;

static const char *error_name(int number);

/* Whether a socket of each kind can have the port for itself now. */
static int is_free(int port)
{
    for (size_t i = 0; i < 4; i++) { /* the first four kinds are TCP and UDP */
        struct place place;
        int bound, six = KINDS[i].family == AF_INET6;
        size_of_address size = ip_address(six ? "::" : "0.0.0.0", port, &place);
        sock_t sock;

        if (six && !host.ipv6)
            continue;
        sock = socket(KINDS[i].family, KINDS[i].type, 0);
        if (sock == NO_SOCKET) {
            error_name(last_error()); /* no verdict where the machine is at its limits */
            return 0;
        }
#ifdef _WIN32
        set_number(sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
#endif
        if (six)
            set_number(sock, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        bound = !bind(sock, &place.ip.any, size);
        close_socket(sock);
        if (!bound) {
            leased.crowded = 1;
            return 0;
        }
    }
    return 1;
}

/* List the blocks that the ephemeral range leaves. */
static void list_blocks(void)
{
    int first = 0, last = 0;
#ifdef __linux__
    char range[64];

    if (sscanf(read_file("/proc/sys/net/ipv4/ip_local_port_range", range, sizeof range), "%d %d", &first, &last) != 2)
        first = last = 0;
#endif
    for (int start = LOWEST; start < HIGHEST; start += BLOCK)
        if (!(first - BLOCK < start && start <= last))
            leased.blocks[leased.block_count++] = start;
}

/* Take the next block that nobody holds; 0 when there is none.  Its sign is closed with the process. */
static int lease_block(void)
{
    while (leased.blocks_tried < leased.block_count) {
        int start = leased.blocks[(process_id() + leased.blocks_tried++) % leased.block_count];
        struct place place;
        size_of_address size = ip_address("127.0.0.1", start + 1, &place);
        sock_t sign = socket(AF_INET, SOCK_STREAM, 0);

        if (sign != NO_SOCKET && !bind(sign, &place.ip.any, size)) {
            leased.next = start + 2;
            leased.end = start + BLOCK;
            return 1;
        }
        if (sign != NO_SOCKET)
            close_socket(sign);
    }
    return 0;
}

/* A free port that was not used before, 0 when there is none. */
static int lease_port(void)
{
    do {
        while (leased.next < leased.end) {
            int port = leased.next++;
            if (port % 128 && is_free(port))
                return port;
        }
    } while (lease_block());
    return 0;
}

static void fill_round(void)
{
    int port;

    while (leased.round_count < ROUND && (port = lease_port()) != 0)
        leased.round[leased.round_count++] = port;
    leased.round_tried = now();
}

static void try_round_again(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < leased.round_count; i++)
        if (is_free(leased.round[i]))
            leased.round[kept++] = leased.round[i];
    leased.round_count = kept;
    fill_round();
}

/* A port for a scenario that leaves nothing behind.
 *
 * All of them are tried again once a second.  Once one was taken, each is tried before its use too: otherwise a
 * scenario and its repeats may all meet sockets of the same neighbour. */
static int leased_plain_port(void)
{
    for (int tries = 0; tries < ROUND; tries++) {
        if (leased.turn >= leased.round_count) {
            if (now() - leased.round_tried > 1)
                try_round_again();
            leased.turn = 0;
        }
        if (!leased.round_count)
            break;
        int port = leased.round[leased.turn++];
        if (!leased.crowded || is_free(port))
            return port;
    }
    fail(NO_VERDICT, "every leased port was taken by another process");
    return 0;
}

/* A port that was free a moment ago and carries no TIME_WAIT of ours. */
static int leased_fresh_port(void)
{
    int port = lease_port();

    while (!port) {
        if (!leased.resting_count || now() - leased.resting[leased.first_resting].since < REST) {
            fail(NO_VERDICT, "every port is taken or may still carry a TIME_WAIT; run again in four minutes");
            return 0;
        }
        port = leased.resting[leased.first_resting].port;
        leased.first_resting = (leased.first_resting + 1) % COUNT(leased.resting);
        leased.resting_count--;
        if (!is_free(port))
            port = 0;
    }
    size_t last = (leased.first_resting + leased.resting_count++) % COUNT(leased.resting);
    leased.resting[last].since = now();
    leased.resting[last].port = port;
    return port;
}

static int is_leased(void) { return !strcmp(host.namespace, "none"); }

/* A port for a scenario that makes so many connections; 0 with a failure. */
static int take_port(int connections)
{
#ifdef __linux__
    if (!is_leased())
        return connections ? own_fresh_port(connections) : own_plain_port();
#endif
    return connections ? leased_fresh_port() : leased_plain_port();
}

/* Sockets that see the namespace they were made in must be made again when this changes. */
static int namespace_count(void)
{
#ifdef __linux__
    return own.count;
#else
    return 0;
#endif
}

/* Find ports as `wanted` says: "own", "none" or "auto"; fails where that is impossible. */
static void make_ports(const char *wanted)
{
    host.namespace = "none";
#ifdef __linux__
    if (strcmp(wanted, "none")) {
        if (!enter_namespace(0))
            host.namespace = "own";
        else if (!rehearse_user_namespace() && !enter_namespace(1))
            host.namespace = "user";
        if (!is_leased())
            return;
    }
#endif
    if (!strcmp(wanted, "own")) {
        fail(NO_VERDICT, "no network namespace: neither as root nor inside a user namespace, or not on Linux");
        return;
    }
    host.ipv6 = can_bind("::1");
    list_blocks();
    if (!leased.block_count)
        fail(NO_VERDICT, "ip_local_port_range leaves no ports from %d to %d", LOWEST, HIGHEST);
    fill_round();
    if (!leased.round_count)
        fail(NO_VERDICT, "every port from %d to %d is taken", LOWEST, HIGHEST);
}

/* --- 6. names of Unix sockets --------------------------------------------------------------------------------------
 * A folder of our own.  On Linux it is a file system that is mounted nowhere (fsopen(2), since 5.2) and ends with this
 * process, however that ends.  Elsewhere, or where that is not allowed, it is one among the temporary files for each
 * scenario, under a lock.  A process that is killed in such a scenario leaves it there; the next that needs one removes
 * those that nobody holds any more. */

#ifndef _WIN32
static struct {
    int descriptor; /* 0: not made yet */
    int temporary;
    int used;       /* by the scenario under way */
    char path[80];
} folder;

/* Remove the sockets in the folder; how many there were. */
static int clear_folder(int descriptor)
{
    struct stat found;
    int sockets = 0;
    int readable = openat(descriptor, ".", O_RDONLY); /* fsmount() opens with O_PATH */
    DIR *listing = readable < 0 ? NULL : fdopendir(readable);
    struct dirent *entry;

    if (!listing) {
        fail(NO_VERDICT, "the names of Unix sockets cannot be removed: %s", strerror(errno));
        return 0;
    }
    while ((entry = readdir(listing)) != NULL)
        if (!fstatat(descriptor, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(found.st_mode))
            sockets += !unlinkat(descriptor, entry->d_name, 0);
    closedir(listing);
    return sockets;
}

#ifdef __linux__
static int unmounted_folder(void)
{
    enum { FSOPEN = 430, FSCONFIG = 431, FSMOUNT = 432, FSCONFIG_CREATE = 6, CLOSE_ON_EXEC = 1 };
    int context, made = -1;

    /* root of a user namespace may mount in a mount namespace of its own alone */
    if (!strcmp(host.namespace, "user") && unshare(CLONE_NEWNS))
        return -1;
    context = (int)syscall(FSOPEN, "tmpfs", CLOSE_ON_EXEC);
    if (context < 0)
        return -1;
    if (!syscall(FSCONFIG, context, FSCONFIG_CREATE, NULL, NULL, 0))
        made = (int)syscall(FSMOUNT, context, CLOSE_ON_EXEC, 0);
    close(context);
    return made;
}
#endif

/* Remove a folder of this user that no executor holds.
 *
 * Anybody may put a folder of that name among the temporary files, and exchange it at any time.  So only a folder that
 * belongs to us counts, and only sockets are removed from it, through its descriptor.  The sticky bit of the parent
 * keeps others from exchanging our own.  An empty one stays: an executor may have just made it, and lock it next. */
static void sweep_folder(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    struct stat found;

    if (descriptor < 0)
        return;
    if (!fstat(descriptor, &found) && found.st_uid == geteuid() && !flock(descriptor, LOCK_EX | LOCK_NB) &&
        clear_folder(descriptor))
        rmdir(path);
    close(descriptor);
}

static int locked_folder(void)
{
    static const char PARENT[] = "/tmp", PREFIX[] = "bindmatrix-unix-"; /* short: sun_path holds about 100 bytes */
    static int swept;
    DIR *listing = swept ? NULL : opendir(PARENT);
    struct dirent *entry;
    char path[300];
    int descriptor;

    swept = 1;
    while (listing && (entry = readdir(listing)) != NULL)
        if (!strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1)) {
            snprintf(path, sizeof path, "%s/%s", PARENT, entry->d_name);
            sweep_folder(path);
        }
    if (listing)
        closedir(listing);
    snprintf(folder.path, sizeof folder.path, "%s/%sXXXXXX", PARENT, PREFIX);
    if (!mkdtemp(folder.path))
        return -1;
    descriptor = open(folder.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (descriptor < 0 || flock(descriptor, LOCK_EX))
        return -1;
    if (geteuid() == 0 && fchmod(descriptor, 01777)) /* for the users of a scenario */
        return -1;
    folder.temporary = 1;
    return descriptor;
}

/* Make the folder, as ourselves: the users of a scenario may not mount. */
static void need_folder(void)
{
    if (!folder.descriptor) {
        int descriptor = -1;
#ifdef __linux__
        descriptor = unmounted_folder();
        snprintf(folder.path, sizeof folder.path, "/proc/self/fd/%d", descriptor);
#endif
        if (descriptor < 0)
            descriptor = locked_folder();
        if (descriptor < 0) {
            fail(NO_VERDICT, "no folder for the names of Unix sockets: %s", strerror(errno));
            return;
        }
        folder.descriptor = descriptor;
    }
}

static void close_folder(void)
{
    if (folder.descriptor) {
        clear_folder(folder.descriptor);
        if (folder.temporary)
            rmdir(folder.path);
        close(folder.descriptor);
        folder.descriptor = 0;
    }
}
#endif

/* --- 7. states of connections --------------------------------------------------------------------------------------
 * A Linux kernel is asked (sock_diag(7), one question a socket) in which state each end of a connection is.  The states
 * that the calls of a scenario must have led to are known: this tells a leftover that is there from one that is still
 * on its way or that the kernel dropped (TIME_WAIT past tcp_max_tw_buckets). */

struct end {
    sock_t sock; /* NO_SOCKET: closed, or never made */
    int family, type, protocol;
    size_t link; /* its connection, 0 for none */
};
static struct end *ends; /* of the scenario under way; the index is the number of its name */
static int connected;    /* whether a TCP connection was made in it */

static void settle(void);

#ifdef __linux__
enum { QUESTION_SIZE = 72, ASK_BY_FAMILY = 20, PATIENCE_MS = 100 };
enum { GONE = 0, ESTABLISHED = 1, FIN_WAIT1 = 4, FIN_WAIT2 = 5, TIME_WAIT = 6, CLOSE_WAIT = 8, LISTENING = 10 };
static const char *const STATES[] = {"gone",       "ESTABLISHED", "SYN_SENT",   "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
                                     "TIME_WAIT",  "CLOSE",       "CLOSE_WAIT", "LAST_ACK", "LISTEN",    "CLOSING"};

/* A connection: the address and port of its ends (the client's first), whether its child was accepted, how many of its
 * named ends are closed. */
static struct link {
    unsigned char address[2][16], port[2][2];
    int family, accepted, closed, replaced;
} *links;
static size_t link_count, link_room; /* number 0 is none's */

static struct {
    int netlink, namespace; /* -1: not open; in which namespace it is */
    int useless;            /* not every kernel has the module */
} states = {-1, 0, 0};

static void put_end(struct link *link, int end, const struct place *place)
{
    memset(link->address[end], 0, 16);
    if (place->family == AF_INET6)
        memcpy(link->address[end], &place->ip.v6.sin6_addr, 16);
    else
        memcpy(link->address[end], &place->ip.v4.sin_addr, 4);
    memcpy(link->port[end], place->family == AF_INET6 ? &place->ip.v6.sin6_port : &place->ip.v4.sin_port, 2);
}

/* Ask for the socket at one end that is connected to the other; its state, -1 with errno. */
static int ask_state(const struct link *link, int end)
{
    unsigned char question[QUESTION_SIZE] = {0}, answer[4096];
    uint32_t length = QUESTION_SIZE, every = 0xFFFFFFFFu;
    uint16_t type = ASK_BY_FAMILY, request = 1;

    memcpy(question, &length, 4); /* struct nlmsghdr */
    memcpy(question + 4, &type, 2);
    memcpy(question + 6, &request, 2);
    question[16] = (unsigned char)link->family; /* struct inet_diag_req_v2 */
    question[17] = IPPROTO_TCP;
    memcpy(question + 20, &every, 4);
    memcpy(question + 24, link->port[end], 2); /* struct inet_diag_sockid */
    memcpy(question + 26, link->port[!end], 2);
    memcpy(question + 28, link->address[end], 16);
    memcpy(question + 44, link->address[!end], 16);
    memcpy(question + 64, &every, 4); /* no cookie */
    memcpy(question + 68, &every, 4);
    if (send(states.netlink, question, sizeof question, 0) < 0)
        return -1;
    if (!wait_for_one(states.netlink, 0, 0.2)) {
        errno = ETIMEDOUT;
        return -1;
    }
    if (recv(states.netlink, answer, sizeof answer, 0) < 18)
        return -1;
    memcpy(&type, answer + 4, 2);
    /* where no connection is, its listener answers */
    return type != ASK_BY_FAMILY || answer[17] == LISTENING ? GONE : answer[17];
}

static int is_led_to(const struct link *link, int low, int high)
{
    if (low == GONE && high == GONE)
        return !link->accepted; /* reset, because its listener was closed */
    if (link->closed == 2)
        return low == GONE && high == TIME_WAIT;
    if (link->closed == 1) /* the other end may delay its acknowledgement for 40 ms, and rules know one such state */
        return (low == FIN_WAIT1 || low == FIN_WAIT2) && high == CLOSE_WAIT;
    return low == ESTABLISHED && high == ESTABLISHED;
}

static const char *state_name(int state) { return state < (int)COUNT(STATES) ? STATES[state] : "unknown"; }

/* Wait until both ends are where the calls have led them. */
static void verify_link(const struct link *link)
{
    double end = now() + PATIENCE_MS / 1000.0;

    for (;;) {
        int here = ask_state(link, 0), there = here < 0 ? -1 : ask_state(link, 1);
        if (here < 0 || there < 0) {
            fail(NO_VERDICT, "the states of connections cannot be looked up: %s", strerror(errno));
            return;
        }
        if (is_led_to(link, here < there ? here : there, here < there ? there : here))
            return;
        if (now() > end) {
            fail(NO_VERDICT, "a connection got stuck: its ends are %s and %s", state_name(here), state_name(there));
            return;
        }
        settle();
    }
}

static int has_states(const struct link *link)
{
    if (states.useless)
        return 0;
    if (states.netlink >= 0 && states.namespace == namespace_count())
        return 1;
    if (states.netlink >= 0)
        close(states.netlink);
    states.netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 4 /* NETLINK_SOCK_DIAG */);
    states.namespace = namespace_count();
    states.useless = states.netlink < 0 || ask_state(link, 0) != ESTABLISHED;
    return !states.useless;
}

static int read_ends(sock_t sock, struct link *link)
{
    struct place here, there;
    size_of_address size = sizeof here.ip, other = sizeof there.ip;

    memset(link, 0, sizeof *link);
    if (getsockname(sock, &here.ip.any, &size) || getpeername(sock, &there.ip.any, &other))
        return 0;
    link->family = here.family = here.ip.any.sa_family;
    there.family = there.ip.any.sa_family;
    put_end(link, 0, &here);
    put_end(link, 1, &there);
    return 1;
}

/* Whether end `a` of `one` is end `b` of `other`; one of them may be in the form of a mapped address. */
static int is_same_end(const struct link *one, int a, const struct link *other, int b)
{
    static const unsigned char MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    const unsigned char *first = one->address[a], *second = other->address[b];
    int four = one->family == AF_INET, also = other->family == AF_INET;

    if (memcmp(one->port[a], other->port[b], 2))
        return 0;
    if (!four && !memcmp(first, MAPPED, sizeof MAPPED)) {
        first += sizeof MAPPED;
        four = 1;
    }
    if (!also && !memcmp(second, MAPPED, sizeof MAPPED)) {
        second += sizeof MAPPED;
        also = 1;
    }
    return four == also && !memcmp(first, second, four ? 4 : 16);
}

/* Note the connection of a client and see that it is there. */
static void note_link(struct end *client)
{
    struct link link;

    if (client->protocol || !read_ends(client->sock, &link) || is_same_end(&link, 0, &link, 1) || !has_states(&link))
        return;
    for (size_t i = 1; i < link_count; i++)
        if (is_same_end(&links[i], 0, &link, 0) && is_same_end(&links[i], 1, &link, 1))
            links[i].replaced = 1;
    if (link_count == link_room) {
        link_room = link_room * 2 + 8;
        links = grown(links, link_room * sizeof *links);
    }
    links[link_count] = link;
    client->link = link_count++;
    verify_link(&link);
}

/* A child was accepted: its connection is known from the side of the client. */
static void note_child(struct end *child)
{
    struct link link;

    if (link_count == 1 || !read_ends(child->sock, &link))
        return;
    for (size_t i = 1; i < link_count; i++)
        if (!links[i].replaced && is_same_end(&links[i], 0, &link, 1) && is_same_end(&links[i], 1, &link, 0)) {
            links[i].accepted = 1;
            child->link = i;
        }
}

/* The socket was closed: see that its connection, or those that waited for it as a listener, followed. */
static void note_close(struct end *end)
{
    size_t one = end->link;

    end->link = 0;
    if (one)
        links[one].closed++;
    if (states.netlink < 0 || states.namespace != namespace_count() || states.useless)
        return;
    if (one)
        verify_link(&links[one]);
    for (size_t i = 1; i < link_count && !one; i++)
        if (!links[i].replaced && !links[i].accepted)
            verify_link(&links[i]);
}

static void forget_links(void)
{
    if (!link_room)
        links = grown(links, (link_room = 8) * sizeof *links);
    link_count = 1;
}
#else
static void note_link(struct end *client) { (void)client; }
static void note_child(struct end *child) { (void)child; }
static void note_close(struct end *end) { (void)end; }
static void forget_links(void) {}
#endif

/* --- 8. steps ------------------------------------------------------------------------------------------------------
 * A function per step.  They return OK, the number of an error, TIMED_OUT, or TOLD where `told` has the outcome. */

enum { OK = 0, TIMED_OUT = -1, TOLD = -2 };

static int port;         /* of the scenario under way */
static struct text told; /* the outcome of a step that is neither ok nor an error */
static unsigned mark;    /* what is ours in spaces that we share: abstract names, ports of vsocks (their upper half) */
static unsigned long parent;

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
#ifndef _WIN32
    struct sockaddr_un un;
#endif
    struct {
        unsigned short family, reserved; /* struct sockaddr_vm, whose header not every libc has */
        uint32_t port, cid;
        unsigned char zero[4];
    } vsock;
};

/* What bind() and connect() take for a place at a port. */
static size_of_address to_address(const struct place *place, int at_port, union any_address *address)
{
    memset(address, 0, sizeof *address);
    if (place->family == AF_INET) {
        address->v4 = place->ip.v4;
        address->v4.sin_port = htons((uint16_t)at_port);
        return sizeof address->v4;
    }
    if (place->family == AF_INET6) {
        address->v6 = place->ip.v6;
        address->v6.sin6_port = htons((uint16_t)at_port);
        return sizeof address->v6;
    }
    if (place->family == FAMILY_VSOCK) {
        uint32_t cid = CIDS[place->cid].cid;
        address->vsock.family = (unsigned short)FAMILY_VSOCK;
        address->vsock.cid = cid == NO_CID ? host.cid : cid;
        /* port 0 of the notation is VMADDR_PORT_ANY */
        address->vsock.port = at_port ? (uint32_t)mark << 16 | (uint32_t)at_port : 0xFFFFFFFFu;
        return sizeof address->vsock;
    }
#ifndef _WIN32
    {
        size_t room = sizeof address->un.sun_path - 1;
        int length, size = (int)place->name.length - 1;

        address->un.sun_family = AF_UNIX;
        if (place->name.at[0] == '/') {
            length = snprintf(address->un.sun_path, room, "%s/%.*s", folder.path, size, place->name.at + 1);
            return (size_of_address)(offsetof(struct sockaddr_un, sun_path) + (size_t)length + 1);
        }
        length = snprintf(address->un.sun_path + 1, room, "bindmatrix-%u-%lu-%d/%.*s", mark, process_id(), port, size,
                          place->name.at + 1);
        return (size_of_address)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    }
#else
    return 0;
#endif
}

/* Wait until the packets that the last call set off are processed.
 *
 * close() and connect() return before the peer's answer is in.  The loopback queue is first in, first out, so two
 * datagrams of ours, one after the other, come back later than a packet and the answer to it.  Not so in gVisor, which
 * handles the segments of each connection in another thread. */
static void settle(void)
{
    static sock_t echo = NO_SOCKET;
    static int echo_namespace = 0;
    char byte = '.';

    if (host.gvisor)
        sleep_ms(5);
    if (echo != NO_SOCKET && echo_namespace != namespace_count()) {
        close_socket(echo);
        echo = NO_SOCKET;
    }
    if (echo == NO_SOCKET) {
        struct place place;
        size_of_address size = ip_address("127.0.0.1", 0, &place);
        echo = socket(AF_INET, SOCK_DGRAM, 0);
        echo_namespace = namespace_count();
        if (echo != NO_SOCKET && (bind(echo, &place.ip.any, size) || getsockname(echo, &place.ip.any, &size) ||
                                  connect(echo, &place.ip.any, size))) {
            close_socket(echo);
            echo = NO_SOCKET;
        }
    }
    for (int i = 0; i < 2; i++)
        if (echo == NO_SOCKET || send(echo, &byte, 1, 0) != 1 || !wait_for_one(echo, 0, 0.2) ||
            recv(echo, &byte, 1, 0) != 1) {
            sleep_ms(2); /* no IPv4 here: the queue of loopback is empty long before */
            return;
        }
}

/* Close a socket whatever state it is in; a reset leaves no TIME_WAIT on either side. */
static void discard(sock_t sock, int reset)
{
    struct linger linger = {1, 0};

    if (reset)
        set_option(sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close_socket(sock);
}

static int do_socket(struct end *end, const struct kind *kind)
{
    end->family = kind->family;
    end->type = kind->type;
    end->protocol = kind->protocol;
    end->sock = socket(kind->family, kind->type, kind->protocol);
    return end->sock == NO_SOCKET ? last_error() : OK;
}

static int do_set(struct end *end, const struct option *option, int value)
{
    if (!option->exists) {
        put(&told, end->sock == NO_SOCKET ? "EBADF" : "ENOPROTOOPT");
        return TOLD;
    }
    return set_number(end->sock, option->level, option->number, value) ? last_error() : OK;
}

static int do_bind(struct end *end, const struct place *place, int at_port)
{
    union any_address address;
    size_of_address size = to_address(place, at_port, &address);

    return bind(end->sock, &address.any, size) ? last_error() : OK;
}

static int has_peer(sock_t sock)
{
    union any_address address;
    size_of_address size = sizeof address;

    return !getpeername(sock, &address.any, &size);
}

/* connect(), given up after LIMIT seconds.
 *
 * Where a blocking connect() can be limited, it is: one that does not block leaves a socket whose next connect() or
 * listen() is answered otherwise (Linux tells it the end of this one, ECONNABORTED or EINVAL after a refusal). */
static int connect_within_limit(sock_t sock, int type, const union any_address *address, size_of_address size)
{
    int number;

#ifdef __linux__
    if (host.connect_is_limited) {
        struct timeval limit = {(long)LIMIT, 0};
        set_blocking(sock, 1);
        set_option(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (!connect(sock, &address->any, size))
            return OK;
        return would_block(errno) || errno == EALREADY ? TIMED_OUT : errno;
    }
#endif
    set_blocking(sock, 0);
    if (type == SOCK_STREAM && has_peer(sock))
        connect(sock, &address->any, size); /* take the end of an earlier one here (gVisor) */
    if (!connect(sock, &address->any, size))
        return OK;
    number = last_error();
#ifdef _WIN32
    if (number != WSAEWOULDBLOCK)
        return number;
#else
    if (number != EINPROGRESS)
        return number;
#endif
    if (!wait_for_one(sock, 1, LIMIT))
        return TIMED_OUT;
    number = socket_error(sock);
#ifdef _WIN32
    return number == WSAEISCONN ? OK : number;
#else
    return number == EISCONN ? OK : number;
#endif
}

static int do_connect(struct end *end, const struct place *place)
{
    union any_address address;
    size_of_address size = to_address(place, port, &address);
    int number;

    if (end->sock == NO_SOCKET)
        return BAD_SOCKET;
    number = connect_within_limit(end->sock, end->type, &address, size);
    if (number == OK && end->type == SOCK_STREAM && place->family == end->family && place->family != FAMILY_UNIX &&
        place->family != FAMILY_VSOCK) {
        connected = 1;
        settle();
        note_link(end);
    }
    return number;
}

static int do_accept(struct end *end, const struct end *listener)
{
    double limit = now() + LIMIT;
    sock_t child;

    end->sock = NO_SOCKET;
    if (set_blocking(listener->sock, 0))
        return last_error();
    while ((child = accept(listener->sock, NULL, NULL)) == NO_SOCKET) {
        if (!would_block(last_error()))
            return last_error();
        if (!wait_for_one(listener->sock, 0, limit - now()))
            return TIMED_OUT;
    }
    end->family = listener->family;
    end->type = listener->type;
    end->protocol = listener->protocol;
    end->sock = child;
    note_child(end);
    return OK;
}

/* Read until the peer has closed. */
static int do_read(const struct end *end)
{
    double limit = now() + LIMIT;
    char data[4096];

    if (set_blocking(end->sock, 0))
        return last_error();
    for (;;) {
        int length = (int)recv(end->sock, data, sizeof data, 0);
        if (length == 0)
            return OK;
        if (length < 0 && !would_block(last_error()))
            return last_error();
        if (length < 0 && !wait_for_one(end->sock, 0, limit - now()))
            return TIMED_OUT;
    }
}

static int do_join(const struct end *end, const struct place *group)
{
    if (group->family == AF_INET6) {
        struct ipv6_mreq request;
        request.ipv6mr_multiaddr = group->ip.v6.sin6_addr;
        request.ipv6mr_interface = host.loopback_index;
        return set_option(end->sock, IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) ? last_error() : OK;
    } else {
        struct ip_mreq request;
        request.imr_multiaddr = group->ip.v4.sin_addr;
        request.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
        return set_option(end->sock, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) ? last_error() : OK;
    }
}

static int do_close(struct end *end)
{
    int number = OK;

    if (end->sock == NO_SOCKET)
        return BAD_SOCKET;
    if (close_socket(end->sock))
        number = last_error();
    end->sock = NO_SOCKET;
    if (connected && number == OK) {
        settle();
        note_close(end);
    }
    return number;
}

#ifndef _WIN32
/* End with the process that started this one. */
static void die_with_parent(void)
{
    if (!parent)
        return;
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
#endif
    if ((unsigned long)getppid() != parent)
        exit(1);
}
#endif

static int do_user(long user)
{
#ifdef _WIN32
    (void)user;
    return WSAEOPNOTSUPP; /* check_support() has refused the scenario */
#else
    int number = seteuid((uid_t)user) ? errno : OK;

    die_with_parent(); /* Linux forgets the request whenever the effective user changes */
    if (number == EINVAL)
        fail(UNSUPPORTED, "user %ld does not exist in this user namespace", user);
    return number;
#endif
}

static int do_deliver(const struct place *place, int flow);

static int run_step(const struct step *step)
{
    struct end *end = &ends[step->socket];

    switch (step->code) {
    case SOCKET_:
        return do_socket(end, step->kind);
    case SET:
        return do_set(end, step->option, (int)step->number);
    case BIND:
        return do_bind(end, &step->place, port);
    case CHOSEN:
        return do_bind(end, &step->place, 0);
    case LISTEN:
        return listen(end->sock, BACKLOG) ? last_error() : OK;
    case CONNECT:
        return do_connect(end, &step->place);
    case ACCEPT:
        return do_accept(end, &ends[step->listener]);
    case READ:
        return do_read(end);
    case CLOSE:
        return do_close(end);
    case JOIN:
        return do_join(end, &step->place);
    case USER:
        return do_user(step->number);
    case WAIT:
        sleep_ms(step->number);
        return OK;
    case DELIVER:
    case FLOW:
        return do_deliver(&step->place, step->code == FLOW);
    }
    return OK;
}

/* The name of an error; one of the set-up makes the scenario fail. */
static const char *error_name(int number)
{
    static char other[32];
    const char *name = NULL;

    for (size_t i = 0; i < COUNT(ERRORS) && !name; i++)
        if (ERRORS[i].number == number)
            name = ERRORS[i].name;
    if (!name) {
        snprintf(other, sizeof other, "errno %d", number);
        return other;
    }
    for (size_t i = 0; i < COUNT(SETUP_ERRORS); i++)
        if (!strcmp(name, SETUP_ERRORS[i].name))
            fail(NO_VERDICT, "%s", SETUP_ERRORS[i].meaning);
    return name;
}

/* --- 9. deliveries -------------------------------------------------------------------------------------------------
 * DELIVERIES clients connect or send; the tally says who received. */

struct server {
    struct word name;
    const struct end *end;
    int received;
};

static struct {
    struct server *servers;
    size_t count, room;
    struct {
        char word[32]; /* "refused", "none", "timeout" or the name of an error */
        int count;
    } others[DELIVERIES + 4];
    size_t other_count;
    int failed; /* the sum of `others` */
} tally;

static void add_other(const char *word, int count)
{
    size_t i = 0;

    if (count <= 0)
        return;
    while (i < tally.other_count && strcmp(tally.others[i].word, word))
        i++;
    if (i == tally.other_count) {
        if (i == COUNT(tally.others))
            return;
        snprintf(tally.others[i].word, sizeof tally.others[i].word, "%s", word);
        tally.others[i].count = 0;
        tally.other_count++;
    }
    tally.others[i].count += count;
    tally.failed += count;
}

static int refused_count(void)
{
    for (size_t i = 0; i < tally.other_count; i++)
        if (!strcmp(tally.others[i].word, "refused"))
            return tally.others[i].count;
    return 0;
}

#define NO_PORT_LEFT "the kernel has no port left to choose: its range is too small (on Linux net.ipv4.ip_local_port_range)"

/* Whether the kernel has ports for as many clients as a delivery has. */
static int chooses_ports(void)
{
    struct place place;
    size_of_address size = ip_address("127.0.0.1", 0, &place);
    sock_t clients[DELIVERIES];
    int made = 0, bound = 0;

    while (made < DELIVERIES && bound == made && (clients[made] = socket(AF_INET, SOCK_STREAM, 0)) != NO_SOCKET)
        bound += !bind(clients[made++], &place.ip.any, size);
    while (made--)
        close_socket(clients[made]);
    return bound == DELIVERIES;
}

static void add_failure(int number)
{
    const char *name = number == REFUSED ? "refused" : error_name(number);

    /* what TCP and UDP say when the kernel should choose a port and cannot; a full Unix socket says EAGAIN, too */
    if ((!strcmp(name, "EADDRNOTAVAIL") || !strcmp(name, "EAGAIN")) && !chooses_ports())
        fail(NO_VERDICT, NO_PORT_LEFT);
    add_other(name, 1);
}

/* The same for a datagram: of one that was refused Windows says "reset". */
static void add_datagram_failure(int number)
{
#ifdef _WIN32
    if (number == WSAECONNRESET)
        number = REFUSED;
#endif
    add_failure(number);
}

static int by_name(const void *one, const void *other)
{
    const struct word *a = &((const struct server *)one)->name, *b = &((const struct server *)other)->name;
    int order = memcmp(a->at, b->at, a->length < b->length ? a->length : b->length);

    return order ? order : a->length < b->length ? -1 : a->length > b->length;
}

static int by_word(const void *one, const void *other) { return strcmp(one, other); }

/* "a:15,b:17"; what nobody received comes last, and without its number where nobody received anything. */
static void tell_tally(void)
{
    int shares = 0;

    qsort(tally.others, tally.other_count, sizeof *tally.others, by_word); /* `word` is their first member */
    for (size_t i = 0; i < tally.count; i++)
        if (tally.servers[i].received) {
            put(&told, shares++ ? "," : "");
            put_bytes(&told, tally.servers[i].name.at, tally.servers[i].name.length);
            put_format(&told, ":%d", tally.servers[i].received);
        }
    if (!shares && tally.other_count == 1) {
        put(&told, tally.others[0].word);
        return;
    }
    for (size_t i = 0; i < tally.other_count; i++)
        put_format(&told, "%s%s:%d", shares++ ? "," : "", tally.others[i].word, tally.others[i].count);
}

static sock_t new_client(int family, int type, int protocol)
{
    sock_t client = socket(family, type, protocol);

    if (client == NO_SOCKET)
        return client;
    set_blocking(client, 0);
    if (family == AF_INET6)
        set_number(client, IPPROTO_IPV6, IPV6_V6ONLY, 0); /* so that it reaches ::ffff:127.0.0.1 on every system */
    return client;
}

/* Keep those servers that listen; a connection that waits already would be counted with ours. */
static void keep_listeners(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < tally.count; i++) {
        struct server *server = &tally.servers[i];
        sock_t child;

        set_blocking(server->end->sock, 0);
        child = accept(server->end->sock, NULL, NULL);
        if (child != NO_SOCKET) {
            close_socket(child);
            fail(NO_VERDICT, "a connection of an earlier step waits at '%.*s': accept it before the delivery",
                 (int)server->name.length, server->name.at);
        } else if (would_block(last_error())) {
            tally.servers[kept++] = *server;
        }
    }
    tally.count = kept;
}

/* Count connections until every one of `clients` (-1: done with) was accepted, refused or given up. */
static void collect_connections(sock_t *clients)
{
    double end = now() + LIMIT;
    int pending = 0, missing = 0; /* connections that the clients have and nobody accepted yet */
    struct waiting *sockets = grown(NULL, (tally.count + DELIVERIES) * sizeof *sockets);

    for (int i = 0; i < DELIVERIES; i++)
        pending += clients[i] != NO_SOCKET;
    while (pending || missing) {
        size_t count = 0, next;
        double left = end - now();

        if (left <= 0)
            break;
        for (size_t i = 0; i < tally.count; i++)
            sockets[count++] = (struct waiting){tally.servers[i].end->sock, 0, 0};
        next = count;
        for (int i = 0; i < DELIVERIES; i++)
            if (clients[i] != NO_SOCKET)
                sockets[count++] = (struct waiting){clients[i], 1, 0};
        wait_for(sockets, count, left);
        for (int i = 0; i < DELIVERIES; i++) {
            int number;
            if (clients[i] == NO_SOCKET || !sockets[next++].ready)
                continue;
            number = socket_error(clients[i]);
            if (number)
                add_failure(number);
            else
                missing++;
            clients[i] = NO_SOCKET;
            pending--;
        }
        for (size_t i = 0; i < tally.count; i++) {
            sock_t child;
            while ((child = accept(tally.servers[i].end->sock, NULL, NULL)) != NO_SOCKET) {
                close_socket(child);
                tally.servers[i].received++;
                missing--;
            }
        }
    }
    free(sockets);
    add_other("timeout", pending);
    add_other("none", missing);
}

/* How many connections a listener holds before the first accept(), at most those of a delivery. */
static int queue_length(void)
{
    struct place place;
    size_of_address size = ip_address(host.addresses[0] ? "127.0.0.1" : "::1", 0, &place);
    sock_t listener = socket(place.family, SOCK_STREAM, 0), clients[DELIVERIES];
    int made = 0, held = 0;

    if (listener != NO_SOCKET && !bind(listener, &place.ip.any, size) &&
        !getsockname(listener, &place.ip.any, &size) && !listen(listener, BACKLOG))
        while (made < DELIVERIES && held == made) {
            sock_t client = socket(place.family, SOCK_STREAM, 0);
            if (client == NO_SOCKET)
                break;
            clients[made++] = client;
            set_blocking(client, 0);
            held += !connect(client, &place.ip.any, size) ||
                    (would_block(last_error()) && wait_for_one(client, 1, LIMIT / 4) && !socket_error(client));
        }
    while (made--)
        discard(clients[made], 1);
    if (listener != NO_SOCKET)
        close_socket(listener);
    return held;
}

/* Fail where a listener cannot hold the connections of a delivery; tried at the first. */
static void check_queue(void)
{
    static int length = -1;

    if (length < 0)
        length = queue_length();
    if (length < DELIVERIES && !chooses_ports()) {
        length = -1;
        fail(NO_VERDICT, NO_PORT_LEFT);
    } else if (length < DELIVERIES)
        fail(UNSUPPORTED, "a listener holds %d connections, a delivery has %d (somaxconn)", length, DELIVERIES);
}

/* All clients connect at once and stay open until the last of them has its answer. */
static int deliver_connections(int family, const union any_address *target, size_of_address size)
{
    sock_t clients[DELIVERIES], pending[DELIVERIES];
    int made = 0, number = OK;

    check_queue();
    keep_listeners();
    for (; made < DELIVERIES && !failure; made++) {
        clients[made] = new_client(family, SOCK_STREAM, 0);
        if (clients[made] == NO_SOCKET) {
            number = last_error();
            break;
        }
        pending[made] = clients[made];
        if (connect(clients[made], &target->any, size) && !would_block(last_error())) {
            add_failure(last_error());
            pending[made] = NO_SOCKET;
        }
    }
    if (made == DELIVERIES && !failure)
        collect_connections(pending);
    while (made--)
        discard(clients[made], 1);
    return number;
}

static void drain(int counted)
{
    char data[16];

    for (size_t i = 0; i < tally.count; i++)
        while (recv(tally.servers[i].end->sock, data, sizeof data, 0) >= 0)
            tally.servers[i].received += counted;
}

/* Count the errors that a connected datagram client has not told yet; whether there were any. */
static int hear_refusals(sock_t client)
{
    int number = socket_error(client), found = number != 0;

    if (number)
        add_datagram_failure(number);
#ifdef _WIN32
    /* There recv() alone tells, once for each ICMP message (learn.microsoft.com, recv, WSAECONNRESET); under Wine it is
     * SO_ERROR. */
    for (char byte;;) {
        if (recv(client, &byte, 1, 0) >= 0)
            continue;
        number = last_error();
        if (number == WSAEWOULDBLOCK)
            break;
        add_datagram_failure(number);
        found = 1;
        if (number != WSAECONNRESET)
            break;
    }
#endif
    return found;
}

static void wait_for_datagrams(const sock_t *clients, size_t count, double seconds)
{
    struct waiting *sockets = grown(NULL, (tally.count + count + 1) * sizeof *sockets);
    size_t all = 0;

    for (size_t i = 0; i < tally.count; i++)
        sockets[all++] = (struct waiting){tally.servers[i].end->sock, 0, 0};
    for (size_t i = 0; i < count; i++)
        sockets[all++] = (struct waiting){clients[i], 0, 0}; /* an error counts as something to read */
    wait_for(sockets, all, seconds);
    free(sockets);
}

/* Wait for what one datagram leads to, since a socket keeps one error alone; the seconds that are left. */
static double hear_one(sock_t client, double seconds)
{
    double start = now(), left;

    wait_for_datagrams(&client, 1, seconds);
    hear_refusals(client);
    left = seconds - (now() - start);
    return left > 0 ? left : 0;
}

/* Count what has arrived.  Look at once, again when the loopback queue has been worked off, and then as long as silence
 * is no answer.
 *
 * ICMP errors are rationed: gVisor sends 50 at once and 1,000 a second, the BSDs 100 or 200 a second.  So where some
 * clients were refused and others heard nothing, those send once more, for as long as that gets a refusal. */
static void collect_datagrams(const sock_t *clients, size_t client_count, int group)
{
    int flow = client_count == 1, settled = 0, refused = 0, lost, arrived;
    sock_t unheard[DELIVERIES];
    size_t unheard_count = client_count;
    double end = now() + LIMIT / 2;

    memcpy(unheard, clients, client_count * sizeof *clients);
    for (;;) {
        size_t kept = 0;
        drain(1);
        for (size_t i = 0; i < unheard_count; i++)
            if (!hear_refusals(unheard[i]) || flow)
                unheard[kept++] = unheard[i];
        unheard_count = kept;
        arrived = 0;
        for (size_t i = 0; i < tally.count; i++) { /* every member of a group gets a copy of each */
            int received = tally.servers[i].received;
            arrived = !group ? arrived + received : !i || received < arrived ? received : arrived;
        }
        lost = DELIVERIES - tally.failed - arrived;
        if (lost <= 0)
            return;
        if (!settled) {
            settle();
            settled = 1;
        } else if (group) {
            break;
        } else if (end - now() > 0) {
            wait_for_datagrams(unheard, unheard_count, end - now());
        } else if (arrived || refused_count() == refused) {
            break;
        } else {
            refused = refused_count();
            for (size_t i = 0; i < (flow ? (size_t)lost : unheard_count); i++) {
                sock_t client = unheard[flow ? 0 : i];
                if (send(client, ".", 1, 0) < 0)
                    add_datagram_failure(last_error());
                if (flow)
                    hear_one(client, LIMIT / DELIVERIES);
            }
            end = now() + LIMIT / 2;
        }
    }
    for (size_t i = 0; i < tally.count && group; i++)
        if (tally.servers[i].received)
            return;
    add_other("none", lost);
}

/* Connect a client; a group is reached over the loopback interface only. */
static int direct(sock_t client, const struct place *place, const union any_address *target, size_of_address size)
{
    union any_address address = *target;
    int group = is_multicast(place);

    if (group && address.any.sa_family == AF_INET6) {
        if (set_number(client, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)host.loopback_index) ||
            set_number(client, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1))
            return last_error();
        address.v6.sin6_scope_id = host.loopback_index;
    } else if (group) {
        struct in_addr loopback;
#ifdef _WIN32
        int hops = 1; /* Windows takes no byte, OpenBSD (ip_output.c) and illumos (ip_opt_data.c) take no int */
#else
        unsigned char hops = 1;
#endif
        loopback.s_addr = htonl(INADDR_LOOPBACK);
        if (set_option(client, IPPROTO_IP, IP_MULTICAST_IF, &loopback, sizeof loopback) ||
            set_option(client, IPPROTO_IP, IP_MULTICAST_TTL, &hops, sizeof hops))
            return last_error();
    }
    return connect(client, &address.any, size) ? last_error() : OK;
}

/* A refusal (ICMP) shows as an error of the client's connected socket. */
static void deliver_datagrams(const struct place *place, int protocol, const union any_address *target,
                              size_of_address size, int flow)
{
    int group = is_multicast(place); /* every member gets a copy */
    sock_t clients[DELIVERIES];
    size_t count = 0;
    double patience = LIMIT / 2;

    for (size_t i = 0; i < tally.count; i++)
        set_blocking(tally.servers[i].end->sock, 0);
    drain(0);
    for (int i = 0; i < DELIVERIES; i++) {
        int number = OK;
        if (!(flow && count)) {
            sock_t client = new_client(place->family, SOCK_DGRAM, protocol);
            if (client == NO_SOCKET) {
                add_datagram_failure(last_error());
                continue;
            }
            clients[count++] = client;
            number = direct(client, place, target, size);
        }
        if (number == OK && send(clients[count - 1], ".", 1, 0) < 0)
            number = last_error();
        if (number != OK) {
            add_datagram_failure(number);
            if (flow && count && !has_peer(clients[count - 1]))
                close_socket(clients[--count]); /* it is not connected: the next datagram tries again */
        } else if (flow)
            patience = hear_one(clients[0], patience);
        if (place->family == FAMILY_UNIX) {
            drain(1); /* Linux keeps eleven (net.unix.max_dgram_qlen), others less */
            if (flow && count && tally.other_count)
                close_socket(clients[--count]); /* its queue is full */
        }
    }
    collect_datagrams(clients, count, group);
    while (count--)
        close_socket(clients[count]);
}

/* The open sockets of a type, and of a protocol unless that is -1, become the servers, in the order of their names. */
static void collect_servers(int inet, int family, int type, int protocol)
{
    tally.count = tally.other_count = 0;
    tally.failed = 0;
    for (size_t i = 1; i < program.name_count; i++) {
        const struct end *end = &ends[i];
        int related = inet ? end->family == AF_INET || end->family == AF_INET6 : end->family == family;

        if (end->sock == NO_SOCKET || !related || end->type != type || (protocol >= 0 && end->protocol != protocol))
            continue;
        if (tally.count == tally.room) {
            tally.room = tally.room * 2 + 8;
            tally.servers = grown(tally.servers, tally.room * sizeof *tally.servers);
        }
        tally.servers[tally.count++] = (struct server){program.names[i].name, end, 0};
    }
    if (tally.count)
        qsort(tally.servers, tally.count, sizeof *tally.servers, by_name);
}

/* Clients connect if a stream socket is open, and send datagrams otherwise.  They are of the plainest kind that reaches
 * somebody: TCP for MPTCP too, UDP-Lite if no other socket is open. */
static int do_deliver(const struct place *place, int flow)
{
    union any_address target;
    size_of_address size = to_address(place, port, &target);
    int inet = place->family == AF_INET || place->family == AF_INET6, number = OK, streams, protocol = 0;

    collect_servers(inet, place->family, SOCK_DGRAM, -1);
    for (size_t i = 0; i < tally.count; i++)
        if (!i || tally.servers[i].end->protocol < protocol)
            protocol = tally.servers[i].end->protocol;
    collect_servers(inet, place->family, SOCK_STREAM, -1);
    streams = tally.count > 0 || place->family == FAMILY_VSOCK;
    if (streams && !flow && !is_multicast(place)) {
        number = deliver_connections(place->family, &target, size);
    } else {
        collect_servers(inet, place->family, SOCK_DGRAM, protocol);
        protocol = protocol == PROTOCOL_UDPLITE ? protocol : 0;
        deliver_datagrams(place, protocol, &target, size, flow);
    }
    if (number != OK)
        return number;
    tell_tally();
    return TOLD;
}

/* --- 10. scenarios ----------------------------------------------------------------------------------------------- */

static struct text output;

/* The address is not this host's loopback.  Linux takes the loopback address for an unspecified one
 * (ip_route_output_key_hash_rcu(), ip6_datagram_connect()); others may take the address of any interface. */
static void refuse_to_send(const struct place *place)
{
    int length = (int)place->name.length;

    if (!is_unspecified(place))
        fail(UNSUPPORTED, "nothing is sent to %.*s: it is not a loopback address", length, place->name.at);
#ifndef __linux__
    fail(UNSUPPORTED, "nothing is sent to %.*s: it may be an address of the network here", length, place->name.at);
#endif
}

static void check_place(const struct step *step)
{
    const struct place *place = &step->place;
    int sends = step->code == CONNECT || step->code == DELIVER || step->code == FLOW;

    if (place->family == FAMILY_UNIX && place->name.at[0] == '/') {
#ifndef _WIN32
        folder.used = 1;
#endif
    } else if (place->family == FAMILY_UNIX && !host.abstract) {
        fail(UNSUPPORTED, "abstract names of Unix sockets exist on Linux alone, and not everywhere there");
    } else if (place->family == FAMILY_VSOCK && CIDS[place->cid].cid == NO_CID && host.cid == NO_CID) {
        fail(UNSUPPORTED, "this machine has no CID of its own");
    } else if (place->family == FAMILY_VSOCK && sends && !host.local_cid) {
        fail(UNSUPPORTED, "nothing is sent over vsock: without vsock_loopback it would leave this machine");
    } else if (place->family == AF_INET || place->family == AF_INET6) {
        for (int i = 0; i < 3; i++) {
            int named = i == 2 ? is_ipv6_loopback(place) : is_ipv4(place, 127, 0, 0, (unsigned char)(i + 1));
            if (named && !host.addresses[i])
                fail(UNSUPPORTED, "%s is not an address of this host", ADDRESSES[i]);
        }
        if (sends && !is_loopback(place) && (step->code == CONNECT || !is_multicast(place)))
            refuse_to_send(place);
    }
}

/* Fail where this host lacks what a step needs. */
static void check_support(const struct step *step)
{
    if (step->code == SOCKET_ && step->kind->family < 0)
        fail(UNSUPPORTED, "this system has no such sockets");
    else if (step->code == SOCKET_ && step->kind->protocol == PROTOCOL_REMOTE)
        fail(UNSUPPORTED, "sockets of another host need the executor in Python");
    else if (step->code == SOCKET_ && step->kind->family == AF_INET6 && !host.ipv6)
        fail(UNSUPPORTED, "this host has no IPv6");
    else if (step->code == USER && !host.privileged)
        fail(UNSUPPORTED, "this process cannot become another user (CAP_SETUID)");
    else if (step->place.family && step->code != JOIN)
        check_place(step);
}

/* The kernel should have chosen a port at step `at`, for a socket that never got one from the scenario: could it?
 * `codes` holds the errors of the steps before. */
static void check_chosen(size_t at, const int *codes)
{
    const struct step *steps = program.steps;
    int has_port = 0;

    for (size_t i = 0; i < at; i++)
        if (steps[i].socket == steps[at].socket && steps[i].code == SOCKET_)
            has_port = 0;
        else if (steps[i].socket == steps[at].socket && (steps[i].code == BIND || steps[i].code == CHOSEN))
            has_port |= !codes[i];
    if (!has_port && !chooses_ports())
        fail(NO_VERDICT, NO_PORT_LEFT);
}

/* Nothing of ours was on the port yet, so a refusal of the first bind is somebody else's doing. */
static void check_first_bind(int number)
{
#ifdef _WIN32
    if (number == WSAEACCES) /* or "netsh interface ipv4 show excludedportrange" */
        fail(NO_VERDICT, "the first bind failed: port %d is excluded by Windows or held exclusively by another process",
             port);
    if (number == WSAEADDRINUSE)
#else
    if (number == EADDRINUSE)
#endif
        fail(NO_VERDICT, "the first bind failed: port %d was taken by another process", port);
}

static void restore_user(void)
{
#ifndef _WIN32
    static uid_t ourselves;
    static int known;

    if (!known) { /* called once before the first scenario */
        ourselves = geteuid();
        known = 1;
    } else if (seteuid(ourselves)) {
        fputs("executor: the effective user cannot be restored\n", stderr);
        exit(2);
    }
    die_with_parent();
#endif
}

/* Close what the scenario left open. */
static void clean_up(int connections, int user)
{
    if (user)
        restore_user();
    for (size_t i = 1; i < program.name_count; i++)
        if (ends[i].sock != NO_SOCKET)
            discard(ends[i].sock, connections > 0);
#ifndef _WIN32
    if (folder.temporary)
        close_folder(); /* the process may be killed before the next scenario */
    else if (folder.used)
        clear_folder(folder.descriptor);
#endif
}

/* Winsock's own numbers, beside the names that POSIX has for them; 0 for no error. */
static void put_codes(const int *codes, size_t count)
{
#ifdef _WIN32
    int any = 0;

    for (size_t i = 0; i < count; i++)
        any |= codes[i];
    for (size_t i = 0; i < count && any; i++)
        put_format(&output, codes[i] ? "%s%d" : "%snull", i ? "," : ",\"codes\":[", codes[i]);
    if (any)
        put(&output, "]");
#else
    (void)codes;
    (void)count;
#endif
}

/* Run the steps of `program`; their outcomes go to `output`. */
static void run_steps(int connections)
{
    static size_t room;
    static int *codes;
    int bound = 0, first_of_vsock = 0, first = 1;

    if (program.name_count > room || program.step_count > room) {
        room = (program.name_count > program.step_count ? program.name_count : program.step_count) * 2;
        ends = grown(ends, room * sizeof *ends);
        codes = grown(codes, room * sizeof *codes);
    }
    for (size_t i = 0; i < program.name_count; i++)
        ends[i] = (struct end){NO_SOCKET, 0, 0, 0, 0};
    connected = 0;
    forget_links();
    port = take_port(connections);
    for (size_t i = 0; i < program.step_count && !failure; i++) {
        const struct step *step = &program.steps[i];
        int number;

        told.length = 0;
        number = run_step(step);
        if ((step->code == CHOSEN || step->code == LISTEN || step->code == CONNECT) &&
            (number == TIMED_OUT || number == EADDRINUSE || number == EADDRNOTAVAIL || number == EAGAIN))
            check_chosen(i, codes);
        codes[i] = number > 0 ? number : 0;
        put(&output, i ? ",\"" : "\"");
        if (number == TOLD)
            put_bytes(&output, told.at, told.length);
        else
            put(&output, number == OK ? "ok" : number == TIMED_OUT ? "timeout" : error_name(number));
        put(&output, "\"");
        if (step->code == SOCKET_ && first) {
            first_of_vsock = step->kind->family == FAMILY_VSOCK; /* which know no namespaces before Linux 7.0 */
            first = 0;
        }
        if (step->code == BIND && !bound) {
            bound = 1;
            if (is_leased() || first_of_vsock)
                check_first_bind(number);
        }
    }
    put(&output, "]");
    put_codes(codes, program.step_count);
    put(&output, "}\n");
}

/* Run a scenario and append its line to `output`. */
static void run_scenario(struct word text)
{
    size_t start = output.length;
    int connections = 0, streams = 0, user = 0, plain = 1;

    failure = JUDGED;
#ifndef _WIN32
    folder.used = 0;
#endif
    if (!parse(text)) {
        failure = NO_VERDICT;
    } else if (!host.carries) { /* outcomes would say nothing about this kernel */
        fail(NO_VERDICT, "a datagram over the loopback interface does not arrive: is it up?");
    } else {
        for (size_t i = 0; i < program.step_count; i++) {
            const struct step *step = &program.steps[i];
            check_support(step);
            connections += step->code == CONNECT || step->code == DELIVER;
            /* a Unix or vsock connection leaves nothing on a port */
            streams |= step->code == SOCKET_ && step->kind->type == SOCK_STREAM && step->kind->family != FAMILY_UNIX &&
                       step->kind->family != FAMILY_VSOCK;
            user |= step->code == USER;
        }
#ifndef _WIN32
        if (folder.used && !failure)
            need_folder();
#endif
        for (size_t i = 0; i < text.length; i++)
            plain &= text.at[i] >= ' ';
        if (!plain)
            text = (struct word){program.words.at, program.words.length};
        put(&output, "{\"scenario\":\"");
        put_bytes(&output, text.at, text.length); /* a scenario has no letter that JSON would escape */
        put(&output, "\",\"outcomes\":[");
        if (!failure) {
            run_steps(streams ? connections : 0);
            clean_up(streams ? connections : 0, user);
        }
    }
    if (failure) {
        output.length = start;
        put(&output, "{\"scenario\":");
        put_json(&output, text.at, text.length);
        put_format(&output, ",\"outcomes\":null,\"%s\":", failure == UNSUPPORTED ? "unsupported" : "no_verdict");
        put_json(&output, reason.at, reason.length);
        put(&output, "}\n");
    }
}

/* --- 11. host ------------------------------------------------------------------------------------------------------
 * What the host is, as far as it can be told without failing; seen from where the scenarios run. */

static void put_fact(const char *name, const char *value)
{
    put_format(&output, ",\"%s\":", name);
    put_json(&output, value, strlen(value));
}

static void put_flag(const char *name, int value) { put_format(&output, ",\"%s\":%s", name, value ? "true" : "false"); }

/* Begin or continue a list of words. */
static void put_item(int *count, const char *word) { put_format(&output, "%s\"%s\"", (*count)++ ? "," : "", word); }

static int can_make(const struct kind *kind)
{
    sock_t sock = kind->family < 0 ? NO_SOCKET : socket(kind->family, kind->type, kind->protocol);

    if (sock != NO_SOCKET)
        close_socket(sock);
    return sock != NO_SOCKET;
}

static int can_set(const struct option *option)
{
    sock_t sock = socket(option->level == IPPROTO_IPV6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    int set = option->exists && sock != NO_SOCKET && !set_number(sock, option->level, option->number, 1);

    if (sock != NO_SOCKET)
        close_socket(sock);
    return set;
}

/* IPV6_V6ONLY of a new socket, null without IPv6. */
static void put_v6only_default(void)
{
    sock_t sock = socket(AF_INET6, SOCK_STREAM, 0);
    int value = 0;
    size_of_address size = sizeof value;

    if (sock != NO_SOCKET && !getsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, (char *)&value, &size))
        put_format(&output, ",\"v6only_default\":%d", value != 0);
    else
        put(&output, ",\"v6only_default\":null");
    if (sock != NO_SOCKET)
        close_socket(sock);
}

static int can_bind_at(int family, int type, const struct place *place)
{
    union any_address address;
    size_of_address size = to_address(place, 0, &address);
    sock_t sock = socket(family, type, 0);
    int bound = sock != NO_SOCKET && !bind(sock, &address.any, size);

    if (sock != NO_SOCKET)
        close_socket(sock);
    return bound;
}

#ifdef __linux__
/* The three numbers that follow `before` in `text`, as they stand there; "" for none. */
static const char *release_behind(const char *text, const char *before, char *release, size_t size)
{
    const char *at = text;
    unsigned a, b, c;

    for (; (at = strstr(at, before)) != NULL; at++)
        if (sscanf(at + strlen(before), "%u.%u.%u", &a, &b, &c) == 3) {
            snprintf(release, size, "%u.%u.%u", a, b, c);
            return release;
        }
    return "";
}

/* gVisor calls itself 4.4.0 or 4.19.0-gvisor; its kernel messages begin with "Starting gVisor". */
static int is_gvisor(const char *release)
{
    char messages[16384];
    int length;

    if (strstr(release, "gvisor") || strncmp(release, "4.4.0", 5))
        return strstr(release, "gvisor") != NULL;
    length = klogctl(3, messages, sizeof messages - 1);
    messages[length > 0 ? length : 0] = 0;
    return strstr(messages, "gVisor") != NULL;
}

/* The CID of this machine, NO_CID without a vsock device that tells. */
static uint32_t machine_cid(void)
{
    uint32_t cid = NO_CID;
    int device = open("/dev/vsock", O_RDONLY | O_CLOEXEC);

    if (device < 0 || ioctl(device, 0x7B9 /* IOCTL_VM_SOCKETS_GET_LOCAL_CID */, &cid))
        cid = NO_CID;
    if (device >= 0)
        close(device);
    return cid > 2 && cid < CID_ANY ? cid : NO_CID;
}
#endif

#ifdef __APPLE__
/* The macOS of a Darwin release: the system tells since 10.13.4; from 11 to 15, Darwin's number is nine more. */
static const char *macos_release(const char *darwin, char *release, size_t size)
{
    size_t length = size;
    int major = atoi(darwin);

    if (sysctlbyname("kern.osproductversion", release, &length, NULL, 0)) {
        *release = 0;
        if (major >= 17 && major <= 19)
            snprintf(release, size, "10.%d", major - 4);
        else if (major >= 20 && major <= 24)
            snprintf(release, size, "%d", major - 9);
        else if (major == 25)
            snprintf(release, size, "26");
    }
    return release;
}
#endif

#ifdef __sun
/* The release of an illumos distribution; uname says 5.11 on every one. */
static const char *illumos_release(char *release, size_t size)
{
    static const struct {
        const char *before, *name, *form;
    } KNOWN[] = {
        {"OmniOS v11 ", "omnios-", "%20[r0-9]"},
        {"OpenIndiana Hipster ", "openindiana-", "%20[0-9.]"},
        {"SmartOS ", "smartos-", "%20[0-9TZ]"},
    };
    char text[1000], number[24];
    const char *at;

    read_file("/etc/release", text, sizeof text);
    *release = 0;
    for (size_t i = 0; i < COUNT(KNOWN); i++)
        if ((at = strstr(text, KNOWN[i].before)) != NULL &&
            sscanf(at + strlen(KNOWN[i].before), KNOWN[i].form, number) == 1)
            snprintf(release, size, "%s%s", KNOWN[i].name, number);
    return release;
}
#endif

/* The kernel's name, releases and machine. */
static void put_kernel(void)
{
#ifdef _WIN32
    typedef long(WINAPI * get_version)(OSVERSIONINFOW *);
    typedef const char *(*get_wine)(void);
    HMODULE library = GetModuleHandleA("ntdll.dll");
    get_version version = (get_version)(void (*)(void))GetProcAddress(library, "RtlGetVersion");
    get_wine wine = (get_wine)(void (*)(void))GetProcAddress(library, "wine_get_version");
    OSVERSIONINFOW told_version;
    char release[64] = "";
    const char *machine = getenv("PROCESSOR_ARCHITEW6432");

    memset(&told_version, 0, sizeof told_version);
    told_version.dwOSVersionInfoSize = sizeof told_version;
    if (version && !version(&told_version))
        snprintf(release, sizeof release, "%lu.%lu.%lu", told_version.dwMajorVersion, told_version.dwMinorVersion,
                 told_version.dwBuildNumber);
    if (!machine)
        machine = getenv("PROCESSOR_ARCHITECTURE");
    put(&output, wine ? "\"os\":\"wine\"" : "\"os\":\"windows\"");
    put_fact("kernel", "Windows");
    put_fact("release", wine ? wine() : release); /* Wine plays a Windows; its own version is what counts */
    put_fact("uname", release);
    put_fact("version", release);
    put_fact("machine", machine ? machine : "");
#else
    struct utsname names;
    const char *system, *release;
#ifdef __linux__
    char signature[200];
#endif
    char found[64];

    uname(&names);
    release = names.release;
#if defined(__linux__)
    system = host.gvisor ? "gvisor" : "linux";
    /* Debian's 6.1.0-56 says "Debian 6.1.192-2" in its version; Ubuntu's 6.8.0-45 says "Ubuntu 6.8.0-45.45-generic
     * 6.8.12" in this file; gVisor plays an old Linux and does not tell its own release */
    read_file("/proc/version_signature", signature, sizeof signature);
    if (host.gvisor)
        release = "";
    else if (*release_behind(names.version, "Debian ", found, sizeof found))
        release = found;
    else if (!strncmp(signature, "Ubuntu ", 7) && strrchr(signature, ' ') &&
             *release_behind(strrchr(signature, ' '), " ", found, sizeof found))
        release = found;
#elif defined(__sun)
    system = strncmp(names.version, "11.", 3) ? "illumos" : "solaris";
    if (*illumos_release(found, sizeof found))
        release = found;
#elif defined(__APPLE__)
    system = "macos";
    if (*macos_release(names.release, found, sizeof found))
        release = found;
#elif defined(__FreeBSD__)
    system = "freebsd";
#elif defined(__NetBSD__)
    system = "netbsd";
#elif defined(__OpenBSD__)
    system = "openbsd";
#elif defined(__DragonFly__)
    system = "dragonfly";
#elif defined(__CYGWIN__)
    system = "cygwin";
#elif defined(STACK)
    system = STACK; /* a network stack that is linked in (tests/kernels/lwip.c) */
#else
    system = "unknown";
#endif
    (void)found;
    put_format(&output, "\"os\":\"%s\"", system);
    put_fact("kernel", names.sysname);
    put_fact("release", release);
    put_fact("uname", names.release);
    put_fact("version", names.version);
    put_fact("machine", names.machine);
#endif
}

#ifndef _WIN32
static const char *container(void)
{
    static const char *const WORDS[] = {"docker", "kubepods", "lxc"};
    struct utsname names;
    char groups[4096];

    uname(&names);
    if (strstr(names.release, "icrosoft"))
        return "wsl";
    if (!access("/.dockerenv", F_OK))
        return "docker";
    if (!access("/run/.containerenv", F_OK))
        return "podman";
    read_file("/proc/1/cgroup", groups, sizeof groups);
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (strstr(groups, WORDS[i]))
            return WORDS[i];
    return "";
}
#endif

#ifdef __linux__
static void put_sysctls(void)
{
    static const char *const NAMES[] = {
        "net.ipv6.bindv6only",     "net.ipv4.tcp_max_tw_buckets",  "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_tw_reuse",   "net.ipv4.ip_autobind_reuse",   "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_timestamps", "net.core.somaxconn",
    };
    int count = 0;

    put(&output, ",\"sysctls\":{");
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        char path[100] = "/proc/sys/", value[100];

        strcat(path, NAMES[i]);
        for (char *at = path + strlen("/proc/sys/"); *at; at++)
            if (*at == '.')
                *at = '/';
        read_file(path, value, sizeof value);
        for (char *at = value; *at; at++)
            if (*at == '\t')
                *at = ' ';
        if (*value) {
            put_format(&output, "%s\"%s\":", count++ ? "," : "", NAMES[i]);
            put_json(&output, value, strlen(value));
        }
    }
    put(&output, "}");
}
#endif

static unsigned loopback_index(void)
{
#ifndef _WIN32 /* there loopback is always number 1 */
    unsigned index = if_nametoindex("lo");
    index = index ? index : if_nametoindex("lo0");
    if (index)
        return index;
#endif
    return 1;
}

/* Find out what section 5 could not know yet. */
static void explore_host(void)
{
    struct place abstract = {FAMILY_UNIX, {{0}}, {"@x", 2}, 0}, local = {FAMILY_VSOCK, {{0}}, {NULL, 0}, 1};

    for (int i = 0; i < 3; i++)
        host.addresses[i] = can_bind(ADDRESSES[i]);
    host.ipv6 = host.addresses[2];
    host.carries = loopback_carries();
    host.loopback_index = loopback_index();
    (void)abstract;
    (void)local;
#ifdef __linux__
    host.cid = machine_cid();
    host.abstract = can_bind_at(AF_UNIX, SOCK_DGRAM, &abstract); /* gVisor has none in a network namespace */
    host.local_cid = can_bind_at(FAMILY_VSOCK, SOCK_STREAM, &local);
    host.connect_is_limited = !host.gvisor;
#endif
#ifndef _WIN32
    /* root may lack the right to become another user (CAP_SETUID) */
    host.privileged = strcmp(host.namespace, "user") && geteuid() == 0 && !seteuid(1001) && !seteuid(0);
#endif
}

/* The first line of the output. */
static void put_header(void)
{
    int count = 0;

    put(&output, "{\"format\":\"" FORMAT "\",\"host\":{");
    put_kernel();
    put_fact("executor", "c");
    put_flag("privileged", host.privileged);
    put_fact("namespace", host.namespace);
    put_flag("ipv6", host.ipv6);
    put(&output, ",\"addresses\":[");
    for (int i = 0; i < 3; i++)
        if (host.addresses[i])
            put_item(&count, ADDRESSES[i]);
    put(&output, "],\"kinds\":[");
    count = 0;
    for (size_t i = 0; i < COUNT(KINDS); i++)
        if (can_make(&KINDS[i]))
            put_item(&count, KINDS[i].name);
    put(&output, "],\"cids\":[");
    count = 0;
    for (size_t i = 0; i < COUNT(CIDS); i++) {
        struct place place = {FAMILY_VSOCK, {{0}}, {NULL, 0}, (int)i};
        if ((CIDS[i].cid != NO_CID || host.cid != NO_CID) && can_bind_at(FAMILY_VSOCK, SOCK_STREAM, &place))
            put_item(&count, CIDS[i].name);
    }
    put(&output, "],\"options\":[");
    count = 0;
    for (size_t i = 0; i < COUNT(OPTIONS); i++)
        if (can_set(&OPTIONS[i]))
            put_item(&count, OPTIONS[i].name);
    put(&output, "]");
    put_flag("abstract", host.abstract);
    put_v6only_default();
#ifdef __linux__
    put_sysctls();
#endif
#ifndef _WIN32
    if (*container())
        put_fact("container", container());
#endif
    put(&output, "}");
#ifdef KIT
    put(&output, ",\"kit\":" KIT);
#endif
    put(&output, "}\n");
}

/* --- 12. input and output ----------------------------------------------------------------------------------------- */

/* A reader of JSON: `at` moves over what was read, and is NULL after an error. */
struct reader {
    const char *at, *end;
};

static void skip_space(struct reader *reader)
{
    while (reader->at && reader->at < reader->end && strchr(" \t\n\r", *reader->at) && *reader->at)
        reader->at++;
}

static int take(struct reader *reader, char letter)
{
    skip_space(reader);
    if (!reader->at || reader->at == reader->end || *reader->at != letter)
        return 0;
    reader->at++;
    return 1;
}

static int take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length))
        return 0;
    reader->at += length;
    return 1;
}

/* Four hexadecimal digits; -1 where they are none. */
static long take_code(struct reader *reader)
{
    long code = 0;

    for (int i = 0; i < 4; i++, reader->at++) {
        const char *digits = "0123456789abcdef", *digit;
        char letter = reader->at < reader->end ? *reader->at : 0;

        if (letter >= 'A' && letter <= 'F')
            letter = (char)(letter - 'A' + 'a');
        digit = letter ? strchr(digits, letter) : NULL;
        if (!digit)
            return -1;
        code = code * 16 + (digit - digits);
    }
    return code;
}

/* The rest of a string whose opening quote was taken; its text goes to `text`. */
static int read_string(struct reader *reader, struct text *text)
{
    static const char ESCAPES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";

    while (reader->at < reader->end) {
        char letter = *reader->at++;
        const char *escape;

        if (letter == '"')
            return 1;
        if ((unsigned char)letter < 0x20)
            return 0;
        if (letter != '\\') {
            put_bytes(text, &letter, 1);
            continue;
        }
        if (reader->at == reader->end)
            return 0;
        letter = *reader->at++;
        escape = letter ? strchr(ESCAPES, letter) : NULL;
        if (escape) {
            put_bytes(text, &MEANT[escape - ESCAPES], 1);
        } else if (letter == 'u') {
            long code = take_code(reader), low;
            struct reader after = *reader;

            if (code < 0)
                return 0;
            if (code >= 0xD800 && code < 0xDC00 && take_word(&after, "\\u") && (low = take_code(&after)) >= 0xDC00 &&
                low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                *reader = after;
            }
            put_utf8(text, (unsigned long)code);
        } else {
            return 0;
        }
    }
    return 0;
}

static int read_digits(struct reader *reader)
{
    const char *start = reader->at;

    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > start;
}

static int read_number(struct reader *reader)
{
    take_word(reader, "-");
    if (take_word(reader, "Infinity")) /* as Python reads them */
        return 1;
    if (!take_word(reader, "0") && !read_digits(reader))
        return 0;
    if (take_word(reader, ".") && !read_digits(reader))
        return 0;
    if (take_word(reader, "e") || take_word(reader, "E")) {
        if (!take_word(reader, "+"))
            take_word(reader, "-");
        return read_digits(reader);
    }
    return 1;
}

/* What the object of an input line has under the two keys that count. */
static struct {
    struct text key, text, scenario;
    int has_format, is_null, is_text, is_there;
} object;

enum { DEEPEST = 500 };

/* Any value; at depth 1 the keys of the line itself are noted. */
static int read_value(struct reader *reader, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end || depth > DEEPEST)
        return 0;
    object.text.length = 0;
    if (take(reader, '"'))
        return read_string(reader, &object.text);
    if (take(reader, '[')) {
        if (take(reader, ']'))
            return 1;
        do {
            if (!read_value(reader, depth + 1))
                return 0;
        } while (take(reader, ','));
        return take(reader, ']');
    }
    if (take(reader, '{')) {
        if (take(reader, '}'))
            return 1;
        do {
            int scenario = 0;
            char first;

            object.key.length = 0;
            if (!take(reader, '"') || !read_string(reader, &object.key) || !take(reader, ':'))
                return 0;
            if (depth == 0) {
                struct word key = {object.key.at, object.key.length};
                object.has_format |= is_word(key, "format");
                scenario = is_word(key, "scenario");
            }
            skip_space(reader);
            first = reader->at < reader->end ? *reader->at : 0;
            if (!read_value(reader, depth + 1))
                return 0;
            if (scenario) { /* of several the last counts */
                object.is_there = 1;
                object.is_text = first == '"';
                object.is_null = first == 'n';
                object.scenario.length = 0;
                if (object.is_text)
                    put_bytes(&object.scenario, object.text.at, object.text.length);
            }
        } while (take(reader, ','));
        return take(reader, '}');
    }
    return take_word(reader, "true") || take_word(reader, "false") || take_word(reader, "null") ||
           take_word(reader, "NaN") || read_number(reader);
}

/* The scenario in a line of input; 0 for a blank line and for the first line of an observation file. */
static int scenario_of(struct word line, struct word *scenario)
{
    struct reader reader = {line.at, line.at + line.length};
    size_t start = 0;

    while (start < line.length && is_space(line.at[start]))
        start++;
    if (start == line.length)
        return 0;
    *scenario = line;
    if (line.at[0] != '{') {
        while (scenario->length && scenario->at[scenario->length - 1] == '\r')
            scenario->length--;
        return 1;
    }
    object.has_format = object.is_null = object.is_text = object.is_there = 0;
    if (!read_value(&reader, 0))
        return 1; /* whatever it is: the answer will say that it is no scenario */
    skip_space(&reader);
    if (reader.at != reader.end)
        return 1;
    if (object.is_text)
        *scenario = (struct word){object.scenario.at, object.scenario.length};
    return object.is_there ? !object.is_null : !object.has_format;
}

/* Write `output`.  A reader that has gone ends the program. */
static void flush_output(void)
{
    size_t done = 0;

    while (done < output.length) {
#ifdef _WIN32
        int length = _write(1, output.at + done, (unsigned)(output.length - done));
#else
        int length = (int)write(1, output.at + done, output.length - done);
#endif
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0) {
            if (errno != EPIPE && errno != EINVAL) /* EINVAL: what a broken pipe may be on Windows */
                fprintf(stderr, "executor: cannot write: %s\n", strerror(errno));
            exit(1);
        }
        done += (size_t)length;
    }
    output.length = 0;
}

static void answer_line(struct word line)
{
    static struct text repaired;
    struct word scenario;
    int ascii = 1;

    for (size_t i = 0; i < line.length; i++)
        ascii &= (unsigned char)line.at[i] < 0x80;
    if (!ascii) {
        repaired.length = 0;
        put_repaired(&repaired, line.at, line.length);
        line = (struct word){repaired.at, repaired.length};
    }
    if (scenario_of(line, &scenario))
        run_scenario(scenario);
}

/* Write `output` when it is worth it, and five times a second. */
static void flush_at_times(void)
{
    static double flushed;

    if (output.length > 32768 || now() - flushed > 0.2) {
        flush_output();
        flushed = now();
    }
}

#ifdef KIT
/* `bindmatrix kit` puts this file behind its own lines, which define KIT, KIT_FOR, KIT_SECONDS, KIT_WITNESSES (so many
 * run twice, since an answer that nobody knew counts once it was repeated) and kit_scenarios. */
static void record_kit(double started)
{
    size_t count = COUNT(kit_scenarios), done = 0;

    for (; done < KIT_WITNESSES + count && now() - started < KIT_SECONDS; done++) {
        const char *text = kit_scenarios[done < KIT_WITNESSES ? done : done - KIT_WITNESSES];
        answer_line((struct word){text, strlen(text)});
        flush_at_times();
    }
    flush_output();
    fputs("done", stderr);
    if (done < KIT_WITNESSES + count)
        fprintf(stderr, ": %lu scenarios were left out: the time is up", (unsigned long)(KIT_WITNESSES + count - done));
    fputs("\n", stderr);
}
#else
/* Answer what comes from `descriptor`; observations are also written whenever the input pauses. */
static void serve(int descriptor)
{
    static struct text input;
    size_t start = 0;

    for (;;) {
        const char *end;
        int length;

        reserve(&input, 65536);
#ifdef _WIN32
        length = _read(descriptor, input.at + input.length, 65536);
#else
        length = (int)read(descriptor, input.at + input.length, 65536);
        if (length < 0 && errno == EINTR)
            continue;
#endif
        if (length > 0)
            input.length += (size_t)length;
        else if (input.length > start)
            put(&input, "\n"); /* the last line may lack its end */
        while (input.length > start && (end = memchr(input.at + start, '\n', input.length - start)) != NULL) {
            struct word line = {input.at + start, (size_t)(end - input.at) - start};
            start += line.length + 1;
            answer_line(line);
            flush_at_times();
        }
        flush_output();
        if (length <= 0)
            return;
        memmove(input.at, input.at + start, input.length - start);
        input.length -= start;
        start = 0;
    }
}
#endif

/* --- 13. program ------------------------------------------------------------------------------------------------- */

static struct {
    const char *namespace, *output, *file;
} arguments = {"auto", NULL, NULL};

static int read_arguments(int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char **value = !strcmp(words[i], "--namespace") ? &arguments.namespace
                             : !strcmp(words[i], "--output")  ? &arguments.output
                                                              : &arguments.file;
        int valued = value != &arguments.file || !strcmp(words[i], "--parent");

        if (words[i][0] == '-' && !(valued && i + 1 < count))
            return 0;
        if (!strcmp(words[i], "--parent"))
            parent = strtoul(words[++i], NULL, 10);
        else
            *value = words[valued ? ++i : i];
    }
    return !strcmp(arguments.namespace, "own") || !strcmp(arguments.namespace, "none") ||
           !strcmp(arguments.namespace, "auto");
}

#ifndef _WIN32
/* Let standard output be a file; of a terminal, one that changes no byte. */
static int redirect_output(const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_NOCTTY, 0666);
    struct termios terminal;

    if (descriptor < 0 || dup2(descriptor, 1) < 0)
        return 0;
    if (!tcgetattr(1, &terminal)) {
        terminal.c_oflag &= ~(tcflag_t)OPOST;
        tcsetattr(1, TCSANOW, &terminal);
    }
    return 1;
}
#endif

#ifdef __linux__
/* What an init has to do before anything else works: the kernel has mounted the initramfs alone. */
static void start_as_init(void)
{
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mkdir("/dev", 0755);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    if (!arguments.file)
        arguments.file = "/scenarios";
    if (!arguments.output)
        arguments.output = "/dev/console";
}

static void power_off(void)
{
    tcdrain(1);
    reboot(RB_POWER_OFF);
}
#endif

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "executor: %s%s%s\n", what, *what ? ": " : "", why);
    return 2;
}

static int run(int count, char **words)
{
    int input = 0;

    if (!read_arguments(count, words)) {
        fputs("usage: executor [--namespace own|none|auto] [--parent PID] [--output FILE] [FILE]\n", stderr);
        return 2;
    }
#ifdef KIT
    double started = now();
    fprintf(stderr,
            "bindmatrix kit for %s: runs %lu scenarios of socket calls for at most %d seconds.\n"
            "It binds ports of this machine, sends to its loopback addresses alone, and leaves nothing behind.\n",
            KIT_FOR, (unsigned long)COUNT(kit_scenarios), KIT_SECONDS);
#endif
#ifdef _WIN32
    WSADATA data;
    if (WSAStartup(MAKEWORD(2, 2), &data))
        return complain("", "Winsock cannot be started");
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
    if (arguments.output)
        return complain("--output", "is not there on Windows: use >");
    if (arguments.file)
        input = _open(arguments.file, _O_RDONLY | _O_BINARY);
#else
    struct utsname names;

    signal(SIGPIPE, SIG_IGN);
    if (parent) {
        signal(SIGINT, SIG_IGN); /* the parent gets it too and decides */
        die_with_parent();
    }
#ifdef __linux__
    if (getpid() == 1)
        start_as_init();
    uname(&names);
    host.gvisor = is_gvisor(names.release);
#else
    (void)names;
#endif
    if (arguments.output && !redirect_output(arguments.output))
        return complain(arguments.output, strerror(errno));
    if (arguments.file)
        input = open(arguments.file, O_RDONLY);
#endif
    if (input < 0)
        return complain(arguments.file, strerror(errno));
    mark = ((unsigned)process_id() ^ (unsigned)time(NULL)) & 0xFFFF;
    mark |= 1;
    make_ports(arguments.namespace);
    if (failure) {
        put_bytes(&reason, "", 1);
        return complain("", reason.at);
    }
    explore_host();
    put_header();
    flush_output();
    restore_user();
#ifdef KIT
    record_kit(started);
#else
    serve(input);
#endif
#ifndef _WIN32
    close_folder();
#endif
    return 0;
}

int main(int count, char **words)
{
    int status = run(count, words);

#ifdef __linux__
    if (getpid() == 1)
        power_off();
#endif
    return status;
}
