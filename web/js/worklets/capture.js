// In the audio thread: device rate to 16 kHz, 16-bit, in blocks; a level beside each.

import { Resampler } from "../resample.js";

const BLOCK = 640; // samples at 16 kHz: 40 ms, two Opus packets
const GAP_MS = 1000; // between two calls: the device was taken away, not late

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, 16000);
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.peak = 0;
    this.square = 0;
    this.calledAt = 0;
    this.port.onmessage = () => this.flush();
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const now = Date.now();
    if (this.calledAt && now - this.calledAt > GAP_MS) this.port.postMessage({ gap: now - this.calledAt });
    this.calledAt = now;
    const channels = inputs[0];
    const first = channels?.[0];
    if (!channels || !first) return true;
    const mono = new Float32Array(first.length);
    for (const channel of channels) for (let i = 0; i < mono.length; i += 1) mono[i] += channel[i] / channels.length;
    this.take(this.resampler.process(mono));
    return true;
  }

  /** @param {Float32Array} samples */
  take(samples) {
    for (const sample of samples) {
      const value = Math.max(-1, Math.min(1, sample));
      this.block[this.filled++] = Math.round(value * 32767);
      this.peak = Math.max(this.peak, Math.abs(value));
      this.square += value * value;
      if (this.filled === BLOCK) this.post();
    }
  }

  post() {
    const samples = this.block.slice(0, this.filled);
    this.port.postMessage({ samples, peak: this.peak, rms: Math.sqrt(this.square / (this.filled || 1)) }, [samples.buffer]);
    this.filled = this.peak = this.square = 0;
  }

  flush() {
    this.take(this.resampler.flush());
    if (this.filled) this.post();
    this.port.postMessage({ flushed: true });
  }
}

registerProcessor("capture", Capture);
