"""The client library without await, over plain sockets: no event loop, usable from threads and after fork."""
