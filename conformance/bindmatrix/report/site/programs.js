// A scenario as a program to copy, one line a call.  `bindmatrix reproduce` writes programs that also check what is returned.
const OPTION_NUMBERS = { SO_EXCLUSIVEADDRUSE: "-5", SO_EXCLBIND: "0x1015", SO_REUSEPORT_LB: "0x10000" };

function callsOf(text) {
  const remote = new Set();
  return text.split(" ").map((word) => {
    const call = callOfWord(word);
    if (call.kind === "socket" && call.value.startsWith("remote")) remote.add(call.socket);
    return { ...call, remote: remote.has(call.socket) };
  });
}

function callOfWord(word) {
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
}

function pythonProgram(text, options) {
  const lines = ["import os, socket, sys", "", "port = int(sys.argv[1]) if len(sys.argv) > 1 else 50123", ""];
  lines.push("def step(name, call, *values):", "    try:", "        result = call(*values)", '        print(f"{name}: ok")');
  lines.push("        return result", "    except OSError as error:", '        print(f"{name}: {error}")', "");
  const calls = callsOf(text);
  for (const call of calls) {
    const { kind, socket, value, name } = call;
    const shown = wordsOf(call);
    if (call.remote) {
      lines.push(remoteLine(call, "#"));
    } else if (kind === "socket") {
      lines.push(`${socket} = socket.socket(socket.AF_INET${value.endsWith("6") ? "6" : ""}, socket.SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"})`);
    } else if (kind === "option") {
      const constant = options[name];
      const level = name === "v6only" ? "socket.IPPROTO_IPV6" : "socket.SOL_SOCKET";
      const number = constant in OPTION_NUMBERS ? `getattr(socket, "${constant}", ${OPTION_NUMBERS[constant]})` : `socket.${constant}`;
      lines.push(`step(${shown}, ${socket}.setsockopt, ${level}, ${number}, ${value})`);
    } else if (kind === "bind" || kind === "connect") {
      lines.push(`step(${shown}, ${socket}.${kind}, (${addressOf(value)}))`);
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
  const lacking = Object.keys(OPTION_NUMBERS).filter((name) => calls.some((call) => call.kind === "option" && options[call.name] === name));
  for (const name of lacking) lines.push(`#ifndef ${name}`, `#define ${name} ${OPTION_NUMBERS[name]}`, "#endif", "");
  lines.push("static int port = 50123;", "", "static void said(const char *name, int result)", "{", '\tprintf("%s: %s\\n", name, result < 0 ? strerror(errno) : "ok");', "}", "");
  lines.push("static void set(const char *name, int fd, int level, int option, int value)", "{", "\tsaid(name, setsockopt(fd, level, option, &value, sizeof value));", "}", "");
  lines.push("static void use(const char *name, int fd, int (*call)(int, const struct sockaddr *, socklen_t), const char *address, int port)", "{");
  lines.push("\tstruct sockaddr_in six4 = {.sin_family = AF_INET, .sin_port = htons(port)};".replace("six4", "in4"));
  lines.push("\tstruct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};");
  lines.push("\tif (inet_pton(AF_INET, address, &in4.sin_addr) == 1)", "\t\tsaid(name, call(fd, (struct sockaddr *)&in4, sizeof in4));");
  lines.push("\telse if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)", "\t\tsaid(name, call(fd, (struct sockaddr *)&in6, sizeof in6));", "}", "");
  lines.push("int main(int argc, char **argv)", "{", "\tif (argc > 1)", "\t\tport = atoi(argv[1]);");
  for (const call of calls) {
    const { kind, socket, value, name } = call;
    const shown = wordsOf(call);
    if (call.remote) {
      lines.push(`\t/* ${remoteLine(call, "").trim()} */`);
      continue;
    }
    if (kind === "socket") lines.push(`\tint ${socket} = socket(AF_INET${value.endsWith("6") ? "6" : ""}, SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"}, 0);`);
    if (kind === "option") lines.push(`\tset(${shown}, ${socket}, ${name === "v6only" ? "IPPROTO_IPV6" : "SOL_SOCKET"}, ${options[name]}, ${value});`);
    if (kind === "bind" || kind === "connect") lines.push(`\tuse(${shown}, ${socket}, ${kind}, ${addressOf(value)});`);
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

// What a program prints of a call.
function wordsOf({ kind, socket, name, value }) {
  return JSON.stringify([socket, kind === "option" ? name : kind, value].filter(Boolean).join(" "));
}

const GO_OPTIONS = { SO_REUSEADDR: "syscall.SO_REUSEADDR", SO_REUSEPORT: "reuseport", SO_REUSEPORT_LB: "0x10000", SO_EXCLUSIVEADDRUSE: "^syscall.SO_REUSEADDR", SO_EXCLBIND: "0x1015", IPV6_V6ONLY: "syscall.IPV6_V6ONLY" };

function goProgram(text, options) {
  const bytes = (address) => `[4]byte{${address.replaceAll(".", ", ")}}`;
  const calls = callsOf(text);
  const sockets = `package main

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"syscall"
)

func step(name string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\\n", name, err)
	} else {
		fmt.Printf("%s: ok\\n", name)
	}
}

func at(address string, port int) syscall.Sockaddr {
	ip := netip.MustParseAddr(address)
	if ip.Is4() {
		return &syscall.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	return &syscall.SockaddrInet6{Port: port, Addr: ip.As16()}
}

func main() {
	port := 50123
	if len(os.Args) > 1 {
		port, _ = strconv.Atoi(os.Args[1])
	}
	reuseport := 0x200
	if runtime.GOOS == "linux" {
		reuseport = 0xf // package syscall has no name for it
	}
	_ = reuseport
`;
  const lines = calls.map((call) => {
    const { kind, socket, value, name } = call;
    const said = (made) => `\tstep(${wordsOf(call)}, ${made})`;
    if (call.remote) return remoteLine(call, "\t//");
    return {
      socket: () => `\t${socket}, err := syscall.Socket(syscall.AF_INET${value.endsWith("6") ? "6" : ""}, syscall.SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"}, 0)\n\tstep("${socket} socket", err)`,
      option: () => said(`syscall.SetsockoptInt(${socket}, syscall.${name === "v6only" ? "IPPROTO_IPV6" : "SOL_SOCKET"}, ${GO_OPTIONS[options[name]]}, ${value})`),
      bind: () => said(`syscall.Bind(${socket}, at(${addressOf(value)}))`),
      connect: () => said(`syscall.Connect(${socket}, at(${addressOf(value)}))`),
      listen: () => said(`syscall.Listen(${socket}, 16)`),
      accept: () => `\t${socket}, _, err := syscall.Accept(${call.from})\n\tstep("${socket} accept", err)`,
      read: () => `\tfor buffer := make([]byte, 1024); ; {\n\t\tif n, err := syscall.Read(${socket}, buffer); n <= 0 || err != nil {\n\t\t\tbreak\n\t\t}\n\t}`,
      close: () => `\tsyscall.Close(${socket})`,
      join: () => said(`syscall.SetsockoptIPMreq(${socket}, syscall.IPPROTO_IP, syscall.IP_ADD_MEMBERSHIP, &syscall.IPMreq{Multiaddr: ${bytes(value)}, Interface: [4]byte{127, 0, 0, 1}})`),
      user: () => `\tstep("seteuid ${value}", syscall.Setreuid(-1, ${value})) // run as root`,
      deliver: () => `\t// the Python program sends to ${value} and says who receives`,
    }[kind]();
  });
  return `${sockets}${lines.join("\n")}\n}\n`;
}

// std sets no option before bind(), so the functions of the C library are declared; the numbers are those of NUMBERS in snippets.py.
const RUST_HEAD = `#![allow(dead_code)] // for Unix
use std::io::Error;
use std::net::IpAddr;

extern "C" {
    fn socket(family: i32, kind: i32, protocol: i32) -> i32;
    fn setsockopt(fd: i32, level: i32, option: i32, value: *const u8, length: u32) -> i32;
    fn bind(fd: i32, address: *const u8, length: u32) -> i32;
    fn connect(fd: i32, address: *const u8, length: u32) -> i32;
    fn listen(fd: i32, backlog: i32) -> i32;
    fn accept(fd: i32, address: *mut u8, length: *mut u32) -> i32;
    fn read(fd: i32, buffer: *mut u8, size: usize) -> isize;
    fn close(fd: i32) -> i32;
    fn seteuid(user: u32) -> i32;
}

const LINUX: bool = cfg!(target_os = "linux");
const ILLUMOS: bool = cfg!(target_os = "illumos");
const fn number(linux: i32, other: i32) -> i32 {
    if LINUX { linux } else { other }
}
const AF_INET: i32 = 2;
const AF_INET6: i32 = number(10, if cfg!(target_os = "macos") { 30 } else if ILLUMOS { 26 } else if cfg!(any(target_os = "freebsd", target_os = "dragonfly")) { 28 } else { 24 });
const SOCK_STREAM: i32 = if ILLUMOS { 2 } else { 1 };
const SOCK_DGRAM: i32 = if ILLUMOS { 1 } else { 2 };
const SOL_SOCKET: i32 = number(1, 0xffff);
const IPPROTO_IPV6: i32 = 41;
const SO_REUSEADDR: i32 = number(2, 4);
const SO_REUSEPORT: i32 = number(15, if ILLUMOS { 0x2004 } else { 0x200 });
const SO_REUSEPORT_LB: i32 = 0x10000;
const SO_EXCLUSIVEADDRUSE: i32 = -5;
const SO_EXCLBIND: i32 = 0x1015;
const IPV6_V6ONLY: i32 = number(26, if ILLUMOS { 0x27 } else { 27 });
const IP_ADD_MEMBERSHIP: i32 = number(35, if ILLUMOS { 19 } else { 12 });

fn step(name: &str, result: i32) -> i32 {
    match result {
        0.. => println!("{name}: ok"),
        _ => println!("{name}: {}", Error::last_os_error()),
    }
    result
}

fn set(fd: i32, level: i32, option: i32, value: &[u8]) -> i32 {
    unsafe { setsockopt(fd, level, option, value.as_ptr(), value.len() as u32) }
}

fn to(call: unsafe extern "C" fn(i32, *const u8, u32) -> i32, fd: i32, address: &str, port: u16) -> i32 {
    let (family, size, place, ip) = match address.parse().unwrap() {
        IpAddr::V4(ip) => (AF_INET, 16, 4, ip.octets().to_vec()),
        IpAddr::V6(ip) => (AF_INET6, 28, 8, ip.octets().to_vec()),
    };
    let mut made = vec![0u8; size];
    if LINUX || ILLUMOS {
        made[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    } else {
        made[..2].copy_from_slice(&[size as u8, family as u8]);
    }
    made[2..4].copy_from_slice(&port.to_be_bytes());
    made[place..place + ip.len()].copy_from_slice(&ip);
    unsafe { call(fd, made.as_ptr(), size as u32) }
}

fn main() {
    let port: u16 = std::env::args().nth(1).map_or(50123, |word| word.parse().unwrap());
`;

function rustProgram(text, options) {
  const lines = callsOf(text).map((call) => {
    const { kind, socket, value, name } = call;
    const said = (made) => `    step(${wordsOf(call)}, ${made});`;
    if (call.remote) return remoteLine(call, "    //");
    return {
      socket: () => `    let ${socket} = step("${socket} socket", unsafe { socket(AF_INET${value.endsWith("6") ? "6" : ""}, SOCK_${value.startsWith("tcp") ? "STREAM" : "DGRAM"}, 0) });`,
      option: () => said(`set(${socket}, ${name === "v6only" ? "IPPROTO_IPV6" : "SOL_SOCKET"}, ${options[name]}, &${value}i32.to_ne_bytes())`),
      bind: () => said(`to(bind, ${socket}, ${addressOf(value)})`),
      connect: () => said(`to(connect, ${socket}, ${addressOf(value)})`),
      listen: () => said(`unsafe { listen(${socket}, 16) }`),
      accept: () => `    let ${socket} = step("${socket} accept", unsafe { accept(${call.from}, std::ptr::null_mut(), std::ptr::null_mut()) });`,
      read: () => `    while unsafe { read(${socket}, [0u8; 1024].as_mut_ptr(), 1024) } > 0 {}`,
      close: () => `    unsafe { close(${socket}) };`,
      join: () => said(`set(${socket}, 0, IP_ADD_MEMBERSHIP, &[${value.replaceAll(".", ", ")}, 127, 0, 0, 1])`),
      user: () => `    step("seteuid ${value}", unsafe { seteuid(${value}) }); // run as root`,
      deliver: () => `    // the Python program sends to ${value} and says who receives`,
    }[kind]();
  });
  return `${RUST_HEAD}${lines.join("\n")}\n}\n`;
}

// The two arguments of an address: 'address,0' lets the kernel choose the port.
function addressOf(value) {
  return `"${value.split(",")[0]}", ${value.endsWith(",0") ? 0 : "port"}`;
}

// The client of another host is no socket of the program: it says when to connect from there.
function remoteLine({ kind, socket }, comment) {
  if (kind === "socket") return `${comment} ${socket} is a client on another host: run 'nc HOST 50123' there, accept() waits for it`;
  return `${comment} ${socket} ${kind}: on the other host`;
}

function shellCommand(text) {
  return `bindmatrix ask '${text}'`;
}
