"""Runs the package as if on Windows, as far as Linux can tell: `python without_posix.py COMMAND…` is `lstmlm COMMAND…`.

Modules of the package find no module, function or signal that only POSIX has, another `sys.platform`, and an `os` that
refuses what Windows refuses: directories opened as files, files opened as text, names taken from open files or given a
second time, and others' reading of what is locked. Python's own library and other packages stay as they are.
"""

import builtins
import errno
import importlib
import importlib.util
import mmap
import os
import pkgutil
import signal
import sys
import types
import warnings
from pathlib import Path
from typing import Any

POSIX_MODULES = "fcntl grp posix pty pwd resource syslog termios tty".split()

POSIX_NAMES = {
    os: "O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE WNOHANG chown "
    "chroot confstr ctermid fchdir fchmod fchown fdatasync fork forkpty fstatvfs getegid geteuid getgid getgroups "
    "getloadavg getpgid getpgrp getpriority getresuid getsid getuid killpg lchown lockf mkfifo mknod nice openpty "
    "pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev readv "
    "register_at_fork sched_getaffinity sched_setaffinity sched_yield sendfile setpgid setsid setuid statvfs sync "
    "sysconf tcgetpgrp ttyname uname wait wait3 wait4 waitid writev",
    signal: "SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGTTIN SIGTTOU "
    "SIGUSR1 SIGUSR2 SIGXCPU SIGXFSZ alarm pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending "
    "sigwait",
    mmap: "MAP_ANON MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED PROT_EXEC PROT_READ PROT_WRITE",
}

O_BINARY = 0x8000
"""As Windows defines it."""


def open_file(path: Any, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does."""
    assert flags & O_BINARY, f"{path} is opened as text, whose line ends would change"
    if Path(path).is_dir():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return os.open(path, flags & ~O_BINARY, mode)


def read(descriptor: int, n_bytes: int) -> bytes:
    """Read from a file as `os.read` does; the first byte of a lock file is locked."""
    is_locked = Path(f"/proc/self/fd/{descriptor}").readlink().name == "lock"
    if is_locked and os.lseek(descriptor, 0, os.SEEK_CUR) == 0:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return os.read(descriptor, n_bytes)


def rename(old: Path, new: Path) -> None:
    """Rename as `os.rename` does, but to no name that is taken."""
    if new.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), old, None, new)
    old.rename(new)


def replace(old: Path, new: Path) -> None:
    """Rename as `os.replace` does, but no directory."""
    if new.is_dir():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), old, None, new)
    old.replace(new)


def refuse_open_files(event: str, arguments: tuple[Any, ...]) -> None:
    """Let nothing that this process has open below the working directory lose its name (an audit hook)."""
    if event not in ("os.rename", "os.remove", "os.rmdir"):
        return
    here = Path.cwd()
    opened = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    for path in (Path(here, name) for name in arguments[:2] if isinstance(name, str | Path)):
        if here in path.parents and any(path == file or path in file.parents for file in opened):
            raise PermissionError(errno.EACCES, f"{path} is open in this process")


def without_posix(module: types.ModuleType, **stand_ins: Any) -> types.ModuleType:
    """Return a copy of a module that has what Windows has."""
    hidden = POSIX_NAMES.get(module, "").split()
    assert not (unknown := [name for name in hidden if not hasattr(module, name)]), unknown
    copy = types.ModuleType(module.__name__)
    vars(copy).update({name: value for name, value in vars(module).items() if name not in hidden}, **stand_ins)
    return copy


def hide_posix() -> None:
    """Let the modules of the package, which must not be imported yet, find Windows."""
    modules = {
        "os": without_posix(
            os, name="nt", O_BINARY=O_BINARY, open=open_file, read=read, rename=rename, replace=replace
        ),
        "signal": without_posix(signal),
        "mmap": without_posix(mmap),
        "sys": without_posix(sys, platform="win32"),
    }
    real_import = builtins.__import__

    def import_as_on_windows(name: str, *arguments: Any, **options: Any) -> Any:
        importer = arguments[0] if arguments else None
        if importer and str(importer.get("__name__")).partition(".")[0] == "lstmlm":
            if name.partition(".")[0] in POSIX_MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in modules:
                return modules[name]
        return real_import(name, *arguments, **options)

    builtins.__import__ = import_as_on_windows
    sys.addaudithook(refuse_open_files)
    # Text files of the package say that they are UTF-8, which is not what Windows takes them for.
    warnings.simplefilter("ignore", EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module="lstmlm")


NEEDED = {"lstmlm.huggingface": "transformers", "lstmlm.api.harness": "lm_eval"}
"""What modules need that an extra installs."""


def import_all() -> list[str]:
    """Import every module of the package, but for what needs an extra that is not installed; return their names."""
    left_out = [module for module, package in NEEDED.items() if not importlib.util.find_spec(package)]

    def refuse_others(name: str) -> None:
        if name not in left_out:
            raise  # noqa: PLE0704 (what walk_packages has caught)

    package = importlib.import_module("lstmlm")
    names = [found.name for found in pkgutil.walk_packages(package.__path__, "lstmlm.", refuse_others)]
    for name in names:
        if not name.endswith("__main__") and name not in left_out:
            importlib.import_module(name)
    return names


def stop_after(step: int) -> None:
    """Let a training be interrupted by Ctrl-C after a step."""
    from lstmlm.training.trainer import Trainer

    train_step = Trainer.train_step

    def last_step(self: Trainer) -> None:
        train_step(self)
        if self.state.step == step:
            signal.raise_signal(signal.SIGINT)

    Trainer.train_step = last_step  # type: ignore[method-assign]


if __name__ == "__main__":
    hide_posix()
    if len(sys.argv) == 1:
        sys.stdout.writelines(f"{name}\n" for name in import_all())
    else:
        if "STOP_AFTER" in os.environ:
            stop_after(int(os.environ["STOP_AFTER"]))
        from lstmlm.cli import main

        main()
