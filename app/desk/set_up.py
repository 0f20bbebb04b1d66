"""Devices, cancellers, sessions and voices put together for what a person asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.desk.call import call_devices
from app.desk.channel import Channel
from app.desk.config import DeskConfig
from app.desk.conversation import Conversation
from app.desk.devices import Device, Remembered, choose, devices, recall, remember
from app.desk.echo import Echo, canceller
from app.desk.loop import Ear, InputPort, Mouth, OutputPort, SoundLoop
from app.desk.ports import Loudspeaker, Microphone, Nowhere, Script
from app.desk.script import Recorder
from app.desk.sound import DESK_RATE
from app.outputs import check
from app.voices import Voices
from models.errors import InputError, TsuyakuError
from models.scheduler import Submits
from models.store import Store
from pipeline.config import SessionConfig
from pipeline.engines import Engines, SpeechRequest, Voiced


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person chose."""

    microphones: tuple[str, ...] = ()
    """none is the remembered one or the default; two are one for each language"""
    loudspeaker: str | None = None
    split: bool = False
    """the left channel is the first language's microphone, the right one the second's"""
    echo: Echo = Echo.CANCEL
    in_call: bool = False
    files: tuple[Path, ...] = ()
    speak: Path | None = None


@dataclass(slots=True)
class Desk:
    """Ready to run."""

    conversation: Conversation
    loop: SoundLoop
    script: Script | None = None
    recorder: Recorder | None = None
    microphone: str = ""
    loudspeaker: str = ""
    echo: Echo = Echo.CANCEL


def set_up(wish: Wish, config: DeskConfig, engines: Engines, session: SessionConfig) -> Desk:
    """Raises the `TsuyakuError` of a device or file. Call it inside a running event loop."""
    check([wish.speak] if wish.speak else [], wish.files)
    if wish.in_call:
        return _in_call(wish, config, engines, session)
    recorder = Recorder(wish.speak, DESK_RATE) if wish.speak else None
    script = Script() if wish.files else None
    out = _loudspeaker(wish, recorder)
    ports: list[InputPort] = [script] if script else list(_microphones(wish))
    mouth = Mouth(out)
    conversation = Conversation(config, engines, dict.fromkeys(config.between, mouth))
    ears = [(port, channel) for port in ports for channel in range(len(port.rings))]
    echo = wish.echo
    channels = [
        Channel(
            Ear(port, channel, conversation.deliver(index), canceller=canceller(echo), mouth=mouth),
            conversation.session(session),
            config.between[index] if len(ears) > 1 else "",
        )
        for index, (port, channel) in enumerate(ears)
    ]
    conversation.join(channels)
    loop = SoundLoop([channel.ear for channel in channels], [mouth], conversation.notify)
    names = " and ".join(port.name for port in ports)
    return Desk(conversation, loop, script, recorder, names, out.name, echo)


def _in_call(wish: Wish, config: DeskConfig, engines: Engines, session: SessionConfig) -> Desk:
    """Two ways that never meet: what I say goes into the call, what the remote party says goes to my headphones."""
    listed = devices()
    source, sink = call_devices(listed)
    mine = _chosen("microphone", wish.microphones[0] if wish.microphones else None)
    headphones = _chosen("loudspeaker", wish.loudspeaker)
    if source in (mine, headphones) or sink in (mine, headphones):
        raise InputError("device-unknown", "--microphone and --loudspeaker are yours here, not those of the call.")
    me, call = Microphone(mine), Microphone(source)
    to_me, to_call = Mouth(Loudspeaker(headphones)), Mouth(Loudspeaker(sink))
    first, second = config.between
    conversation = Conversation(config, engines, {first: to_me, second: to_call})
    channels = [
        Channel(Ear(port, 0, conversation.deliver(index)), conversation.session(session), language, remote=port is call)
        for index, (port, language) in enumerate(((me, first), (call, second)))
    ]
    conversation.join(channels)
    loop = SoundLoop([channel.ear for channel in channels], [to_me, to_call], conversation.notify)
    return Desk(conversation, loop, None, None, f"{me.name} and {call.name}", headphones.label, Echo.NONE)


def _loudspeaker(wish: Wish, recorder: Recorder | None) -> OutputPort:
    record = recorder.record if recorder else None
    if recorder is not None:
        return Nowhere(record)
    try:
        chosen = _chosen("loudspeaker", wish.loudspeaker)
    except TsuyakuError:
        if wish.files and wish.loudspeaker is None:
            return Nowhere()
        raise
    return Loudspeaker(chosen)


def _microphones(wish: Wish) -> list[Microphone]:
    if len(wish.microphones) > 2:
        raise InputError("device-unknown", "There are two languages: give at most two microphones.")
    if len(wish.microphones) == 2:
        listed = devices()
        return [Microphone(choose(listed, "microphone", name)) for name in wish.microphones]
    chosen = _chosen("microphone", wish.microphones[0] if wish.microphones else None)
    if wish.split and chosen.channels < 2:
        raise InputError("device-unknown", f"{chosen.label} has one channel only; --split needs left and right.")
    return [Microphone(chosen, 2 if wish.split else 1)]


def _chosen(kind: str, wanted: str | None) -> Device:
    """The one that was asked for, and is remembered then; else the remembered one, if it is there; else the default."""
    listed, known = devices(), recall()
    side = "microphone" if kind == "microphone" else "loudspeaker"
    if wanted is not None:
        device = choose(listed, side, wanted)
        remember(
            Remembered(device.name, known.loudspeaker)
            if side == "microphone"
            else Remembered(known.microphone, device.name)
        )
        return device
    before = known.microphone if side == "microphone" else known.loudspeaker
    there = any(device.kind == side and device.name == before for device in listed)
    return choose(listed, side, before if there else None)


def with_voices(engines: Engines, chosen: Mapping[str, str]) -> Engines:
    """`chosen` names the voice's engine for some of the languages."""
    if not chosen:
        return engines
    store = Store()
    own = {language: Voices(store, engine) for language, engine in chosen.items()}

    async def voice(language: str) -> Submits[SpeechRequest, Voiced]:
        return await (own[language].get(language) if language in own else engines.voice(language))

    async def faster(language: str) -> Submits[SpeechRequest, Voiced] | None:
        known = None if language in own else engines.faster_voice
        return None if known is None else await known(language)

    return replace(engines, voice=voice, faster_voice=faster)
