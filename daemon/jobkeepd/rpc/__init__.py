"""Varlink over a Unix socket: listener, connection, dispatch, handlers."""
