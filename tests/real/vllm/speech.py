"""Clauses in several scripts, as a speaker says them: word by word."""

from __future__ import annotations

from collections.abc import Iterator

from models.llama import Deadlines, LlamaTranslator
from models.protocols import TranslationRequest
from pipeline.translate import split

from .server import VllmServer

CLAUSES = (
    ("en", "pt", "The train leaves at half past nine from platform four and the doctor asked for you."),
    ("en", "ja", "Please tell the patient that the results will be ready tomorrow morning."),
    ("pt", "en", "O comboio parte às nove e meia da plataforma quatro e a médica perguntou por si."),
    ("ja", "en", "電車は九時半に四番線から出発します。"),
    ("zh", "en", "火车九点半从四号站台出发，医生问您吃过饭没有。"),
    ("th", "en", "รถไฟออกเวลาเก้าโมงครึ่งจากชานชาลาที่สี่"),
    ("ar", "en", "يغادر القطار في التاسعة والنصف من الرصيف الرابع."),
    ("hi", "en", "ट्रेन साढ़े नौ बजे प्लेटफ़ॉर्म चार से निकलती है।"),
)
# What was said and translated before, as a session sends it with every request.
CONTEXT = (
    ("Good morning everyone, and thank you for coming so early today.", "Bom dia a todos, e obrigado por virem cedo."),
    ("We begin with the results of the first year of the study.", "Começamos com os resultados do primeiro ano."),
    ("They are better than any of us had expected a year ago.", "São melhores do que qualquer um de nós esperava."),
)
# The random model writes noise: no guard would let it pass, and it rarely ends by itself.
PATIENT = Deadlines(connect_s=5.0, total_s=30.0, stall_s=10.0)


def translator(server: VllmServer, deadlines: Deadlines = PATIENT, **more: object) -> LlamaTranslator:
    return LlamaTranslator(server.url, guard=None, deadlines=deadlines, server_priority=True, extra_body=more)


def steps(source: str, target: str, clause: str, count: int = 6) -> Iterator[TranslationRequest]:
    """The clause as it grows; the last request is final. Who asks fills in what is committed."""
    units = split(clause)
    for number in range(1, count + 1):
        text = "".join(units[: max(1, len(units) * number // count)])
        yield TranslationRequest(text, source, target, "", number == count, CONTEXT)
