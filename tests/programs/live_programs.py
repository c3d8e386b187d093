"""Programs that do what rows of ``expectations/runtimes`` say, one a row, for machines that have the runtime.

Each runs in a folder of its own with ``files``, in a network namespace of its own, and binds one port.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PORT = "8080"
PYTHON = sys.executable


@dataclass(frozen=True)
class Program:
    """One program."""

    command: tuple[str, ...]
    #: programs that it needs
    tools: tuple[str, ...] = ()
    #: Python modules that it needs
    modules: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    #: run before it, untraced: a compiler
    before: tuple[str, ...] = ()
    root: bool = False
    #: a file or folder that it or its compiler needs
    needs: str = ""

    def missing(self) -> str:
        """Why it cannot run here; ""."""
        tools = [one for one in self.tools if shutil.which(one) is None and not Path("/usr/sbin", one).exists()]
        modules = [one for one in self.modules if importlib.util.find_spec(one) is None]
        files = [self.needs] if self.needs and not Path(self.needs).exists() else []
        if tools or modules or files:
            return f"not here: {', '.join(tools + modules + files)}"
        return "needs root" if self.root and os.geteuid() != 0 else ""

    def prepare(self, folder: Path) -> list[str]:
        """Write its files and compile them; the command to trace."""
        for name, text in self.files.items():
            (folder / name).write_text(text, "utf-8")
        words = [word.replace("@", str(folder)) for word in self.command]
        if self.before:
            environment = os.environ | {"GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
            subprocess.run(self.before, cwd=folder, env=environment, check=True, timeout=300)
        return words


def python(text: str, *modules: str) -> Program:
    return Program((PYTHON, "-c", text), modules=modules)


def loop(call: str, policy: str = "", *modules: str) -> Program:
    text = f"import asyncio\nasync def main():\n l = asyncio.get_running_loop(); P = asyncio.Protocol\n {call}\n"
    return python(f"{policy}\n{text} await asyncio.sleep(60)\nasyncio.run(main())", *modules)


def module(name: str, *words: str) -> Program:
    return Program((PYTHON, "-m", name, *words), modules=(name,), files={"app.py": APP})


def node(text: str) -> Program:
    return Program(("node", "-e", text), ("node",))


def go(call: str) -> Program:
    text = f'package main\nimport ("net"; "time")\nfunc main() {{ _, err := {call}\n'
    text += "if err != nil { panic(err) }\ntime.Sleep(time.Minute) }\n"
    return Program(("@/main",), ("go",), files={"main.go": text}, before=("go", "build", "-o", "main", "main.go"))


def java(text: str) -> Program:
    source = "import java.net.*;\npublic class M { public static void main(String[] a) throws Exception {\n"
    source += f"{text}\nThread.sleep(60000); }} }}\n"
    return Program(("java", "-cp", "@", "M"), ("java", "javac"), files={"M.java": source}, before=("javac", "M.java"))


def libevent(flag: str) -> Program:
    source = """
#include <event2/listener.h>
#include <event2/event.h>
#include <netinet/in.h>
int main(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
    struct event_base *base = event_base_new();
    if (!evconnlistener_new_bind(base, 0, 0, FLAG, 16, (struct sockaddr *)&to, sizeof to)) return 1;
    return event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
}
"""
    compile_it = ("cc", "-o", "main", "main.c", "-levent")
    files = {"main.c": source.replace("FLAG", flag)}
    return Program(("@/main",), ("cc",), files=files, before=compile_it, needs="/usr/include/event2/listener.h")


def erlang(call: str) -> Program:
    return Program(("erl", "-noshell", "-eval", f"{{ok, _}} = {call}, timer:sleep(60000)."), ("erl",))


def ruby(call: str) -> Program:
    return Program(("ruby", "-rsocket", "-e", f"s = {call}; sleep 60"), ("ruby",))


def php(url: str, flags: str = "") -> Program:
    return Program(("php", "-r", f"$s = stream_socket_server('{url}', $e, $m{flags}); sleep(60);"), ("php",))


def server(tool: str, *words: str, root: bool = False, **files: str) -> Program:
    named = {name.replace("_", "."): text for name, text in files.items()}
    return Program((shutil.which(tool) or f"/usr/sbin/{tool}", *words), (tool,), files=named, root=root)


APP = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return []
"""
_UV = "import uvloop; uvloop.install()"
_WAIT = "import time; time.sleep(60)"
_AIOHTTP = """\
import asyncio
from aiohttp import web
async def main():
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, port=8080).start()
    await asyncio.sleep(60)
asyncio.run(main())
"""
_TWISTED = "from twisted.internet import reactor, protocol; reactor.{}; reactor.run()"
_UNBOUND = """\
server:
  interface: 0.0.0.0
  port: 8080
  do-daemonize: no
  chroot: ""
  username: ""
  num-threads: 2
  use-syslog: no
  pidfile: ""
remote-control:
  control-enable: no
"""

#: id of a row -> a program that is it
PROGRAMS: dict[str, Program] = {
    "py-create_server": python(f"import socket; s = socket.create_server(('', 8080)); {_WAIT}"),
    "py-create_server-dual": python(
        f"import socket; s = socket.create_server(('', 8080), family=socket.AF_INET6, dualstack_ipv6=True); {_WAIT}"
    ),
    "py-create_server-v6": python(f"import socket; s = socket.create_server(('', 8080), family=10); {_WAIT}"),
    "py-create_server-reuse_port": python(
        f"import socket; s = socket.create_server(('', 8080), reuse_port=True); {_WAIT}"
    ),
    "py-socketserver": python(f"import socketserver as s; t = s.TCPServer(('', 8080), s.BaseRequestHandler); {_WAIT}"),
    "py-socketserver-udp": python(
        f"import socketserver as s; t = s.UDPServer(('', 8080), s.BaseRequestHandler); {_WAIT}"
    ),
    "py-http.server": Program((PYTHON, "-m", "http.server", PORT)),
    "py-multiprocessing": python(
        f"from multiprocessing.connection import Listener; l = Listener(('127.0.0.1', 8080)); {_WAIT}"
    ),
    "asyncio-reuse_port": loop("await l.create_server(P, '0.0.0.0', 8080, reuse_port=True)"),
    "asyncio-udp": loop("await l.create_datagram_endpoint(asyncio.DatagramProtocol, ('0.0.0.0', 8080))"),
    "asyncio-udp-reuse_port": loop(
        "await l.create_datagram_endpoint(asyncio.DatagramProtocol, ('0.0.0.0', 8080), reuse_port=True)"
    ),
    "asyncio": loop("await l.create_server(P, None, 8080)"),
    "uvloop": loop("await l.create_server(P, None, 8080)", _UV, "uvloop"),
    "uvicorn": module("uvicorn", "app:app", "--host", "0.0.0.0", "--port", PORT),
    "uvicorn-workers": module("uvicorn", "app:app", "--port", PORT, "--workers", "2"),
    "gunicorn": module("gunicorn", "-b", f"0.0.0.0:{PORT}", "app:wsgi"),
    "gunicorn-reuse_port": module("gunicorn", "--reuse-port", "-b", f"0.0.0.0:{PORT}", "app:wsgi"),
    "hypercorn": module("hypercorn", "app:app", "-b", f"0.0.0.0:{PORT}"),
    "hypercorn-workers": module("hypercorn", "app:app", "-b", f"0.0.0.0:{PORT}", "-w", "2"),
    "granian": module("granian", "--interface", "asgi", "--host", "0.0.0.0", "--port", PORT, "app:app"),
    "twisted": python(_TWISTED.format("listenTCP(8080, protocol.Factory())"), "twisted"),
    "twisted-udp": python(_TWISTED.format("listenUDP(8080, protocol.DatagramProtocol())"), "twisted"),
    "twisted-multicast": python(
        _TWISTED.format("listenMulticast(8080, protocol.DatagramProtocol(), listenMultiple=True)"), "twisted"
    ),
    "tornado": python(f"from tornado.netutil import bind_sockets; s = bind_sockets(8080); {_WAIT}", "tornado"),
    "tornado-reuse_port": python(
        f"from tornado.netutil import bind_sockets; s = bind_sockets(8080, reuse_port=True); {_WAIT}", "tornado"
    ),
    "aiohttp": python(_AIOHTTP, "aiohttp"),
    "gevent": python(
        "from gevent.server import StreamServer; StreamServer(('0.0.0.0', 8080), print).serve_forever()", "gevent"
    ),
    "gevent-pywsgi": python(
        "from gevent.pywsgi import WSGIServer; WSGIServer(('', 8080), None).serve_forever()", "gevent"
    ),
    "gevent-udp": python(
        "from gevent.server import DatagramServer; DatagramServer(':8080', print).serve_forever()", "gevent"
    ),
    "trio": python(
        "import trio\nasync def main():\n s = await trio.open_tcp_listeners(8080)\n await trio.sleep(60)\n"
        "trio.run(main)",
        "trio",
    ),
    "anyio": python(
        "import anyio\nasync def main():\n s = await anyio.create_tcp_listener(local_port=8080)\n"
        " await anyio.sleep(60)\nanyio.run(main)",
        "anyio",
    ),
    "waitress": python("from waitress import serve; serve(print, listen='*:8080')", "waitress"),
    "cheroot": python("from cheroot import wsgi; wsgi.Server(('0.0.0.0', 8080), print).start()", "cheroot"),
    "cheroot-reuse_port": python(
        "from cheroot import wsgi; wsgi.Server(('::', 8080), print, reuse_port=True).start()", "cheroot"
    ),
    "werkzeug": python(
        "from werkzeug.serving import make_server; make_server('0.0.0.0', 8080, print).serve_forever()", "werkzeug"
    ),
    "zeromq": python(f"import zmq; s = zmq.Context().socket(zmq.REP); s.bind('tcp://*:8080'); {_WAIT}", "zmq"),
    "grpc": python(
        "import grpc, concurrent.futures as f; s = grpc.server(f.ThreadPoolExecutor(1)); "
        f"s.add_insecure_port('[::]:8080'); s.start(); {_WAIT}",
        "grpc",
    ),
    "go-http": go(f'net.Listen("tcp", ":{PORT}")'),
    "go-tcp4": go(f'net.Listen("tcp4", ":{PORT}")'),
    "go-tcp6": go(f'net.Listen("tcp6", ":{PORT}")'),
    "go-udp": go(f'net.ListenPacket("udp", ":{PORT}")'),
    "node-http": node("require('http').createServer().listen(8080)"),
    "node-http4": node("require('net').createServer().listen(8080, '0.0.0.0')"),
    "node-udp": node("require('dgram').createSocket('udp4').bind(8080)"),
    "node-udp6": node("require('dgram').createSocket('udp6').bind(8080)"),
    "node-udp-reuseAddr": node("require('dgram').createSocket({type: 'udp4', reuseAddr: true}).bind(8080)"),
    "deno-serve": Program(
        ("deno", "run", "-A", "m.js"), ("deno",), files={"m.js": "Deno.listen({port: 8080});setInterval(()=>0,9)"}
    ),
    "deno-node-http": Program(
        ("deno", "run", "-A", "m.js"),
        ("deno",),
        files={"m.js": "import h from 'node:http'; h.createServer().listen(8080)"},
    ),
    "deno-reusePort": Program(
        ("deno", "run", "-A", "--unstable-net", "m.js"),
        ("deno",),
        files={"m.js": "Deno.listen({port: 8080, reusePort: true});setInterval(()=>0,9)"},
    ),
    "deno-udp-reuse": Program(
        ("deno", "run", "-A", "--unstable-net", "m.js"),
        ("deno",),
        files={"m.js": "Deno.listenDatagram({port: 8080, transport: 'udp', reuseAddress: true});setInterval(()=>0,9)"},
    ),
    "bun-serve": Program(("bun", "m.js"), ("bun",), files={"m.js": "Bun.serve({port: 8080, fetch() {}})"}),
    "bun-reusePort": Program(
        ("bun", "m.js"), ("bun",), files={"m.js": "Bun.serve({port: 8080, reusePort: true, fetch() {}})"}
    ),
    "java-ServerSocket": java("var s = new ServerSocket(8080);"),
    "java-ServerSocket-lo": java('var s = new ServerSocket(8080, 50, InetAddress.getByName("127.0.0.1"));'),
    "java-reuseport": java(
        "var s = new ServerSocket(); s.setOption(StandardSocketOptions.SO_REUSEPORT, true); "
        's.bind(new InetSocketAddress("0.0.0.0", 8080));'
    ),
    "java-DatagramSocket": java("var s = new DatagramSocket(8080);"),
    "java-MulticastSocket": java("var s = new MulticastSocket(8080);"),
    "erlang-gen_tcp": erlang("gen_tcp:listen(8080, [])"),
    "erlang-reuseaddr": erlang("gen_tcp:listen(8080, [{reuseaddr, true}])"),
    "erlang-inet6": erlang("gen_tcp:listen(8080, [inet6, {reuseaddr, true}])"),
    "erlang-udp-reuseaddr": erlang("gen_udp:open(8080, [{reuseaddr, true}])"),
    "ruby-TCPServer": ruby("TCPServer.new(8080)"),
    "ruby-tcp_server_sockets": ruby("Socket.tcp_server_sockets(8080)"),
    "ruby-udp_server_sockets": ruby("Socket.udp_server_sockets(8080)"),
    "php-stream": php("tcp://0.0.0.0:8080"),
    "php-stream-udp": php("udp://0.0.0.0:8080", ", STREAM_SERVER_BIND"),
    "php-stream-v6": php("tcp://[::]:8080"),
    "nginx": server(
        "nginx",
        "-c",
        "@/n.conf",
        "-e",
        "stderr",
        root=True,
        n_conf="daemon off; pid n.pid; events {} http { server { listen 8080; listen [::]:8080; } }",
    ),
    "nginx-reuseport": server(
        "nginx",
        "-c",
        "@/n.conf",
        "-e",
        "stderr",
        root=True,
        n_conf="daemon off; pid n.pid; worker_processes 2; events {} http { server { listen 8080 reuseport; } }",
    ),
    "haproxy": server("haproxy", "-f", "@/h.cfg", h_cfg="frontend f\n mode http\n timeout client 1s\n bind :8080\n"),
    "haproxy-v4v6": server(
        "haproxy", "-f", "@/h.cfg", h_cfg="frontend f\n mode http\n timeout client 1s\n bind :::8080 v4v6\n"
    ),
    "redis": server("redis-server", "--port", PORT, "--save", "", "--protected-mode", "no"),
    "memcached": server("memcached", "-u", "root", "-p", PORT, root=True),
    "memcached-udp": server("memcached", "-u", "root", "-p", "0", "-U", PORT, root=True),
    "dnsmasq": server(
        "dnsmasq", "-k", "-C", "/dev/null", "-p", PORT, "--no-resolv", "--user=root", "--pid-file=@/p", root=True
    ),
    "unbound-udp": server("unbound", "-d", "-c", "@/u.conf", root=True, u_conf=_UNBOUND),
    "unbound-tcp": server("unbound", "-d", "-c", "@/u.conf", root=True, u_conf=_UNBOUND),
    "mosquitto": server("mosquitto", "-p", "1883", root=True),
    "lighttpd": server("lighttpd", "-D", "-f", "@/l.conf", l_conf='server.port = 8080\nserver.document-root = "/"\n'),
    "sshd": Program(
        ("/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", "@/key", "-p", PORT),
        ("sshd", "ssh-keygen"),
        before=("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"),
        root=True,
        needs="/run/sshd",
    ),
    "libevent": libevent("LEV_OPT_REUSEABLE"),
    "libevent-reuseport": libevent("LEV_OPT_REUSEABLE_PORT"),
    "socat": server("socat", f"TCP-LISTEN:{PORT}", "-"),
    "socat-udp": server("socat", f"UDP-LISTEN:{PORT},fork", "-"),
}
