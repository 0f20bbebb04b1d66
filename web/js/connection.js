// One socket that lasts: it says hello, notices a dead link itself, comes back and asks for what it missed.
//
// The contract: every message of the room's log is handed on once for each time the server sends it, in order;
// `recovered: false` in a welcome means that everything before it is to be forgotten. Text that was handed on is never
// asked for again, except after `want`, whose answer repeats what is kept of the new languages.

import { decodeVoice, retries, VERSION } from "./protocol.js";

const PING_MS = 4000;
const DEAD_MS = 9000; // without any frame: browsers notice a dead link after minutes
const CONNECT_MS = 8000;
const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 8000;

/**
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {import("./protocol.js").Wanted} Wanted
 * @typedef {{phase: "connecting" | "open" | "lost" | "over", code: number, retryAt: number}} Status
 * `lost` is being retried at `retryAt` (`performance.now()`), `over` is not; `code` is why
 */

export class Connection {
  /**
   * @param {string} token
   * @param {Wanted} wanted
   * @param {{message: (message: ServerMessage) => void, voice?: (voice: import("./protocol.js").Voice) => void,
   *   status: (status: Status) => void}} handlers
   */
  constructor(token, wanted, handlers) {
    this.token = token;
    /** of the room, where its host set one */
    this.code = "";
    this.wanted = wanted;
    this.handlers = handlers;
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Status} */
    this.status = { phase: "connecting", code: 0, retryAt: 0 };
    this.epoch = "";
    this.sequence = 0;
    this.welcomed = false;
    this.finished = false; // nothing more can come: the end of the socket is the end
    /** half of a round trip, ms: the smallest of the last few */
    this.oneWay = 0;
    /** of who speaks: from a sound to its sending, ms */
    this.captureMs = 0;
    /** @type {number[]} */
    this._trips = [];
    this._attempts = 0;
    this._pingId = 0;
    this._pingAt = 0;
    this._heardAt = 0;
    /** the ping behind the last `want`: until its answer, what `want` asked for may be incomplete */
    this._wantPing = 0;
    this._retry = 0;
    this._beat = 0;
    this._wake = () => {
      if (document.visibilityState === "visible" && this.status.phase === "lost") this._open();
    };
  }

  open() {
    addEventListener("online", this._wake);
    document.addEventListener("visibilitychange", this._wake);
    this._open();
  }

  close() {
    removeEventListener("online", this._wake);
    document.removeEventListener("visibilitychange", this._wake);
    this._drop();
    clearTimeout(this._retry);
    this._say("over", 1000);
  }

  get ready() {
    return this.welcomed && this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  /** @param {Record<string, unknown> & {type: string}} message */
  send(message) {
    if (this.ready) this.socket?.send(JSON.stringify(message));
  }

  /** @param {ArrayBuffer} frame */
  sendAudio(frame) {
    if (this.ready) this.socket?.send(frame);
  }

  /** @param {Wanted} wanted */
  want(wanted) {
    this.wanted = wanted;
    if (!this.ready) {
      this._wantPing = -1;
      return;
    }
    this.send({ type: "want", wanted });
    this._ping();
    this._wantPing = this._pingId;
  }

  _open() {
    clearTimeout(this._retry);
    this._drop();
    const url = new URL("ws", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.hash = "";
    url.search = "";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this._heardAt = performance.now();
    if (this.status.phase !== "lost") this._say("connecting", 0);
    const limit = setTimeout(() => this._lost(socket, 1006), CONNECT_MS);
    socket.onopen = () => {
      clearTimeout(limit);
      this._heardAt = performance.now();
      const known = this.epoch && this._wantPing === 0;
      socket.send(
        JSON.stringify({
          type: "hello",
          version: VERSION,
          token: this.token,
          wanted: this.wanted,
          code: this.code,
          ...(known ? { resume: { epoch: this.epoch, sequence: this.sequence } } : {}),
        }),
      );
      this._wantPing = 0;
    };
    socket.onmessage = (event) => {
      if (socket === this.socket) this._receive(event.data);
    };
    socket.onclose = (event) => {
      clearTimeout(limit);
      this._lost(socket, event.code);
    };
    this._beat = window.setInterval(() => this._check(socket), 1000);
  }

  /** @param {string | ArrayBuffer} data */
  _receive(data) {
    this._heardAt = performance.now();
    if (typeof data !== "string") {
      const voice = decodeVoice(data);
      if (voice) this.handlers.voice?.(voice);
      return;
    }
    /** @type {ServerMessage} */
    const message = JSON.parse(data);
    if (message.type === "pong") return this._pong(message.id);
    if (message.type === "welcome") {
      const same = message.epoch === this.epoch;
      if (!same || !message.recovered) this.sequence = 0;
      this.epoch = message.epoch;
      this.welcomed = true;
      this._attempts = 0;
      this.handlers.message(message);
      this._say("open", 0);
      this._ping();
      return;
    }
    if ("sequence" in message && message.sequence > this.sequence) this.sequence = message.sequence;
    this.handlers.message(message);
  }

  _ping() {
    this._pingAt = performance.now();
    this._pingId += 1;
    const capture = this.captureMs ? { capture_ms: Math.round(this.captureMs + this.oneWay) } : {};
    this.send({ type: "ping", id: this._pingId, ...capture });
  }

  /** @param {number} id */
  _pong(id) {
    if (this._wantPing > 0 && id >= this._wantPing) this._wantPing = 0;
    if (id !== this._pingId) return;
    this._trips = [...this._trips, performance.now() - this._pingAt].slice(-5);
    this.oneWay = Math.min(...this._trips) / 2;
  }

  /** @param {WebSocket} socket */
  _check(socket) {
    const now = performance.now();
    if (now - this._heardAt > DEAD_MS) this._lost(socket, 1006);
    else if (this.ready && now - this._pingAt > PING_MS) this._ping();
  }

  /**
   * @param {WebSocket} socket
   * @param {number} code
   */
  _lost(socket, code) {
    if (socket !== this.socket) return;
    this._drop();
    if (this.finished || !retries(code)) return this._say("over", code);
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this._attempts);
    const wait = FIRST_RETRY_MS / 2 + Math.random() * longest;
    this._attempts += 1;
    this._retry = window.setTimeout(() => this._open(), wait);
    this._say("lost", code, performance.now() + wait);
  }

  _drop() {
    clearInterval(this._beat);
    this.welcomed = false;
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /**
   * @param {Status["phase"]} phase
   * @param {number} code
   * @param {number} [retryAt]
   */
  _say(phase, code, retryAt = 0) {
    this.status = { phase, code, retryAt };
    this.handlers.status(this.status);
  }
}
