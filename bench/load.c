/* The load generator: one HTTP/1.1 client on 127.0.0.1. Prints one line of JSON.
 *
 *     load upload PORT TARGET SIZE                        one POST of SIZE bytes
 *     load download PORT TARGET TIMES                     some GETs, one after another on one
 *                           connection, their bodies read without copying
 *     load requests PORT METHOD TARGET CONNECTIONS SECONDS
 *                           as many requests as it answers, one at a time on each connection;
 *                           a POST has 100 bytes; a '#' in TARGET becomes a number of its own
 *     load hold PORT TARGET SHOW COUNT SECONDS
 *                           COUNT slow POSTs in flight, a '#' in TARGET their number; prints how
 *                           long a GET of SHOW takes meanwhile; ends when its input does
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SUPPLY_SIZE (1 << 20) /* see backend.c */
#define READ_SIZE (16 << 20)
#define PATIENCE 10          /* seconds until a server counts as stuck */
#define SMALL_BODY 100
#define HELD_BODY 1000000    /* bytes that a held upload promises, and never sends */
#define HELD_BYTE_EVERY 5.0  /* seconds between two bytes of a held upload */
#define SHOW_EVERY 0.005     /* seconds between two shows while uploads are held */
#define MOST_SHOWS 100000

static int port;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int connect_to_server(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval patience = {PATIENCE, 0};
    int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address))
        err(1, "connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return s;
}

static void send_all(int s, const char *bytes, size_t size, int flags) {
    while (size) {
        ssize_t sent = send(s, bytes, size, MSG_NOSIGNAL | flags);
        if (sent < 0)
            err(1, "send");
        bytes += sent;
        size -= sent;
    }
}

/* ---- requests and answers ---- */

#define DIGITS 12

struct request {
    size_t size;
    size_t number; /* where the digits stand that tell requests apart; 0 where there are none */
    char bytes[2048];
};

/* Write a request's head; a '#' in the target becomes a number. */
static void prepare(struct request *r, const char *method, const char *target, uint64_t body_size) {
    const char *mark = strchr(target, '#');
    int before = mark ? (int)(mark - target) : (int)strlen(target);
    r->number = mark ? strlen(method) + 1 + before : 0;
    r->size = snprintf(r->bytes, sizeof r->bytes, "%s %.*s%.*s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n",
                       method, before, target, mark ? DIGITS : 0, "000000000000",
                       mark ? mark + 1 : "", port);
    if (strcmp(method, "POST") == 0)
        r->size += sprintf(r->bytes + r->size, "Content-Length: %llu\r\n",
                           (unsigned long long)body_size);
    r->size += sprintf(r->bytes + r->size, "\r\n");
}

static void set_number(struct request *r, uint64_t number) {
    for (int i = DIGITS - 1; r->number && i >= 0; i--, number /= 10)
        r->bytes[r->number + i] = '0' + number % 10;
}

struct answer {
    size_t filled;       /* bytes in `head` */
    size_t head_size;    /* 0 until the whole head is there */
    uint64_t body_size;
    char head[8192];
};

/* Read more of an answer; true as soon as its head is whole. Only 200 with a length will do. */
static int read_answer_head(int s, struct answer *a) {
    ssize_t got = recv(s, a->head + a->filled, sizeof a->head - 1 - a->filled, 0);
    if (got <= 0)
        errx(1, "no answer: %s", got ? strerror(errno) : "the server closed the connection");
    a->filled += got;
    a->head[a->filled] = 0;
    char *end = strstr(a->head, "\r\n\r\n");
    if (!end)
        return 0;
    a->head_size = end + 4 - a->head;
    char *field = strcasestr(a->head, "\r\nContent-Length:");
    if (strncmp(a->head, "HTTP/1.1 200", 12) || !field || field > end)
        errx(1, "not an answer to measure: %.*s", (int)a->head_size, a->head);
    a->body_size = strtoull(field + strlen("\r\nContent-Length:"), NULL, 10);
    return 1;
}

/* Read a whole answer on a blocking socket, forgetting the body; return the body's size. */
static uint64_t read_answer(int s) {
    struct answer a = {0};
    while (!read_answer_head(s, &a))
        ;
    uint64_t left = a.body_size - (a.filled - a.head_size);
    while (left) {
        ssize_t got = recv(s, NULL, left < READ_SIZE ? left : READ_SIZE, MSG_TRUNC);
        if (got <= 0)
            errx(1, "the body ended %llu bytes early", (unsigned long long)left);
        left -= got;
    }
    return a.body_size;
}

/* ---- one large body ---- */

static void print_transfer(uint64_t size, double start) {
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", (unsigned long long)size,
           now() - start, cpu_seconds());
}

static void upload(const char *target, uint64_t size) {
    static const char supply[SUPPLY_SIZE];
    struct request r;
    prepare(&r, "POST", target, size);
    int s = connect_to_server();
    double start = now();
    send_all(s, r.bytes, r.size, MSG_MORE);
    for (uint64_t left = size, part; left; left -= part) {
        part = left < SUPPLY_SIZE ? left : SUPPLY_SIZE;
        send_all(s, supply, part, 0);
    }
    read_answer(s);
    print_transfer(size, start);
}

static void download(const char *target, int times) {
    struct request r;
    prepare(&r, "GET", target, 0);
    int s = connect_to_server();
    double start = now();
    uint64_t size = 0;
    while (times--) {
        send_all(s, r.bytes, r.size, 0);
        size += read_answer(s);
    }
    print_transfer(size, start);
}

/* ---- many small requests ---- */

struct small_client {
    int socket;
    struct answer answer;
};

static void ask(struct small_client *client, struct request *r, uint64_t number) {
    set_number(r, number);
    client->answer.filled = client->answer.head_size = 0;
    send_all(client->socket, r->bytes, r->size, 0);
}

/* True when the whole answer is there. The bodies are short, and fit behind the head. */
static int read_small(struct small_client *client) {
    struct answer *a = &client->answer;
    return read_answer_head(client->socket, a) && a->filled >= a->head_size + a->body_size;
}

static void requests(const char *method, const char *target, int connections, double seconds) {
    struct small_client *clients = calloc(connections, sizeof *clients);
    int poller = epoll_create1(0);
    uint64_t number = 0, answered = 0;
    struct request r;
    prepare(&r, method, target, SMALL_BODY);
    if (strcmp(method, "POST") == 0) {
        memset(r.bytes + r.size, 'x', SMALL_BODY);
        r.size += SMALL_BODY;
    }
    double start = now(), end = start;
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {EPOLLIN, {.ptr = &clients[i]}};
        clients[i].socket = connect_to_server();
        epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].socket, &event);
        ask(&clients[i], &r, number++);
    }
    double last = start;
    while (end < start + seconds) {
        struct epoll_event events[256];
        /* Never asleep: to wake a sleeper on this machine costs whoever answers it as much as the
           answer itself, and the more, the slower it is. Clients elsewhere cost no server that. */
        int ready = epoll_wait(poller, events, 256, 0);
        if (ready > 0)
            last = end;
        else if (ready < 0 || end > last + PATIENCE)
            errx(1, "no answer in %d seconds", PATIENCE);
        for (int i = 0; i < ready; i++)
            if (read_small(events[i].data.ptr)) {
                answered++;
                ask(events[i].data.ptr, &r, number++);
            }
        end = now();
    }
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
           (unsigned long long)answered, end - start, cpu_seconds());
}

/* ---- slow uploads in flight ---- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Return the seconds that an answer takes. */
static double ask_once(int s, const struct request *r) {
    double start = now();
    send_all(s, r->bytes, r->size, 0);
    read_answer(s);
    return now() - start;
}

/* Send what is due of the held uploads: one byte of each in every `HELD_BYTE_EVERY` seconds. */
static void drip(const int *held, int count, double start) {
    static uint64_t sent;
    uint64_t due = (now() - start) * count / HELD_BYTE_EVERY;
    for (; sent < due; sent++)
        send_all(held[sent % count], "x", 1, 0);
}

static int count_lost(const int *held, int count) {
    int lost = 0;
    for (int i = 0; i < count; i++) {
        struct pollfd p = {held[i], POLLIN | POLLRDHUP, 0};
        lost += poll(&p, 1, 0);
    }
    return lost;
}

static void hold(const char *target, const char *show, int count, double seconds) {
    static double took[MOST_SHOWS];
    int *held = calloc(count, sizeof *held), shows = 0, s = connect_to_server();
    struct request post, get;
    prepare(&post, "POST", target, HELD_BODY);
    prepare(&get, "GET", show, 0);
    for (int i = 0; i < count; i++) {
        held[i] = connect_to_server();
        set_number(&post, i);
        send_all(held[i], post.bytes, post.size, 0);
    }
    double start = now(), measure = start + (seconds ? HELD_BYTE_EVERY : 0);
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    int told = 0;
    while (poll(&input, 1, SHOW_EVERY * 1e3) == 0) {
        drip(held, count, start);
        if (now() >= measure && now() < measure + seconds && shows < MOST_SHOWS)
            took[shows++] = ask_once(s, &get) * 1e3;
        if (!told && now() >= measure + seconds) {
            qsort(took, shows, sizeof *took, compare);
            printf("{\"shows\": %d, \"median_ms\": %.3f, \"p99_ms\": %.3f, \"lost\": %d}\n", shows,
                   took[shows / 2], took[shows * 99 / 100], count_lost(held, count));
            fflush(stdout);
            told = 1;
        }
    }
}

int main(int count, char **arguments) {
    const char *mode = count > 3 ? arguments[1] : "";
    port = count > 2 ? atoi(arguments[2]) : 0;
    if (strcmp(mode, "upload") == 0 && count == 5)
        upload(arguments[3], strtoull(arguments[4], NULL, 10));
    else if (strcmp(mode, "download") == 0 && count == 5)
        download(arguments[3], atoi(arguments[4]));
    else if (strcmp(mode, "requests") == 0 && count == 7)
        requests(arguments[3], arguments[4], atoi(arguments[5]), atof(arguments[6]));
    else if (strcmp(mode, "hold") == 0 && count == 7)
        hold(arguments[3], arguments[4], atoi(arguments[5]), atof(arguments[6]));
    else
        errx(2, "usage: load upload|download|requests|hold PORT ...; see load.c");
}
