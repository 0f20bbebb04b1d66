// What was said, as the room's log tells it. Adding a message twice changes nothing, so that history may come again.

/**
 * @typedef {import("./protocol.js").ServerMessage} ServerMessage
 * @typedef {{text: string, final: boolean, same: boolean, pieces: {sequence: number, text: string}[]}} Rendering
 * committed text of a segment in one language
 * @typedef {{text: string, language: string, start: number, end: number, sequence: number}} Word
 * @typedef {{id: string, channel: number, number: number, order: number, start: number, end: number,
 *   texts: Map<string, Rendering>}} Segment
 * @typedef {{language: string, name: string, open: boolean, talking: boolean, words: Word[], cuts: Map<number, number>,
 *   cut: number}} Channel `cuts` holds where the words of a segment end, `cut` the end of the last one
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
  }

  clear() {
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
        Object.assign(this._channel(message.channel), { language: message.language, name: message.name, open: true });
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
      channel = { language: "", name: "", open: true, talking: false, words: [], cuts: new Map(), cut: 0 };
      this.channels.set(number, channel);
    }
    return channel;
  }

  /** @param {import("./protocol.js").Words} message */
  _words(message) {
    const { words } = this._channel(message.channel);
    this._forgetTails(message.channel, "source");
    const { sequence, language, text, start_ms: start, end_ms: end } = message;
    let at = words.length;
    while (at > 0 && /** @type {Word} */ (words[at - 1]).sequence > sequence) at -= 1;
    words.splice(at, 0, { sequence, language, text, start, end });
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
      this.segments.push(segment);
      this._sort();
    } else {
      segment.start = Math.min(segment.start, message.start_ms);
      segment.end = Math.max(segment.end, message.end_ms);
      if (message.sequence < segment.order) {
        segment.order = message.sequence;
        this._sort();
      }
    }
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

  _sort() {
    const list = this.segments;
    const last = list.at(-1);
    const before = list.at(-2);
    if (last && before && last.order < before.order) list.sort((a, b) => a.order - b.order);
    else if (list.length > 2) list.sort((a, b) => a.order - b.order);
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
    const rest = pieces(channel.words).slice(channel.cut);
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
    const from = Math.max(0, ...[...channel.cuts].filter(([number]) => number < segment.number).map(([, at]) => at));
    return pieces(channel.words)
      .slice(from, channel.cuts.get(segment.number))
      .map((piece) => piece.text)
      .join("")
      .trim();
  }

  /** @param {Segment} segment */
  sourceLanguage(segment) {
    for (const [language, rendering] of segment.texts) if (rendering.same) return language;
    const words = this.channels.get(segment.channel)?.words ?? [];
    const word = words.find((candidate) => candidate.end > segment.start);
    return word?.language ?? words.at(-1)?.language ?? "";
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

/** @typedef {{text: string, end: number, exact: boolean}} Piece `exact`: an event ended with it */

/** @type {WeakMap<Word, Piece[]>} */
const known = new WeakMap();

/** How much nearer, in ms, a cut elsewhere may be before it is preferred to one after this word. @param {string} text */
const unlikely = (text) => (STOP.test(text) ? 0 : /[,;:、，；：]\s*$/.test(text) ? 150 : 600);

/**
 * Single words with interpolated times.
 * @param {Word[]} words
 */
function pieces(words) {
  return words.flatMap((word) => {
    let made = known.get(word);
    if (!made) {
      const texts = word.text.match(/\s*\S+(?:\s+$)?/g) ?? [word.text];
      let done = 0;
      made = texts.map((text) => {
        done += text.length;
        const end = word.start + ((word.end - word.start) * done) / (word.text.length || 1);
        return { text, end, exact: done === word.text.length };
      });
      known.set(word, made);
    }
    return made;
  });
}

const STOP = /[.!?。！？…؟۔।]["'”’»)\]」』]*\s*$/u;
const LONGEST = 4; // segments of one paragraph without a full stop

/**
 * Segments that read as one paragraph: of one channel, up to a full stop. What was once decided stays.
 */
export class Paragraphs {
  /**
   * @param {Captions} captions
   * @param {string} language
   */
  constructor(captions, language) {
    this.captions = captions;
    this.language = language;
    /** @type {Map<string, boolean>} segment begins a paragraph */
    this._begins = new Map();
  }

  /** @returns {Segment[][]} only segments with text in the language */
  all() {
    /** @type {Segment[][]} */
    const made = [];
    for (const segment of this.captions.segments) {
      if (!segment.texts.get(this.language)?.text.trim()) continue;
      const last = made.at(-1);
      if (!last || this._isFirst(segment, last)) made.push([segment]);
      else last.push(segment);
    }
    return made;
  }

  /**
   * @param {Segment} segment
   * @param {Segment[]} last
   */
  _isFirst(segment, last) {
    let begins = this._begins.get(segment.id);
    if (begins === undefined) {
      const before = /** @type {Segment} */ (last.at(-1));
      const text = before.texts.get(this.language)?.text ?? "";
      begins = before.channel !== segment.channel || STOP.test(text) || last.length >= LONGEST;
      this._begins.set(segment.id, begins);
    }
    return begins;
  }
}

/**
 * Clauses as one text. Their own spaces count; where both sides lack one and the language has them, it is added.
 * @param {string[]} texts
 * @param {string} language
 */
export function joined(texts, language) {
  const gap = ["ja", "zh", "yue", "th", "lo", "km", "my"].includes(language) ? "" : " ";
  return texts.reduce((all, text) => all + (/\s$/.test(all) || /^\s/.test(text) || !all ? "" : gap) + text, "").trim();
}
