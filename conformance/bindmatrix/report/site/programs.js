// A scenario as a program to copy, one line a call.  `bindmatrix reproduce` writes programs that also check what is returned.
const OPTION_NUMBERS = { SO_EXCLUSIVEADDRUSE: "-5", SO_EXCLBIND: "0x1015", SO_REUSEPORT_LB: "0x10000" };

function callsOf(text) {
  return text.split(" ").map((word) => {
    const [, target, name, value] = /^([^.=]+)(?:\.([a-z0-9_]+))?(?:=(.*))?$/.exec(word) || [];
    if (target === "user") return { kind: "user", value };
    if (target === "deliver") return { kind: "deliver", value };
    if (!name) {
      const child = /^(\w+)\.accept$/.exec(value);
      return child ? { kind: "accept", socket: target, from: child[1] } : { kind: "socket", socket: target, value };
    }
    if (["bind", "connect", "join"].includes(name)) return { kind: name, socket: target, value };
    if (["listen", "close", "read"].includes(name)) return { kind: name, socket: target };
    return { kind: "option", socket: target, name, value };
  });
}

function pythonProgram(text, options) {
  const lines = ["import os, socket, sys", "", "port = int(sys.argv[1]) if len(sys.argv) > 1 else 50123", ""];
  lines.push("def step(name, call, *values):", "    try:", "        result = call(*values)", '        print(f"{name}: ok")');
  lines.push("        return result", "    except OSError as error:", '        print(f"{name}: {error}")', "");
  const calls = callsOf(text);
  for (const call of calls) {
    const { kind, socket, value, name } = call;
    const shown = JSON.stringify([socket, kind === "option" ? name : kind, value].filter(Boolean).join(" "));
    if (kind === "socket") {
      lines.push(`${socket} = socket.socket(socket.AF_INET${value.endsWith("6") ? "6" : ""}, socket.SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"})`);
    } else if (kind === "option") {
      const constant = options[name];
      const level = name === "v6only" ? "socket.IPPROTO_IPV6" : "socket.SOL_SOCKET";
      const number = constant in OPTION_NUMBERS ? `getattr(socket, "${constant}", ${OPTION_NUMBERS[constant]})` : `socket.${constant}`;
      lines.push(`step(${shown}, ${socket}.setsockopt, ${level}, ${number}, ${value})`);
    } else if (kind === "bind" || kind === "connect") {
      lines.push(`step(${shown}, ${socket}.${kind}, ("${value}", port))`);
    } else if (kind === "listen") {
      lines.push(`step(${shown}, ${socket}.listen)`);
    } else if (kind === "accept") {
      lines.push(`${socket}, _ = ${call.from}.accept()`);
    } else if (kind === "read") {
      lines.push(`while ${socket}.recv(1024): pass`);
    } else if (kind === "close") {
      lines.push(`${socket}.close()`);
    } else if (kind === "join") {
      lines.push(`step(${shown}, ${socket}.setsockopt, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("${value}") + socket.inet_aton("127.0.0.1"))`);
    } else if (kind === "user") {
      lines.push(`os.seteuid(${value})  # run as root`);
    } else if (kind === "deliver") {
      lines.push("", ...pythonDelivery(calls, value));
    }
  }
  return lines.join("\n") + "\n";
}

function pythonDelivery(calls, address) {
  const datagrams = calls.some((call) => call.kind === "socket" && call.value.startsWith("udp"));
  const open = calls.filter((call) => call.kind === "socket" && !calls.some((one) => one.kind === "close" && one.socket === call.socket));
  const sockets = open.map((call) => `"${call.socket}": ${call.socket}`).join(", ");
  const family = address.includes(":") ? "AF_INET6" : "AF_INET";
  const lines = ["import collections, select", `sockets = {${sockets}}`, "received, clients = collections.Counter(), []", "for _ in range(32):"];
  lines.push(`    client = socket.socket(socket.${family}, socket.SOCK_${datagrams ? "DGRAM" : "STREAM"})`);
  if (address.startsWith("224.")) lines.push('    client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))');
  lines.push(datagrams ? `    client.sendto(b"x", ("${address}", port))` : `    client.connect(("${address}", port))`, "    clients.append(client)");
  lines.push("while ready := select.select(list(sockets.values()), [], [], 0.2)[0]:", "    for name, one in sockets.items():", "        if one in ready:");
  lines.push(datagrams ? "            one.recv(16)" : "            clients.append(one.accept()[0])", "            received[name] += 1");
  lines.push('print("received:", dict(received))');
  return lines;
}

function cProgram(text, options) {
  const calls = callsOf(text);
  const lines = ["#include <arpa/inet.h>", "#include <errno.h>", "#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>", "#include <sys/socket.h>", "#include <netinet/in.h>", "#include <unistd.h>", ""];
  lines.push("static int port = 50123;", "", "static void said(const char *name, int result)", "{", '\tprintf("%s: %s\\n", name, result < 0 ? strerror(errno) : "ok");', "}", "");
  lines.push("static void set(const char *name, int fd, int level, int option, int value)", "{", "\tsaid(name, setsockopt(fd, level, option, &value, sizeof value));", "}", "");
  lines.push("static void use(const char *name, int fd, int (*call)(int, const struct sockaddr *, socklen_t), const char *address)", "{");
  lines.push("\tstruct sockaddr_in six4 = {.sin_family = AF_INET, .sin_port = htons(port)};".replace("six4", "in4"));
  lines.push("\tstruct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};");
  lines.push("\tif (inet_pton(AF_INET, address, &in4.sin_addr) == 1)", "\t\tsaid(name, call(fd, (struct sockaddr *)&in4, sizeof in4));");
  lines.push("\telse if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)", "\t\tsaid(name, call(fd, (struct sockaddr *)&in6, sizeof in6));", "}", "");
  lines.push("int main(int argc, char **argv)", "{", "\tif (argc > 1)", "\t\tport = atoi(argv[1]);");
  for (const call of calls) {
    const { kind, socket, value, name } = call;
    const shown = JSON.stringify([socket, kind === "option" ? name : kind, value].filter(Boolean).join(" "));
    if (kind === "socket") lines.push(`\tint ${socket} = socket(AF_INET${value.endsWith("6") ? "6" : ""}, SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"}, 0);`);
    if (kind === "option") lines.push(`\tset(${shown}, ${socket}, ${name === "v6only" ? "IPPROTO_IPV6" : "SOL_SOCKET"}, ${options[name]}, ${value});`);
    if (kind === "bind" || kind === "connect") lines.push(`\tuse(${shown}, ${socket}, ${kind}, "${value}");`);
    if (kind === "listen") lines.push(`\tsaid(${shown}, listen(${socket}, 16));`);
    if (kind === "accept") lines.push(`\tint ${socket} = accept(${call.from}, NULL, NULL);`);
    if (kind === "read") lines.push(`\tfor (char byte; read(${socket}, &byte, 1) > 0;)`, "\t\t;");
    if (kind === "close") lines.push(`\tclose(${socket});`);
    if (kind === "user") lines.push(`\tsaid(${shown === '"user"' ? '"user"' : `"seteuid ${value}"`}, seteuid(${value})); /* run as root */`);
    if (kind === "join") lines.push("\t{", `\t\tstruct ip_mreq group = {.imr_multiaddr.s_addr = inet_addr("${value}"), .imr_interface.s_addr = inet_addr("127.0.0.1")};`, `\t\tsaid(${shown}, setsockopt(${socket}, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group));`, "\t}");
    if (kind === "deliver") lines.push(`\t/* the Python program sends to ${value} and says who receives */`);
  }
  lines.push("\treturn 0;", "}");
  return lines.join("\n") + "\n";
}

function shellCommand(text) {
  return `bindmatrix ask '${text}'`;
}
