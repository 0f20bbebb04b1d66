// What was said, as the room's log tells it. Adding a message twice changes nothing, so that history may come again.
// A meeting lasts hours: what a message costs here does not grow with what was said before.

import { STOP } from "./paragraphs.js";

/** Segments, counted from the newest, that still change in the ordinary course of things. */
export const RECENT = 32;

/**
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {{text: string, final: boolean, same: boolean, pieces: {sequence: number, text: string}[]}} Rendering
 * committed text of a segment in one language
 * @typedef {{text: string, language: string, start: number, end: number, sequence: number}} Word
 * @typedef {{id: string, channel: number, number: number, order: number, start: number, end: number,
 *   texts: Map<string, Rendering>}} Segment
 * @typedef {{language: string, name: string, open: boolean, talking: boolean, words: Word[], pieces: Piece[],
 *   cuts: Map<number, number>, cut: number, roomMs: number}} Channel `pieces` are single words; `cuts` holds where those of a
 *   segment end, `cut` the end of the last one; `roomMs` is when it was opened, since the room's first one
 * @typedef {{text: string, end: number, exact: boolean}} Piece `exact`: an event ended with it
 */

export class Captions {
  constructor() {
    /** @type {(segment: Segment | null) => void} */
    this.changed = () => {};
    /** @type {Set<number>} */
    this.seen = new Set();
    /** @type {Map<number, Channel>} */
    this.channels = new Map();
    /** @type {Map<string, Segment>} */
    this._byId = new Map();
    /** @type {Segment[]} in the order in which they were first written */
    this.segments = [];
    /** @type {Map<string, {segment: string, text: string}>} by channel, language and kind */
    this.tails = new Map();
    this.ended = "";
    /** rises when something other than the newest segments changed */
    this.revision = 0;
  }

  clear() {
    this.revision += 1;
    this.seen.clear();
    this.channels.clear();
    this._byId.clear();
    this.segments = [];
    this.tails.clear();
    this.ended = "";
    this.changed(null);
  }

  /** @param {ServerMessage} message */
  add(message) {
    if ("sequence" in message && message.type !== "welcome") {
      if (this.seen.has(message.sequence)) return;
      this.seen.add(message.sequence);
    }
    switch (message.type) {
      case "opened":
        Object.assign(this._channel(message.channel), { language: message.language, name: message.name, open: true, roomMs: message.room_ms ?? 0 });
        break;
      case "closed":
        Object.assign(this._channel(message.channel), { open: false, talking: false });
        this._forgetTails(message.channel);
        break;
      case "ended":
        this.ended = message.code;
        this.tails.clear();
        break;
      case "talking":
        this._channel(message.channel).talking = message.active;
        break;
      case "words":
        this._words(message);
        break;
      case "caption":
        this._caption(message);
        return;
      case "tail":
        this._tail(message);
        break;
      default:
        return;
    }
    this.changed(null);
  }

  /** @param {number} number */
  _channel(number) {
    let channel = this.channels.get(number);
    if (!channel) {
      channel = { language: "", name: "", open: true, talking: false, words: [], pieces: [], cuts: new Map(), cut: 0, roomMs: 0 };
      this.channels.set(number, channel);
    }
    return channel;
  }

  /** @param {import("./protocol.js").Words} message */
  _words(message) {
    const channel = this._channel(message.channel);
    const { words } = channel;
    this._forgetTails(message.channel, "source");
    const { sequence, language, text, start_ms: start, end_ms: end } = message;
    let at = words.length;
    while (at > 0 && /** @type {Word} */ (words[at - 1]).sequence > sequence) at -= 1;
    const word = { sequence, language, text, start, end };
    words.splice(at, 0, word);
    if (at === words.length - 1) channel.pieces.push(...pieces(word));
    else channel.pieces = words.flatMap(pieces);
  }

  /** @param {import("./protocol.js").Caption} message */
  _caption(message) {
    const id = `${message.channel}/${message.segment}`;
    this.tails.delete(tailKey(message.channel, message.language, true));
    let segment = this._byId.get(id);
    if (!segment) {
      segment = {
        id,
        channel: message.channel,
        number: message.segment,
        order: message.sequence,
        start: message.start_ms,
        end: message.end_ms,
        texts: new Map(),
      };
      this._byId.set(id, segment);
      this._place(segment);
    } else {
      segment.start = Math.min(segment.start, message.start_ms);
      segment.end = Math.max(segment.end, message.end_ms);
      if (message.sequence < segment.order) {
        segment.order = message.sequence;
        this.segments.splice(this.segments.indexOf(segment), 1);
        this._place(segment);
      }
    }
    if (!this.segments.slice(-RECENT).includes(segment)) this.revision += 1;
    const rendering = segment.texts.get(message.language) ?? { text: "", final: false, same: false, pieces: [] };
    segment.texts.set(message.language, rendering);
    rendering.pieces.push({ sequence: message.sequence, text: message.text });
    rendering.pieces.sort((a, b) => a.sequence - b.sequence);
    rendering.text = rendering.pieces.map((piece) => piece.text).join("");
    rendering.final ||= message.final;
    rendering.same = message.same;
    if (message.final) this._cut(segment);
    this.changed(segment);
  }

  /** In the order in which segments were first written. @param {Segment} segment */
  _place(segment) {
    let at = this.segments.length;
    while (at > 0 && /** @type {Segment} */ (this.segments[at - 1]).order > segment.order) at -= 1;
    this.segments.splice(at, 0, segment);
  }

  /** @param {import("./protocol.js").Tail} message */
  _tail(message) {
    const key = tailKey(message.channel, message.language, message.translated);
    if (!message.translated) this._forgetTails(message.channel, "source");
    if (message.text) this.tails.set(key, { segment: `${message.channel}/${message.segment}`, text: message.text });
    else this.tails.delete(key);
  }

  /**
   * What is committed replaces the tail before it.
   * @param {number} channel
   * @param {string} [kind]
   */
  _forgetTails(channel, kind = "") {
    for (const key of this.tails.keys()) if (key.startsWith(`${channel}/${kind}`)) this.tails.delete(key);
  }

  /**
   * Text in `language` that may still change: by segment, also of those that have no committed text yet.
   * @param {string} language
   * @returns {{channel: number, id: string, text: string}[]}
   */
  tentative(language) {
    const found = [];
    for (const [key, { segment, text }] of this.tails) {
      if (key.endsWith(`/target/${language}`)) found.push({ channel: Number.parseInt(key, 10), id: segment, text });
    }
    return found;
  }

  /** The tail of what is being said now on a channel. @param {number} channel */
  sourceTail(channel) {
    for (const [key, { text }] of this.tails) if (key.startsWith(`${channel}/source/`)) return text;
    return "";
  }

  /**
   * Once a segment is final, the words up to its end are its own: up to where an event ended there exactly, else up to
   * the likeliest place between two words.
   * @param {Segment} segment
   */
  _cut(segment) {
    const channel = this._channel(segment.channel);
    if (channel.cuts.has(segment.number)) return;
    const rest = channel.pieces.slice(channel.cut);
    const cost = (/** @type {Piece} */ piece) => (piece.exact && Math.abs(piece.end - segment.end) < 1 ? -1 : Math.abs(piece.end - segment.end) + unlikely(piece.text));
    let best = 0;
    rest.forEach((piece, at) => {
      if (cost(piece) < cost(/** @type {Piece} */ (rest[best]))) best = at;
    });
    if (rest.length) channel.cut += best + 1;
    channel.cuts.set(segment.number, channel.cut);
  }

  /** What was said in a segment; in an open one, all that is left. @param {Segment} segment */
  source(segment) {
    const channel = this._channel(segment.channel);
    let before = segment.number - 1;
    while (before >= 0 && !channel.cuts.has(before)) before -= 1;
    return channel.pieces
      .slice(channel.cuts.get(before) ?? 0, channel.cuts.get(segment.number))
      .map((piece) => piece.text)
      .join("")
      .trim();
  }

  /** @param {Segment} segment */
  sourceLanguage(segment) {
    for (const [language, rendering] of segment.texts) if (rendering.same) return language;
    const words = this.channels.get(segment.channel)?.words ?? [];
    const after = words.findLastIndex((candidate) => candidate.end <= segment.start) + 1;
    return (words[after] ?? words.at(-1))?.language ?? "";
  }

  /** That was spoken first. */
  get spokenLanguage() {
    for (const { words } of this.channels.values()) if (words[0]) return words[0].language;
    return this.segments[0] ? this.sourceLanguage(this.segments[0]) : "";
  }

  /** All that was committed in `language`, for comparison. @param {string} language */
  text(language) {
    return this.segments.map((segment) => segment.texts.get(language)?.text ?? "").join("");
  }
}

/**
 * @param {number} channel
 * @param {string} language
 * @param {boolean} translated
 */
const tailKey = (channel, language, translated) => `${channel}/${translated ? "target" : "source"}/${language}`;

/** How much nearer, in ms, a cut elsewhere may be before it is preferred to one after this word. @param {string} text */
const unlikely = (text) => (STOP.test(text) ? 0 : /[,;:、，；：]\s*$/.test(text) ? 150 : 600);

/** Single words with interpolated times. @param {Word} word @returns {Piece[]} */
function pieces(word) {
  const texts = word.text.match(/\s*\S+(?:\s+$)?/g) ?? [word.text];
  let done = 0;
  return texts.map((text) => {
    done += text.length;
    const end = word.start + ((word.end - word.start) * done) / (word.text.length || 1);
    return { text, end, exact: done === word.text.length };
  });
}
