// What was captured and is not yet confirmed. It is kept across an outage and sent again from where the server says.

import { OpusEncoder } from "./opus.js";
import { encodeOpusUplink, encodeUplink, SAMPLE_RATE } from "./protocol.js";

const BATCH = 2; // packets of a frame: 40 ms
const LONGEST_FRAME = SAMPLE_RATE; // samples of a frame that is sent again
const PACKET = SAMPLE_RATE / 50;
const KEPT_S = 150; // more than the server waits for an interrupted speaker

/**
 * @typedef {{key: string, language: string, candidates: string[], name: string}} ChannelRequest
 * @typedef {{at: number, length: number, data: Int16Array | Uint8Array}} Chunk `at` and `length` in samples, from the
 * first one captured here; `data` is PCM or one Opus packet
 */

export class Uplink {
  /**
   * @param {ChannelRequest} request
   * @param {{ready: boolean, send: (message: {type: "start"} & ChannelRequest | {type: "stop", channel: number}) => void,
   *   sendAudio: (frame: ArrayBuffer) => void}} connection
   * @param {boolean} opus
   */
  constructor(request, connection, opus) {
    this.request = request;
    this.connection = connection;
    /** the server's number of the channel; null while it is not open */
    this.channel = /** @type {number | null} */ (null);
    /** @type {Chunk[]} unconfirmed, in order */
    this._chunks = [];
    /** @type {Chunk[]} Opus packets that wait for a frame to be full */
    this._batch = [];
    this._end = 0; // behind the last captured sample
    /** the server's position of our first sample; null before the channel was first opened */
    this._base = /** @type {number | null} */ (null);
    this._sequence = 0;
    this.lost = 0; // samples that no longer fitted
    this._stopping = false;
    /** @type {OpusEncoder | null} */
    this._encoder = opus ? new OpusEncoder((at, data) => this._add({ at, length: PACKET, data }), () => this._plain()) : null;
  }

  /** Seconds that are safe in the page and not yet on the server. */
  get pendingSeconds() {
    const first = this._chunks[0];
    const last = this._chunks.at(-1);
    return first && last ? (last.at + last.length - first.at) / SAMPLE_RATE : 0;
  }

  /** Say that the channel begins, or goes on after an interruption. */
  start() {
    this.disconnected();
    this.connection.send({ type: "start", ...this.request });
  }

  /** @param {Int16Array} samples */
  push(samples) {
    const at = this._end;
    this._end += samples.length;
    if (this._encoder) this._encoder.push(at, padded(samples));
    else this._add({ at, length: samples.length, data: samples });
  }

  /** Time passes without sound: a pause. @param {number} count samples */
  skip(count) {
    this._end += count;
  }

  /** @param {{channel: number, position: number}} message */
  started({ channel, position }) {
    this.channel = channel;
    this._base ??= position;
    this.confirmed({ position });
    this._batch = [];
    /** @type {Chunk[]} */
    let group = [];
    for (const chunk of this._chunks) {
      const first = group[0];
      if (first && (!follows(group, chunk) || chunk.at + chunk.length - first.at > LONGEST_FRAME)) {
        this._send(group);
        group = [];
      }
      group.push(chunk);
    }
    this._send(group);
    if (this._stopping) this.stop();
  }

  /** @param {{position: number}} message */
  confirmed({ position }) {
    const known = position - (this._base ?? 0);
    this._chunks = this._chunks.filter((chunk) => chunk.at + chunk.length > known);
  }

  disconnected() {
    this.channel = null;
    this._batch = [];
  }

  /** Nothing more will be said. Kept until it can be sent. */
  stop() {
    this._stopping = true;
    const end = () => {
      this._flush();
      if (this.channel !== null) this.connection.send({ type: "stop", channel: this.channel });
    };
    if (this._encoder) void this._encoder.finish().then(end, end);
    else end();
  }

  /** The encoder failed: what comes now goes as PCM. */
  _plain() {
    this._encoder = null;
  }

  /** @param {Chunk} chunk */
  _add(chunk) {
    this._chunks.push(chunk);
    while (this.pendingSeconds > KEPT_S) this.lost += this._chunks.shift()?.length ?? 0;
    if (this.channel === null) return;
    if (!follows(this._batch, chunk)) this._flush();
    this._batch.push(chunk);
    if (this._batch.length >= BATCH || chunk.data instanceof Int16Array) this._flush();
  }

  _flush() {
    this._send(this._batch);
    this._batch = [];
  }

  /** @param {Chunk[]} group of one kind, without a gap */
  _send(group) {
    const first = group[0];
    if (!first || this.channel === null) return;
    const position = (this._base ?? 0) + first.at;
    const sequence = this._sequence++;
    const frame =
      first.data instanceof Int16Array
        ? encodeUplink(this.channel, sequence, position, samples(group))
        : encodeOpusUplink(this.channel, sequence, position, /** @type {Uint8Array[]} */ (group.map(({ data }) => data)));
    this.connection.sendAudio(frame);
  }
}

/** Whole packets; only the last block before an end needs it. @param {Int16Array} samples */
function padded(samples) {
  if (samples.length % PACKET === 0) return samples;
  const whole = new Int16Array(Math.ceil(samples.length / PACKET) * PACKET);
  whole.set(samples);
  return whole;
}

/**
 * Whether a chunk can be sent in one frame with those before it.
 * @param {Chunk[]} group
 * @param {Chunk} chunk
 */
function follows(group, chunk) {
  const last = group.at(-1);
  return !last || (last.at + last.length === chunk.at && last.data instanceof Int16Array === chunk.data instanceof Int16Array);
}

/** @param {Chunk[]} group */
function samples(group) {
  const all = new Int16Array(group.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const { data } of group) {
    all.set(data, at);
    at += data.length;
  }
  return all;
}
