"""How much of a response its client has, and when it has all of it.

A front hands bytes to its server, the server hands them to the system, and the system sends them to
the client. So what was handed over is megabytes ahead of what arrived. The system knows what the
client acknowledged, for each connection. A front has its transfers followed by the two addresses
of the connection, as its server reports them. The request never waits for this: whoever looks at a
transfer asks the system at that moment, and one thread a process, which lives while there is
something to follow, notices when responses are delivered and connections end.

Where the connection cannot be found, the count handed to the server stands: on another system than
Linux, with a socket of the file system, and where a proxy's header has replaced the addresses.

- `watch`: the thread, and `follow_transfer`, by which a front begins;
- `deliveries`: one response on its way, and the connection that carries it;
- `addresses`: which two addresses a connection has;
- `sock_diag`: what Linux knows of a connection.
"""
