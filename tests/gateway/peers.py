"""nginx and Apache with their upload progress modules, and the gateway with their dialects."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.doctor.running import running
from tests.gateway.serving import Serving

#: What surrounds the configuration of a site in nginx's own.
AROUND_NGINX = """
load_module /usr/lib/nginx/modules/ngx_http_uploadprogress_module.so;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {site}
}}
"""

NGINX = """
    client_max_body_size 1m;
    upload_progress uploads 1m;
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://{backend};
            proxy_http_version 1.1;
            track_uploads uploads 30s;
        }}
        location = /nginx {{ report_uploads uploads; }}
        location = /nginx.json {{ report_uploads uploads; upload_progress_json_output; }}
        location = /nginx.java {{ report_uploads uploads; upload_progress_java_output; }}
        location = /nginx.jsonp {{ report_uploads uploads; upload_progress_jsonp_output; }}
    }}
"""

#: Where Debian has Apache's modules.
MODULES = "/usr/lib/apache2/modules"

#: The same for Apache's. With ListenCoresBucketsRatio it shares its port.
AROUND_APACHE = """
ServerRoot {directory}
ServerName 127.0.0.1
ListenCoresBucketsRatio 1000
PidFile {directory}/apache.pid
ErrorLog {directory}/apache.log
DefaultRuntimeDir {directory}
User www-data
Group www-data
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_host_module {modules}/mod_authz_host.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule upload_progress_module {modules}/mod_upload_progress.so
ServerLimit 1
StartServers 1
ThreadsPerChild 20
MinSpareThreads 1
MaxSpareThreads 20
MaxRequestWorkers 20
{site}
"""

APACHE = """
Listen 127.0.0.1:{port}
ProxyPass /apache !
ProxyPass / http://{backend}/
<Location />
    TrackUploads On
</Location>
<Location /apache>
    ReportUploads On
</Location>
"""

GATEWAY = """
setup {{
    module_load ["mod_progress", "mod_proxy"];
    listen "127.0.0.1:0";
    limits.body_size 1 mbyte;
}}
if req.path == "/nginx" {{ progress.show "nginx"; }}
else if req.path == "/nginx.json" {{ progress.show "nginx.json"; }}
else if req.path == "/nginx.java" {{ progress.show "nginx.java"; }}
else if req.path == "/nginx.jsonp" {{ progress.show "nginx.jsonp"; }}
else if req.path == "/apache" {{ progress.show "apache"; }}
else {{ progress.track; proxy "{backend}"; }}
"""


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Keep a port for a server that shares it (SO_REUSEPORT), so that nobody else takes it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port


@contextlib.contextmanager
def nginx(backend: str, directory: Path) -> Iterator[int]:
    """Put nginx in front of a backend; yield its port."""
    file = directory / "nginx.conf"
    with reserved_port() as port:
        site = NGINX.format(port=port, backend=backend)
        file.write_text(AROUND_NGINX.format(directory=directory, site=site))
        with running(["nginx", "-c", str(file), "-p", str(directory)], port, directory):
            yield port


@contextlib.contextmanager
def apache(backend: str, directory: Path) -> Iterator[int]:
    """Put Apache in front of a backend; yield its port."""
    file = directory / "apache.conf"
    with reserved_port() as port:
        site = APACHE.format(port=port, backend=backend)
        file.write_text(AROUND_APACHE.format(directory=directory, modules=MODULES, site=site))
        with running(["apache2", "-f", str(file), "-D", "FOREGROUND"], port, directory):
            yield port


@contextlib.contextmanager
def gateway(backend: str, directory: Path) -> Iterator[int]:
    """Put the gateway in front of a backend; yield its port."""
    serving = Serving(directory, GATEWAY.format(backend=backend))
    try:
        yield serving.port
    finally:
        serving.stop()
