"""Takes away what Windows does not have, in each Python that has this folder first on its path."""

import os
import select
import signal
import socket
import subprocess
import sys

MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
NAMES = {
    os: (
        *(
            "fork",
            "forkpty",
            "getpgid",
            "killpg",
            "setpgid",
            "setsid",
            "mkfifo",
            "nice",
            "pread",
            "pwrite",
        ),
        *("sched_getaffinity", "sched_setaffinity"),
    ),
    select: ("epoll", "poll"),
    signal: ("SIGCHLD", "SIGHUP", "SIGKILL", "SIGSTOP", "SIGUSR1", "pthread_kill"),
    socket: ("AF_UNIX", "recv_fds", "send_fds", "socketpair"),
}

KILL = signal.SIGKILL
sys.modules.update(dict.fromkeys(MODULES))
for module, names in NAMES.items():
    for name in names:
        delattr(module, name)


class Popen(subprocess.Popen):
    """Starts, and ends, processes as Windows does."""

    def __init__(self, *args, pass_fds=(), start_new_session=False, preexec_fn=None, **options):
        assert not pass_fds, "pass_fds not supported on Windows."
        if start_new_session or preexec_fn is not None:
            raise ValueError("start_new_session and preexec_fn are not supported on Windows platforms")
        super().__init__(*args, **options)

    def send_signal(self, sig):
        if sig != signal.SIGTERM:
            raise ValueError(f"Unsupported signal: {sig}")
        super().send_signal(KILL)  # no handler hears it

    def kill(self):
        self.terminate()


subprocess.Popen = Popen
