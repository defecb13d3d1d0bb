"""gunicorn's configuration for a floor: the service's settings without its own additions."""

worker_class = "gevent"
workers = 1
worker_connections = 20_000
keepalive = 5
loglevel = "warning"
control_socket_disable = True
