"""What a session is to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.briefing import NO_BRIEFING, Briefing
from pipeline.budget import BacklogConfig, Budgets
from pipeline.gate import GateConfig
from pipeline.recognise import RecogniseConfig
from pipeline.route import RouteConfig
from pipeline.segment import SegmentConfig
from pipeline.translate import TranslateConfig

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    source_language: str = AUTO
    candidates: tuple[str, ...] = ()
    """languages among which `auto` chooses; all where empty"""
    between: tuple[str, str] | None = None
    """two-way: each utterance is in one of these languages and is interpreted into the other; ends of turns are judged
    by what was said"""
    both_sides: bool = False
    """two-way: a language's captions also have what was said in it"""
    speaks_source: bool = True
    """a voice also speaks what was said in its own language; not where listeners hear the speaker"""
    route: RouteConfig = field(default_factory=RouteConfig)
    captions: frozenset[str] = frozenset()
    voices: frozenset[str] = frozenset()
    patient_voice: bool = False
    """nobody is spoken over, so that speech waits for more words than one that keeps up with a speaker"""
    live: bool = True
    budgets: Budgets = field(default_factory=Budgets)
    gate: GateConfig = field(default_factory=GateConfig)
    recognise: RecogniseConfig = field(default_factory=RecogniseConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    translate: TranslateConfig = field(default_factory=TranslateConfig)
    backlog: BacklogConfig = field(default_factory=BacklogConfig)
    briefing: Briefing = NO_BRIEFING
    capacity: int = 300
    """portions of audio that wait; live audio beyond it loses its oldest, a file's waits"""
