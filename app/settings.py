"""Settings, each from the first place that states it: flag, environment `TSUYAKU_*`, TOML file, default."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import msgspec
import platformdirs

from models.errors import InputError

PREFIX = "TSUYAKU_"

Count = Annotated[int, msgspec.Meta(ge=1, le=256)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a person may choose once for all commands. A flag has the same name, with hyphens."""

    source_language: str = "auto"
    target_languages: tuple[str, ...] = ()
    whisper: str = "base"
    """size of the recogniser, as in `tsuyaku models list`"""
    preset: Literal["fast", "balanced", "accurate"] = "balanced"
    compute_type: str = "int8"
    """of CTranslate2"""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    threads: Count = min(4, os.cpu_count() or 2)
    """of the recogniser"""
    translator: Literal["auto", "firefox", "llama"] = "auto"
    llama_url: str = "http://127.0.0.1:8000/v1"
    llama_model: str = ""
    """the only one the server has where empty"""
    llama_key: str = ""
    """API key of the server; `tsuyaku config show` does not print it"""
    llama_priority: bool = False
    """the server schedules by priority, as one does that `tsuyaku llama serve` started"""
    llama_concurrency: Count = 16
    """requests to the server at once; more wait here"""
    glossary: str = ""
    """a TOML, CSV or TBX file of terms"""
    context: str = ""
    """the occasion in a line, for Llama"""
    register: tuple[str, ...] = ()
    """formal or informal; `de=formal` for one target language"""
    voice: Literal["auto", "piper", "kokoro", "espeak"] = "auto"
    host: str = "127.0.0.1"
    port: Port = 8080
    log_level: Literal["debug", "info", "warning", "error"] = "warning"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings and where each came from: `flag --port`, `environment TSUYAKU_PORT`, `file …`, `default`."""

    settings: Settings
    origins: Mapping[str, str]
    path: Path
    """the TOML file that was looked for"""


def resolve(flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Resolved:
    """`flags` by setting name; None is a flag that was not given.

    Raises `InputError`: `config-missing`, `config-syntax`, `config-unknown-key`, `config-invalid`.
    """
    environ = os.environ if environ is None else environ
    path = config_path(environ)
    file = _read(path, required=PREFIX + "CONFIG" in environ)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, kind in get_type_hints(Settings, include_extras=True).items():
        variable = PREFIX + name.upper()
        if (flag := (flags or {}).get(name)) is not None:
            origin, value, strict = f"flag --{name.replace('_', '-')}", flag, True
        elif variable in environ:
            origin, value, strict = f"environment {variable}", _listed(environ[variable], kind), False
        elif name in file:
            origin, value, strict = f"file {path}", file[name], True
        else:
            origins[name] = "default"
            continue
        values[name] = _convert(name, value, kind, origin, strict=strict)
        origins[name] = origin
    return Resolved(Settings(**values), origins, path)


def config_path(environ: Mapping[str, str]) -> Path:
    if stated := environ.get(PREFIX + "CONFIG"):
        return Path(stated).expanduser()
    return platformdirs.user_config_path("tsuyaku", appauthor=False) / "config.toml"


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if required:
            raise InputError("config-missing", f"There is no settings file {path}; check TSUYAKU_CONFIG.") from error
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("config-syntax", f"The settings file {path} is not TOML: {error}.") from error
    except OSError as error:
        raise InputError("config-missing", f"The settings file {path} cannot be read; check it.") from error
    for key in values:
        _check_known(key, path)
    return values


def _check_known(key: str, path: Path) -> None:
    known = Settings.__struct_fields__
    if key in known:
        return
    close = difflib.get_close_matches(key.replace("-", "_"), known, 1)
    advice = f"did you mean '{close[0]}'?" if close else "tsuyaku config show lists them all."
    raise InputError("config-unknown-key", f"There is no setting '{key}' ({path}); {advice}")


def _listed(text: str, kind: Any) -> Any:
    """An environment variable holds a list as words between commas."""
    if kind != tuple[str, ...]:
        return text
    return [word.strip() for word in text.split(",") if word.strip()]


def _convert(name: str, value: object, kind: Any, origin: str, *, strict: bool) -> object:
    if isinstance(value, tuple):
        value = list(cast("tuple[object, ...]", value))
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        reason = f"it is one of {', '.join(choices)}" if choices else str(error).replace("`", "'")
        raise InputError("config-invalid", f"The setting '{name}' from {origin} is wrong: {reason}.") from error
