"""How long a silence must be before it ends a turn: short after a short answer, long in the middle of a sentence."""

from __future__ import annotations

from pipeline.words import is_stop

ANSWER_WORDS = 2
AFTER_ANSWER_S = 0.35
AFTER_STOP_S = 0.45
OPEN_S = 0.65
AFTER_COMMA_S = 0.9
UNFINISHED_S = 1.1
HANDED_OVER_S = 0.2  # where somebody said that another speaks now

UNFINISHED = {
    "en": "a an the and or but because so that if when while of to in on at by for with from my your his is are was",
    "pt": "o a os as um uma e ou mas porque que se quando enquanto de do da em no na por para com meu minha é são",
    "es": "el la los las un una y o pero porque que si cuando mientras de del en por para con mi tu su es son era",
    "fr": "le la les un une et ou mais parce que si quand de du des en dans par pour avec mon ma est sont était",
    "de": "der die das ein eine und oder aber weil dass wenn als von zu in auf an bei für mit mein meine ist",
}
"""words after which a sentence goes on"""


def patience_s(text: str, language: str) -> float:
    """s of silence that end a turn whose text so far is `text`."""
    words = text.split()
    if not words:
        return OPEN_S
    last = words[-1].strip(".,;:…-").casefold()
    if is_stop(text) and not text.rstrip().endswith("..."):
        return AFTER_ANSWER_S if len(words) <= ANSWER_WORDS else AFTER_STOP_S
    if last in UNFINISHED.get(language, "").split():
        return UNFINISHED_S
    if text.rstrip()[-1] in ",;:、，…-" or text.rstrip().endswith("..."):
        return AFTER_COMMA_S
    return AFTER_ANSWER_S if len(words) == 1 and len(last) <= 4 else OPEN_S
