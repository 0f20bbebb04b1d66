// The wire format, version 1: docs/protocol.md. Times are ms since a channel's first sample, positions samples at 16 kHz.

export const VERSION = 1;
export const SAMPLE_RATE = 16000; // Hz, of the uplink

/**
 * @typedef {{captions: string[], voices: string[], source: boolean, tentative: boolean, opus: boolean}} Wanted
 * @typedef {{type: "welcome", version: number, role: "host" | "speaker" | "listener", epoch: string, sequence: number,
 *   recovered: boolean, languages: string[], keep_s: number, demo: boolean, cut?: boolean}} Welcome
 * @typedef {{type: "links", speaker: string, listener: string}} Links
 * @typedef {{type: "started", key: string, channel: number, position: number}} Started
 * @typedef {{type: "confirmed", channel: number, position: number}} Confirmed
 * @typedef {{type: "words", sequence: number, channel: number, language: string, text: string, start_ms: number,
 *   end_ms: number, emitted_ms: number}} Words
 * @typedef {{type: "caption", sequence: number, channel: number, language: string, segment: number, text: string,
 *   final: boolean, same: boolean, start_ms: number, end_ms: number, emitted_ms: number}} Caption
 * @typedef {{type: "opened", sequence: number, channel: number, language: string, name: string, room_ms: number}} Opened
 * @typedef {{type: "closed", sequence: number, channel: number, code: string, message: string}} Closed
 * @typedef {{type: "ended", sequence: number, code: string}} Ended
 * @typedef {{type: "tail", channel: number, language: string, translated: boolean, segment: number, text: string}} Tail
 * @typedef {{type: "talking", channel: number, active: boolean}} Talking
 * @typedef {{type: "state", listeners: number, captions: Record<string, number>, voices: Record<string, number>}} State
 * @typedef {{type: "lag", channel: number, language: string, segment: number, end_to_end_ms: number,
 *   stages: Record<string, number>, misses?: string[]}} Lag
 * @typedef {{type: "trouble", channel: number, stage: string, language: string, code: string,
 *   replaced?: boolean}} Trouble
 * @typedef {{type: "pong", id: number}} Pong
 * @typedef {{type: "refused", code: string, message: string}} Refused
 * @typedef {Welcome | Links | Started | Confirmed | Words | Caption | Opened | Closed | Ended | Tail | Talking | State
 *   | Lag | Trouble | Pong | Refused} ServerMessage
 */

/** Why the server closed the socket. */
export const CLOSE = /** @type {const} */ ({
  oversized: 1009,
  malformed: 4400,
  unauthorised: 4401,
  code: 4402,
  forbidden: 4403,
  ended: 4410,
  guesses: 4423,
  version: 4426,
  flood: 4429,
  busy: 4503,
  slow: 4508,
});

/** @type {ReadonlySet<number>} */
const FINAL = new Set([CLOSE.oversized, CLOSE.malformed, CLOSE.unauthorised, CLOSE.code, CLOSE.forbidden, CLOSE.ended, CLOSE.guesses, CLOSE.version, CLOSE.flood]);

/** @param {number} code */
export const retries = (code) => !FINAL.has(code);

/**
 * Kind 1: captured audio.
 * @param {number} channel
 * @param {number} sequence
 * @param {number} position
 * @param {Int16Array} samples
 */
export function encodeUplink(channel, sequence, position, samples) {
  const frame = new ArrayBuffer(16 + samples.length * 2);
  const view = new DataView(frame);
  view.setUint8(0, 1);
  view.setUint16(2, channel, true);
  view.setUint32(4, sequence >>> 0, true);
  view.setBigUint64(8, BigInt(position), true);
  new Uint8Array(frame, 16).set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
  return frame;
}

/**
 * Kind 4: captured audio as Opus packets of 20 ms.
 * @param {number} channel
 * @param {number} sequence
 * @param {number} position of the first packet's first sample
 * @param {Uint8Array[]} packets
 */
export function encodeOpusUplink(channel, sequence, position, packets) {
  const bytes = packets.reduce((sum, packet) => sum + 2 + packet.length, 16);
  const frame = new Uint8Array(encodeUplink(channel, sequence, position, new Int16Array((bytes - 16 + 1) >> 1)), 0, bytes);
  frame[0] = 4;
  let at = 16;
  for (const packet of packets) {
    frame[at] = packet.length & 255;
    frame[at + 1] = packet.length >> 8;
    frame.set(packet, at + 2);
    at += 2 + packet.length;
  }
  return frame.slice().buffer;
}

/**
 * @typedef {{channel: number, sequence: number, segment: number, rate: number, sourceEnd: number, language: string,
 *   last: boolean, opus: boolean, data: Uint8Array}} Voice
 */

/**
 * Kind 2, PCM, and 3, Opus packets: synthetic speech.
 * @param {ArrayBuffer} frame
 * @returns {Voice | null} null for a kind that this page does not know
 */
export function decodeVoice(frame) {
  const view = new DataView(frame);
  if (frame.byteLength < 28 || ![2, 3].includes(view.getUint8(0))) return null;
  const name = new Uint8Array(frame, 20, 8);
  return {
    opus: view.getUint8(0) === 3,
    last: view.getUint8(1) === 1,
    channel: view.getUint16(2, true),
    sequence: view.getUint32(4, true),
    segment: view.getUint32(8, true),
    rate: view.getUint32(12, true),
    sourceEnd: view.getUint32(16, true),
    language: String.fromCharCode(...name.filter((byte) => byte !== 0)),
    data: new Uint8Array(frame, 28),
  };
}
