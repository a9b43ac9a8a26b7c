/* Watches uploads that it sends itself, and tells how old what it reads is. Prints two lines.
 *
 *     watch UPLOAD_PORT TARGET UPLOADS SHOW_PORT SHOW WATCHERS SECONDS EVERY
 *
 * UPLOADS POSTs to TARGET, STEP bytes each EVERY so many seconds, and WATCHERS streams of
 * Server-Sent Events from SHOW; a '#' in either is the number of an upload. The first line says
 * that measuring begins, the second is one of JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define STEP 1000
#define WARM_UP 3.0       /* seconds from the last connection to the first measurement */
#define LENGTH 1000000000 /* bytes that an upload promises, and never sends */
#define MOST_STEPS 4096
#define MOST_AGES 10000000
#define MEMBER "\"received\": "

struct upload {
    int socket, steps;
    float sent_at[MOST_STEPS]; /* seconds from the start until so many steps were sent */
};

struct watcher {
    int socket;
    struct upload *upload;
};

static double start, every;
static float *ages;
static size_t events, aged;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (struct sockaddr *)&address, sizeof address))
        err(1, "connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

static void ask(int s, const char *method, const char *target, int number, const char *fields) {
    char request[1024];
    const char *mark = strchr(target, '#');
    int before = mark ? (int)(mark - target) : (int)strlen(target);
    char digits[16] = "";
    if (mark)
        sprintf(digits, "%d", number);
    int size = snprintf(request, sizeof request, "%s %.*s%s%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                        method, before, target, digits, mark ? mark + 1 : "", fields);
    if (send(s, request, size, MSG_NOSIGNAL) != size)
        err(1, "send");
}

/* Send what is due of the uploads: a step of each, spread over the time of a step. */
static void send_due(struct upload *uploads, int count) {
    static const char step[STEP];
    static uint64_t sent;
    uint64_t due = (now() - start) / every * count;
    for (; sent < due; sent++) {
        struct upload *u = &uploads[sent % count];
        if (u->steps == MOST_STEPS - 1)
            errx(1, "too long a run");
        if (send(u->socket, step, STEP, MSG_NOSIGNAL) != STEP)
            err(1, "upload");
        u->sent_at[++u->steps] = now() - start;
    }
}

/* Read what has come; note the age of each number in it. Returns 0 at the end of the stream. */
static int read_events(struct watcher *w, int measuring) {
    char data[16384];
    ssize_t got = recv(w->socket, data, sizeof data - 1, MSG_DONTWAIT);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    data[got] = 0;
    double read_at = now() - start;
    for (char *found = data; (found = strstr(found, MEMBER)); found++) {
        int step = strtol(found + strlen(MEMBER), NULL, 10) / STEP;
        events += measuring;
        if (measuring && step > 0 && step <= w->upload->steps && aged < MOST_AGES)
            ages[aged++] = read_at - w->upload->sent_at[step];
    }
    return 1;
}

static int compare(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments) {
    if (count != 9)
        errx(2, "usage: watch UPLOAD_PORT TARGET UPLOADS SHOW_PORT SHOW WATCHERS SECONDS EVERY");
    int upload_port = atoi(arguments[1]), uploads = atoi(arguments[3]);
    int show_port = atoi(arguments[4]), watchers = atoi(arguments[6]), lost = 0;
    double seconds = atof(arguments[7]);
    every = atof(arguments[8]);
    struct upload *sent = calloc(uploads, sizeof *sent);
    struct watcher *watching = calloc(watchers, sizeof *watching);
    ages = malloc(MOST_AGES * sizeof *ages);
    char length[64];
    sprintf(length, "Content-Length: %d\r\n", LENGTH);
    for (int i = 0; i < uploads; i++)
        ask(sent[i].socket = connect_to(upload_port), "POST", arguments[2], i, length);
    start = now();
    int poller = epoll_create1(0);
    for (int i = 0; i < watchers; i++) {
        struct epoll_event event = {EPOLLIN, {.ptr = &watching[i]}};
        watching[i].upload = &sent[i % uploads];
        watching[i].socket = connect_to(show_port);
        epoll_ctl(poller, EPOLL_CTL_ADD, watching[i].socket, &event);
        ask(watching[i].socket, "GET", arguments[5], i % uploads, "Accept: text/event-stream\r\n");
        send_due(sent, uploads);
    }
    double begin = now() + WARM_UP;
    int measuring = 0;
    while (now() < begin + seconds) {
        struct epoll_event ready[256];
        if (!measuring && now() >= begin) {
            measuring = 1;
            puts("measuring");
            fflush(stdout);
        }
        int found = epoll_wait(poller, ready, 256, 5);
        for (int i = 0; i < found; i++) {
            struct watcher *w = ready[i].data.ptr;
            if (!read_events(w, measuring)) {
                close(w->socket);
                lost++;
            }
        }
        send_due(sent, uploads);
    }
    qsort(ages, aged, sizeof *ages, compare);
    printf("{\"events\": %zu, \"seconds\": %.3f, \"median_ms\": %.1f, \"p99_ms\": %.1f, \"lost\": %d}\n",
           events, seconds, aged ? ages[aged / 2] * 1e3 : -1, aged ? ages[aged * 99 / 100] * 1e3 : -1,
           lost);
}
