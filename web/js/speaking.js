// A voice into a room: capture, the channel's uplink, and what survives a reload of the page.

import { Capture } from "./capture.js";
import { opusEncodes } from "./opus.js";
import { SAMPLE_RATE } from "./protocol.js";
import { Uplink } from "./uplink.js";

const SILENCE = 1.5 * SAMPLE_RATE; // sent when a pause begins, so that what was said is completed
const opus = await opusEncodes();
const KEY = "tsuyaku channel";
const FIRST_RETRY_MS = 2000;
const LONGEST_RETRY_MS = 15_000;
/** Refusals of a `start` that the same `start` would get again. */
const LASTING = new Set(["too-many-channels", "unknown-language"]);

/**
 * The same name for a channel after a reload, so that it goes on instead of beginning anew.
 * @param {string} which
 */
export function channelKey(which) {
  const name = `${KEY} ${which} ${location.hash.slice(1, 9)}`;
  let key = sessionStorage.getItem(name);
  if (!key) {
    key = [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem(name, key);
  }
  return { key, forget: () => sessionStorage.removeItem(name) };
}

export class Speaking {
  /**
   * @param {import("./connection.js").Connection} connection
   * @param {{level?: (rms: number, peak: number) => void, ended?: () => void, interrupted?: (now: boolean) => void,
   *   refused?: () => void, opened?: () => void, closed?: (which: string, code: string) => void}} handlers
   * `closed`: the server has ended a channel into which we still speak; `refused`: the server opens no channel for us, and will not; `opened`: it has opened one
   */
  constructor(connection, handlers) {
    this.connection = connection;
    this.handlers = handlers;
    /** @type {Map<string, {uplink: Uplink, forget: () => void, silence: number}>} by the name we gave it */
    this.channels = new Map();
    /** @type {Set<Uplink>} of channels into which nothing more is said, until the server has all of it */
    this._ending = new Set();
    /** the channel that hears now; others get silence */
    this.active = "";
    this.capture = new Capture({
      block: (block) => this._block(block),
      gap: (ms) => this._gap(ms),
      ended: () => handlers.ended?.(),
      interrupted: (now) => handlers.interrupted?.(now),
    });
    this.running = false;
    this._retry = 0;
    this._refusals = 0; // since a channel was opened
  }

  /** @param {import("./capture.js").SourceChoice} source */
  async start(source) {
    await this.capture.start(source);
    this.connection.captureMs = this.capture.delayMs;
    this.running = true;
  }

  /** Another source from now on, without a gap. Raises `CaptureError`. @param {import("./capture.js").SourceChoice} source */
  async change(source) {
    await this.capture.change(source);
    if (this.running) this.connection.captureMs = this.capture.delayMs;
  }

  /**
   * @param {string} which
   * @param {{language: string, candidates?: string[], name?: string}} request
   */
  open(which, { language, candidates = [], name = "" }) {
    const { key, forget } = channelKey(which);
    const uplink = new Uplink({ key, language, candidates, name }, this.connection, opus);
    this.channels.set(which, { uplink, forget, silence: SILENCE });
    if (this.connection.ready) uplink.start();
  }

  /** @param {import("./capture.js").Block} block */
  _block({ samples, peak, rms }) {
    this.handlers.level?.(rms, peak);
    for (const [which, channel] of this.channels) {
      if (which === this.active) {
        channel.silence = 0;
        channel.uplink.push(samples);
      } else if (channel.silence < SILENCE) {
        channel.silence += samples.length;
        channel.uplink.push(new Int16Array(samples.length));
      } else channel.uplink.skip(samples.length);
    }
  }

  /** Time passed in which no sound could be had. @param {number} ms */
  _gap(ms) {
    for (const { uplink } of this.channels.values()) uplink.skip(Math.round((ms / 1000) * SAMPLE_RATE));
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  take(message) {
    if (message.type === "welcome") for (const uplink of this._uplinks) uplink.start();
    if (message.type === "refused") this._refused(message.code);
    for (const uplink of this._uplinks) {
      if (message.type === "started" && message.key === uplink.request.key) {
        this._refusals = 0;
        uplink.started(message);
        this.handlers.opened?.();
      } else if (message.type === "confirmed" && message.channel === uplink.channel) uplink.confirmed(message);
      else if (message.type === "closed" && message.channel === uplink.channel) this._closed(uplink, message.code);
    }
  }

  /**
   * @param {Uplink} uplink
   * @param {string} code
   */
  _closed(uplink, code) {
    this._ending.delete(uplink);
    for (const [which, channel] of this.channels) {
      if (channel.uplink !== uplink) continue;
      channel.forget();
      this.channels.delete(which);
      if (this.running) this.handlers.closed?.(which, code);
    }
  }

  /** Of a channel that we asked for: where the server is only busy, it is asked again. @param {string} code */
  _refused(code) {
    const waiting = this._uplinks.filter((uplink) => uplink.channel === null);
    if (!waiting.length) return;
    if (LASTING.has(code)) this.handlers.refused?.();
    if (code !== "busy") return;
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this._refusals);
    this._refusals += 1;
    clearTimeout(this._retry);
    this._retry = window.setTimeout(() => {
      for (const uplink of waiting) if (uplink.channel === null) uplink.start();
    }, longest * (0.75 + Math.random() / 2));
  }

  disconnected() {
    clearTimeout(this._retry);
    for (const uplink of this._uplinks) uplink.disconnected();
  }

  /** Of every channel that the server has not closed yet. */
  get _uplinks() {
    return [...[...this.channels.values()].map(({ uplink }) => uplink), ...this._ending];
  }

  get pendingSeconds() {
    return Math.max(0, ...this._uplinks.map((uplink) => uplink.pendingSeconds));
  }

  get lostSeconds() {
    return this._uplinks.reduce((sum, uplink) => sum + uplink.lost, 0) / SAMPLE_RATE;
  }

  /** Nothing more will be said; the last words are still sent. */
  async stop() {
    this.running = false;
    this.connection.captureMs = 0;
    clearTimeout(this._retry);
    const refused = this._refusals > 0;
    this._refusals = 0;
    await this.capture.stop();
    for (const { uplink, forget } of this.channels.values()) {
      uplink.stop();
      forget();
      if (!refused || uplink.channel !== null) this._ending.add(uplink); // who goes does not wait for a place
    }
    this.channels.clear();
  }
}
