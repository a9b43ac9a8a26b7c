/* A backend that forgets what it is sent and produces what it is asked for, as fast as it can.
 *
 *     backend           prints the port it listens on, and serves until its parent ends
 *
 *     POST ...          reads the body without copying it, and answers 200
 *     GET /bytes/N      answers N bytes
 *     GET ...           answers 200 with a short body
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#define HEAD_SIZE 8192
/* Plain send from a buffer that stays in the cache was the fastest of what was tried: 7.5 GB/s,
 * and sendfile from a memfd, page by page, 2.1 GB/s. */
#define SUPPLY_SIZE (1 << 20)
#define READ_SIZE (16 << 20)

static const char SHORT_ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

static const char supply[SUPPLY_SIZE];

struct connection {
    int socket;
    size_t filled;       /* bytes of `head` that were read and not yet used */
    uint64_t to_discard; /* bytes of the request's body that are still to come */
    uint64_t to_produce; /* bytes of the answer's body that are still to go */
    char head[HEAD_SIZE + 1];
};

enum outcome { GO_ON, WAIT, GONE };

static enum outcome failed(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK ? WAIT : GONE;
}

static enum outcome say(struct connection *c, const char *text, size_t size, int flags) {
    return send(c->socket, text, size, MSG_NOSIGNAL | flags) == (ssize_t)size ? GO_ON : GONE;
}

static enum outcome produce(struct connection *c) {
    size_t size = c->to_produce < SUPPLY_SIZE ? c->to_produce : SUPPLY_SIZE;
    ssize_t sent = send(c->socket, supply, size, MSG_NOSIGNAL);
    if (sent < 0)
        return failed();
    c->to_produce -= sent;
    return GO_ON;
}

static enum outcome answer_when_read(struct connection *c) {
    return c->to_discard ? GO_ON : say(c, SHORT_ANSWER, sizeof SHORT_ANSWER - 1, 0);
}

static enum outcome discard(struct connection *c) {
    size_t size = c->to_discard < READ_SIZE ? c->to_discard : READ_SIZE;
    ssize_t got = recv(c->socket, NULL, size, MSG_TRUNC);
    if (got <= 0)
        return got < 0 ? failed() : GONE;
    c->to_discard -= got;
    return answer_when_read(c);
}

/* Take one request from the bytes that were read; the body's part of them counts as read. */
static enum outcome take_request(struct connection *c, size_t head_size) {
    unsigned long long size = 0;
    const char *field = strcasestr(c->head, "\r\nContent-Length:");
    if (field && field < c->head + head_size)
        size = strtoull(field + strlen("\r\nContent-Length:"), NULL, 10);
    else if (c->head[0] == 'P')
        return GONE; /* a chunked body: no server under test needs to send one */
    int has_bytes = sscanf(c->head, "GET /bytes/%llu ", (unsigned long long *)&c->to_produce) == 1;

    size_t body = c->filled - head_size;
    size_t used = head_size + (size < body ? size : body);
    c->to_discard = size - (used - head_size);
    c->filled -= used;
    memmove(c->head, c->head + used, c->filled);
    if (!has_bytes)
        return answer_when_read(c);
    char head[96];
    int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                          (unsigned long long)c->to_produce);
    return say(c, head, length, MSG_MORE);
}

static enum outcome read_head(struct connection *c) {
    c->head[c->filled] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (end)
        return take_request(c, end + 4 - c->head);
    ssize_t got = recv(c->socket, c->head + c->filled, HEAD_SIZE - c->filled, 0);
    if (got <= 0)
        return got < 0 ? failed() : GONE;
    c->filled += got;
    return GO_ON;
}

static void serve(struct connection *c) {
    enum outcome outcome = GO_ON;
    while (outcome == GO_ON)
        outcome = c->to_produce ? produce(c) : c->to_discard ? discard(c) : read_head(c);
    if (outcome == GONE) {
        close(c->socket);
        free(c);
    }
}

static int listen_somewhere(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        err(1, "listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void accept_all(int listener, int poller) {
    int client, on = 1;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
        c->socket = client;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(poller, EPOLL_CTL_ADD, client, &event);
    }
}

int main(void) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int listener = listen_somewhere(), poller = epoll_create1(0);
    struct epoll_event events[256], event = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++)
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_all(listener, poller);
    }
}
