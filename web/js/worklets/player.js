// In the audio thread: speech of segments in order, from a buffer. A segment begins when `PREBUFFER_S` of it are here,
// or all of it; what has begun is never cut. When too much waits, whole segments are left out, oldest first.

const PREBUFFER_S = 0.12;
const TOO_MUCH_S = 8; // unheard
const ENOUGH_S = 4;
const REPORT_S = 0.1;
const FADE_S = 0.004;

/**
 * @typedef {{key: string, blocks: Float32Array[], waiting: number, heard: number, ended: boolean, sourceEnd: number}} Clause
 * `waiting` samples are unheard
 */

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    /** @type {Clause[]} */
    this.clauses = [];
    this.offset = 0; // in the first block of the first clause
    this.sinceReport = 0;
    this.skipped = 0;
    this.gain = 1;
    this.port.onmessage = (event) => this.receive(event.data);
  }

  /** @param {{clear?: boolean, key: string, samples: Float32Array, last: boolean, sourceEnd: number}} message */
  receive(message) {
    if (message.clear) {
      this.clauses = [];
      this.offset = 0;
      return;
    }
    let clause = this.clauses.find((candidate) => candidate.key === message.key);
    if (!clause) {
      clause = { key: message.key, blocks: [], waiting: 0, heard: 0, ended: false, sourceEnd: 0 };
      for (const before of this.clauses) before.ended = true; // its end was lost: nothing more of it can come
      this.clauses.push(clause);
    }
    if (message.samples.length) clause.blocks.push(message.samples);
    clause.waiting += message.samples.length;
    clause.ended ||= message.last;
    clause.sourceEnd = Math.max(clause.sourceEnd, message.sourceEnd);
    this.catchUp();
  }

  get waiting() {
    return this.clauses.reduce((sum, clause) => sum + clause.waiting, 0);
  }

  catchUp() {
    if (this.waiting <= TOO_MUCH_S * sampleRate) return;
    while (this.waiting > ENOUGH_S * sampleRate) {
      const index = this.clauses.findIndex((clause) => clause.heard === 0);
      if (index < 0 || index === this.clauses.length - 1) return;
      this.clauses.splice(index, 1);
      this.skipped += 1;
    }
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const channels = outputs[0];
    const out = channels?.[0];
    if (!channels || !out) return true;
    let filled = 0;
    while (filled < out.length) {
      const clause = this.clauses[0];
      if (!clause) break;
      if (clause.heard === 0 && !clause.ended && clause.waiting < PREBUFFER_S * sampleRate) break;
      const block = clause.blocks[0];
      if (!block) {
        if (!clause.ended) break;
        this.port.postMessage({ done: clause.key, sourceEnd: clause.sourceEnd });
        this.clauses.shift();
        continue;
      }
      if (clause.heard === 0) this.port.postMessage({ begun: clause.key, sourceEnd: clause.sourceEnd });
      const count = Math.min(out.length - filled, block.length - this.offset);
      out.set(block.subarray(this.offset, this.offset + count), filled);
      filled += count;
      this.offset += count;
      clause.heard += count;
      clause.waiting -= count;
      if (this.offset === block.length) {
        clause.blocks.shift();
        this.offset = 0;
      }
    }
    this.fade(out, filled);
    for (const channel of channels.slice(1)) channel.set(out);
    this.report(out.length);
    return true;
  }

  /**
   * No click where the buffer runs dry and where it goes on.
   * @param {Float32Array} out
   * @param {number} filled
   */
  fade(out, filled) {
    const step = 1 / (FADE_S * sampleRate);
    for (let i = 0; i < out.length; i += 1) {
      this.gain = i < filled ? Math.min(1, this.gain + step) : 0;
      out[i] *= this.gain;
    }
  }

  /** @param {number} length */
  report(length) {
    this.sinceReport += length;
    if (this.sinceReport < REPORT_S * sampleRate) return;
    this.sinceReport = 0;
    this.port.postMessage({ waiting: this.waiting / sampleRate, skipped: this.skipped });
  }
}

registerProcessor("player", Player);
