// How far what is shown and heard lies behind the voice, honestly: the pipeline's own figure, the network's delay, and
// what the page adds.

const WINDOW = 40; // messages: a channel's clock may stop and go on

/** One channel's clock, seen from here. */
class ChannelClock {
  constructor() {
    /** @type {number[]} local time less the channel's, of the last messages */
    this._offsets = [];
    this.offset = 0;
  }

  /**
   * @param {number} emitted ms
   * @param {number} now ms
   */
  saw(emitted, now) {
    this._offsets = [...this._offsets, now - emitted].slice(-WINDOW);
    this.offset = Math.min(...this._offsets);
  }
}

export class Delay {
  constructor() {
    /** @type {Map<number, ChannelClock>} */
    this._clocks = new Map();
    this.caption = /** @type {number | null} */ (null);
    this.voice = /** @type {number | null} */ (null);
    /** ms from a sound at the microphone to its arrival at the server, as its speaker's page measures it */
    this.capture = 0;
    /** ms from a committed caption's arrival to its frame on the screen */
    this.paints = /** @type {number[]} */ ([]);
  }

  clear() {
    this._clocks.clear();
    this.caption = this.voice = null;
  }

  /**
   * A caption that came as it was made, not as history.
   * @param {{channel: number, emitted_ms: number, end_ms: number}} message
   * @param {number} oneWay ms
   */
  live(message, oneWay) {
    const clock = this._clocks.get(message.channel) ?? new ChannelClock();
    this._clocks.set(message.channel, clock);
    const now = performance.now();
    clock.saw(message.emitted_ms, now);
    this.caption = Math.max(0, now - clock.offset + oneWay + this.capture - message.end_ms);
  }

  /**
   * A clause begins to sound.
   * @param {number} channel
   * @param {number} sourceEnd ms
   * @param {number} oneWay ms
   */
  sounding(channel, sourceEnd, oneWay) {
    const clock = this._clocks.get(channel);
    if (clock) this.voice = Math.max(0, performance.now() - clock.offset + oneWay + this.capture - sourceEnd);
  }

  /** @param {number} arrived `performance.now()` */
  painted(arrived) {
    this.paints = [...this.paints, performance.now() - arrived].slice(-500);
  }
}
