"""How gunicorn serves a floor: as it serves the service, without what is the service's own."""

worker_class = "gevent"
workers = 1
worker_connections = 20_000
keepalive = 5
loglevel = "warning"
control_socket_disable = True
