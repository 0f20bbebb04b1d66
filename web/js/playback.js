// Spoken interpretation: frames from the connection into the player worklet, and what it says of them.

import { decodeOpus } from "./opus.js";
import { Resampler } from "./resample.js";

export const BEHIND_S = 3; // waiting speech from which on a person is told

/**
 * @typedef {import("./protocol.js").Voice} Voice
 * @typedef {{waiting: number, skipped: number}} Progress s of speech that wait; clauses left out
 */

export class Playback {
  /**
   * @param {{begun?: (key: string, sourceEnd: number) => void, done?: (key: string, sourceEnd: number) => void,
   *   progress?: (progress: Progress) => void}} handlers
   */
  constructor(handlers = {}) {
    this.handlers = handlers;
    /** @type {AudioContext | null} */
    this.context = null;
    /** @type {AudioWorkletNode | null} */
    this._node = null;
    /** @type {GainNode | null} */
    this._gain = null;
    /** @type {AnalyserNode | null} */
    this.analyser = null;
    this.volume = 1;
    this.on = false;
    this.waiting = 0;
    /** @type {Map<string, {rate: number, resampler: Resampler}>} */
    this._streams = new Map();
    /** @type {Map<string, {key: string, parts: Float32Array[]}>} the clause that came last in a language */
    this._last = new Map();
    this._queue = Promise.resolve();
    this._generation = 0;
    /** @type {[Voice, number, Float32Array][] | null} what waits while nothing may sound */
    this._held = null;
  }

  /** To be called from a tap: browsers let sound begin only then. */
  async start() {
    this.on = true;
    if (!this.context) {
      const context = new AudioContext({ latencyHint: "interactive" });
      this.context = context;
      await context.audioWorklet.addModule(new URL("./worklets/player.js", import.meta.url));
      this._node = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
      this._gain = new GainNode(context, { gain: this.volume });
      this.analyser = new AnalyserNode(context, { fftSize: 2048 });
      this._node.connect(this._gain).connect(this.analyser).connect(context.destination);
      this._node.port.onmessage = (event) => this._hear(event.data);
    }
    await this.context.resume();
  }

  stop() {
    this.on = false;
    this.clear();
    void this.context?.suspend();
  }

  /** What comes waits until it is let go. @param {boolean} on */
  hold(on) {
    if (on) {
      this._held ??= [];
      return;
    }
    const held = this._held ?? [];
    this._held = null;
    for (const frame of held) this._play(...frame);
  }

  clear() {
    if (this._held) this._held = [];
    this._generation += 1;
    this._node?.port.postMessage({ clear: true });
    this._streams.clear();
    this.waiting = 0;
  }

  /** @param {number} volume 0 to 1 */
  setVolume(volume) {
    this.volume = volume;
    if (this.context) this._gain?.gain.setTargetAtTime(volume, this.context.currentTime, 0.03);
  }

  /** From the player to the loudspeaker, ms, as far as the browser says. */
  get deviceMs() {
    const { baseLatency = 0, outputLatency = 0 } = this.context ?? {};
    return 1000 * (baseLatency + outputLatency);
  }

  /** Root mean square of what sounds just now. */
  get energy() {
    return energy(this.analyser);
  }

  /**
   * Frames sound in the order in which they are given.
   * @param {Voice} voice
   */
  play(voice) {
    const decoded = voice.opus ? decodeOpus(voice.data) : Promise.resolve({ rate: voice.rate, samples: floats(voice.data) });
    const generation = this._generation;
    this._queue = this._queue.then(async () => {
      const { rate, samples } = await decoded.catch(() => ({ rate: 48000, samples: new Float32Array(0) }));
      if (generation === this._generation) this._play(voice, rate, samples);
    });
  }

  /**
   * @param {Voice} voice
   * @param {number} rate Hz
   * @param {Float32Array} raw
   */
  _play(voice, rate, raw) {
    if (!this.on || !this.context || !this._node) return;
    if (this._held) {
      this._held.push([voice, rate, raw]);
      return;
    }
    const key = `${voice.channel}/${voice.segment}/${voice.language}`;
    let samples = this._resampled(key, rate, raw);
    if (voice.last) {
      const rest = this._streams.get(key)?.resampler.flush() ?? new Float32Array(0);
      samples = concatenated([samples, rest]);
      this._streams.delete(key);
    }
    const last = this._last.get(voice.language);
    if (last?.key === key) last.parts.push(samples.slice());
    else this._last.set(voice.language, { key, parts: [samples.slice()] });
    this._post(key, samples, voice.last, voice.sourceEnd);
  }

  /** The clause that came last in a language, once more. @param {string} language */
  repeat(language) {
    const last = this._last.get(language);
    if (last) this._post(`again ${performance.now()}`, concatenated(last.parts), true, 0);
  }

  /**
   * @param {string} key
   * @param {Float32Array} samples
   * @param {boolean} last
   * @param {number} sourceEnd
   */
  _post(key, samples, last, sourceEnd) {
    this.waiting += samples.length / (this.context?.sampleRate ?? 48000);
    this._node?.port.postMessage({ key, samples, last, sourceEnd }, [samples.buffer]);
  }

  /**
   * @param {string} key
   * @param {number} rate
   * @param {Float32Array} samples
   */
  _resampled(key, rate, samples) {
    let stream = this._streams.get(key);
    if (!stream || stream.rate !== rate) {
      stream = { rate, resampler: new Resampler(rate, /** @type {AudioContext} */ (this.context).sampleRate) };
      this._streams.set(key, stream);
    }
    return stream.resampler.process(samples);
  }

  /** @param {{begun?: string, done?: string, sourceEnd: number, waiting: number, skipped: number}} message */
  _hear(message) {
    if (message.begun) this.handlers.begun?.(message.begun, message.sourceEnd);
    else if (message.done) this.handlers.done?.(message.done, message.sourceEnd);
    else {
      this.waiting = message.waiting;
      this.handlers.progress?.(message);
    }
  }
}

/** Root mean square of what passes just now. @param {AnalyserNode | null} analyser */
export function energy(analyser) {
  if (!analyser) return 0;
  const block = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(block);
  return Math.sqrt(block.reduce((sum, value) => sum + value * value, 0) / block.length);
}

/** 16-bit little-endian to floats. @param {Uint8Array} bytes */
function floats(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength >> 1 }, (_, i) => view.getInt16(i * 2, true) / 32768);
}

/** @param {Float32Array[]} parts */
function concatenated(parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
