"""The named settings of quality against lag against cost, and the languages that people may name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from models.errors import InputError
from models.whisper import LANGUAGES, Context
from pipeline.budget import GPU, Budgets
from pipeline.recognise import RecogniseConfig

FILE_STEP_S = 4.0  # between passes where nobody waits for the next word
FILE_BEAMS = 5  # hypotheses that are followed at once there, as faster-whisper does
NEVER_SURE = 2.0  # above any probability: agreement alone commits


@dataclass(frozen=True, slots=True)
class Preset:
    recognise: RecogniseConfig
    context: Context


PRESETS = {
    "fast": Preset(
        RecogniseConfig(step_s=0.45, longest_s=6.0, keep_s=2.0, sure_above=0.5, sure_guard_s=0.2),
        Context(3.0, 0.5),
    ),
    "balanced": Preset(RecogniseConfig(), Context(3.0, 0.5)),
    "accurate": Preset(
        RecogniseConfig(step_s=1.0, longest_s=12.0, keep_s=3.0, sure_above=0.9, sure_guard_s=0.5), Context(8.0, 1.0)
    ),
}
OFFLINE = RecogniseConfig(step_s=FILE_STEP_S, longest_s=12.0, keep_s=3.0, sure_above=NEVER_SURE)


def budgets(device: str) -> Budgets:
    """What each stage may take where the recogniser runs on `device`."""
    return GPU if device == "cuda" else Budgets()


def source_language(code: str) -> str:
    """`auto` or a language that Whisper recognises. Raises `InputError` `unknown-language`."""
    plain = code.casefold().split("-")[0]
    if plain == "auto" or plain in LANGUAGES:
        return plain
    close = difflib.get_close_matches(plain, LANGUAGES, 3)
    advice = f"did you mean {', '.join(close)}?" if close else "codes are as in en, pt, ja."
    raise InputError("unknown-language", f"'{code}' is no language that can be recognised; {advice}")


def target_languages(codes: str) -> list[str]:
    """Codes between commas. Raises `InputError` `unknown-language`."""
    targets = [code.strip() for code in codes.split(",") if code.strip()]
    if not targets:
        raise InputError("unknown-language", "No language is named to translate into; name one, as in --to pt.")
    for code in targets:
        if source_language(code) == "auto":
            raise InputError("unknown-language", "'auto' is no language to translate into; name one, as in --to pt.")
    return list(dict.fromkeys(source_language(code) for code in targets))
