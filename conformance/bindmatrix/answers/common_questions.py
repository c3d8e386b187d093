"""What people ask most, each as a line for ``ask`` and as a preset of the explorer.

Ranked by how often it is asked in public issue trackers.  ``ask`` without arguments prints the lines.
"""

from __future__ import annotations

from typing import NamedTuple


class CommonQuestion(NamedTuple):
    """``line``: the words after the verb ``ask``; ``preset``: the question of the explorer that answers it."""

    question: str
    line: str
    preset: str


COMMON_QUESTIONS: tuple[CommonQuestion, ...] = (
    CommonQuestion(
        "Does a second bind succeed, and must both set the option?",
        "udp 0.0.0.0 / reuseaddr",
        "Is it enough that the second one sets it? UDP",
    ),
    CommonQuestion(
        "Both succeed: who gets the connection?",
        "tcp reuseport 0.0.0.0 receives",
        "Who gets the connection? SO_REUSEPORT",
    ),
    CommonQuestion(
        "Can another user take my port?",
        "tcp listen 0.0.0.0 / listen reuseaddr 127.0.0.1 other-user",
        "Can somebody steal my port?",
    ),
    CommonQuestion(
        "Which call fails, and with which error?", "tcp listen 0.0.0.0", "Which call fails, and with which error?"
    ),
    CommonQuestion(
        "Can I restart my server at once?", "tcp reuseaddr 0.0.0.0 restart", "Can I restart at once, with SO_REUSEADDR?"
    ),
    CommonQuestion("[::] and then 0.0.0.0?", "tcp [::]:8080 0.0.0.0:8080 receives", "[::] and then 0.0.0.0"),
    CommonQuestion(
        "A wildcard and a specific address together?",
        "tcp reuseaddr 0.0.0.0 127.0.0.1 receives",
        "... with SO_REUSEADDR on both",
    ),
    CommonQuestion(
        "Does the option exist, and does it do anything?",
        "tcp reuseport_lb 0.0.0.0 3 workers",
        "Several workers, SO_REUSEPORT_LB (FreeBSD)",
    ),
    CommonQuestion(
        "Port 0 with a reuse option?", "udp reuseaddr 0.0.0.0:0", "Two ports that the kernel chooses: the same one?"
    ),
    CommonQuestion(
        "Several workers, each with a socket of its own?",
        "tcp reuseport 0.0.0.0 3 workers",
        "Several workers on one port, SO_REUSEPORT",
    ),
    CommonQuestion(
        "One sets SO_REUSEADDR, the other SO_REUSEPORT?",
        "udp reuseaddr 0.0.0.0 / reuseport",
        "One sets SO_REUSEADDR, the other SO_REUSEPORT",
    ),
    CommonQuestion(
        "The option is set after bind(): too late?",
        "tcp reuseport 0.0.0.0 after-bind",
        "Both set the option after bind(): too late?",
    ),
    CommonQuestion(
        "Since which release?",
        "tcp dual [::] 0.0.0.0 receives --os windows",
        "[::] for both families, then 0.0.0.0",
    ),
    CommonQuestion(
        "Multicast: two programs in one group (mDNS)?",
        "udp reuseaddr 224.0.0.251 receives",
        "mDNS: two programs bound to the group's address",
    ),
    CommonQuestion(
        "The same in a gVisor container, or under Wine?",
        "tcp reuseport 0.0.0.0 who --os linux --os gvisor --os wine",
        "Who gets the connection? SO_REUSEPORT",
    ),
)
