"""A real terminal, 80×24 unless another size is wanted: tmux, whose screen can be read and photographed."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tests.desk.room import wait_until

PROMPT = "ready>"


class Terminal:
    """A shell in `environment`. Use it as a context."""

    def __init__(self, environment: dict[str, str], folder: Path, columns: int = 80, lines: int = 24) -> None:
        self._folder = folder
        self._socket = str(folder / "tmux")
        self._environment = {**environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        size = ("-x", str(columns), "-y", str(lines))
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, f"env PS1='{PROMPT}' bash --norc --noprofile")
        self._pictures = 0

    def __enter__(self) -> Terminal:
        wait_until(lambda: PROMPT in self.screen(), 10, "the shell")
        return self

    def __exit__(self, *_: object) -> None:
        print(self.screen())  # pytest shows it where a test failed
        self._tmux("kill-server", check=False)

    def run(self, *command: str) -> None:
        self.type(shlex.join(command))
        self.press("Enter")

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Named as tmux does: Enter, Escape, C-c."""
        self._tmux("send-keys", *keys)

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p")

    def shows(self, text: str, seconds: float = 10.0) -> None:
        """Waits until it does."""
        wait_until(lambda: text in self.screen(), seconds, f"'{text}' on the screen:\n{self.screen()}")

    def picture(self, name: str) -> str:
        """The screen, also with its attributes in a file, for people to look at: `cat` shows it."""
        self._pictures += 1
        path = self._folder / f"{self._pictures:02}-{name}.ansi"
        path.write_text(self._tmux("capture-pane", "-p", "-e"), "utf-8")
        return self.screen()

    @property
    def modes(self) -> str:
        """What a program that ends badly leaves behind: the other screen, no cursor, a mouse that reports."""
        return self._tmux("display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}").strip()

    def ask(self, command: str) -> str:
        """What a command in the shell prints."""
        path = self._folder / "answer"
        path.unlink(missing_ok=True)
        self.type(f"{command} > {path}.part; mv {path}.part {path}")
        self.press("Enter")
        wait_until(path.exists, 10, command)
        return path.read_text("utf-8").strip()

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=20,
        )
        return done.stdout
