// What was captured and is not yet confirmed. It is kept across an outage and sent again from where the server says.

import { encodeUplink, SAMPLE_RATE } from "./protocol.js";

const LONGEST_FRAME = SAMPLE_RATE; // 1 s
const KEPT_S = 150; // more than the server waits for an interrupted speaker

/**
 * @typedef {{key: string, language: string, candidates: string[], name: string}} ChannelRequest
 */

export class Uplink {
  /**
   * @param {ChannelRequest} request
   * @param {{ready: boolean, send: (message: {type: "start"} & ChannelRequest | {type: "stop", channel: number}) => void,
   *   sendAudio: (frame: ArrayBuffer) => void}} connection
   */
  constructor(request, connection) {
    this.request = request;
    this.connection = connection;
    /** the server's number of the channel; null while it is not open */
    this.channel = /** @type {number | null} */ (null);
    /** @type {{position: number, samples: Int16Array}[]} unconfirmed, in order */
    this._chunks = [];
    this._end = 0; // position behind the last captured sample
    this._based = false; // positions are the server's: known after the first `started`
    this._sequence = 0;
    this.lost = 0; // samples that no longer fitted
    this._stopping = false;
  }

  /** Seconds that are safe in the page and not yet on the server. */
  get pendingSeconds() {
    const first = this._chunks[0];
    const last = this._chunks.at(-1);
    return first && last ? (last.position + last.samples.length - first.position) / SAMPLE_RATE : 0;
  }

  /** Say that the channel begins, or goes on after an interruption. */
  start() {
    this.channel = null;
    this.connection.send({ type: "start", ...this.request });
  }

  /** @param {Int16Array} samples */
  push(samples) {
    const chunk = { position: this._end, samples };
    this._chunks.push(chunk);
    this._end += samples.length;
    while (this.pendingSeconds > KEPT_S) this.lost += this._chunks.shift()?.samples.length ?? 0;
    if (this.channel !== null) this._send(chunk.position, samples);
  }

  /** Time passes without sound: a pause. @param {number} count samples */
  skip(count) {
    this._end += count;
  }

  /** @param {{channel: number, position: number}} message */
  started({ channel, position }) {
    this.channel = channel;
    if (!this._based) {
      this._based = true;
      for (const chunk of this._chunks) chunk.position += position;
      this._end += position;
    }
    this.confirmed({ position });
    this._resend(position);
    if (this._stopping) this.stop();
  }

  /** @param {{position: number}} message */
  confirmed({ position }) {
    this._chunks = this._chunks.filter((chunk) => chunk.position + chunk.samples.length > position);
  }

  disconnected() {
    this.channel = null;
  }

  /** Nothing more will be said. Kept until it can be sent. */
  stop() {
    this._stopping = true;
    if (this.channel !== null) this.connection.send({ type: "stop", channel: this.channel });
  }

  /** @param {number} from */
  _resend(from) {
    for (const { position, samples } of this._chunks) {
      const known = Math.max(0, from - position);
      for (let at = known; at < samples.length; at += LONGEST_FRAME) {
        this._send(position + at, samples.subarray(at, at + LONGEST_FRAME));
      }
    }
  }

  /**
   * @param {number} position
   * @param {Int16Array} samples
   */
  _send(position, samples) {
    if (this.channel === null) return;
    this.connection.sendAudio(encodeUplink(this.channel, this._sequence, position, samples));
    this._sequence += 1;
  }
}
